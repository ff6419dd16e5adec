"""A hub publishes, a running daemon follows: real models, real signatures, real HTTP, no restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs import settings_files
from rigs.over_the_air import Running, release
from rigs.release_simulator import Site
from rigs.waiting import eventually

from edge.core.settings import loader as config
from edge.hub.publishing.publisher import ReleasePublisher

PORTRAITS = Path(__file__).parents[2] / "edge/data/portraits"
OTHER = "mobilefacenet-112-float"


@pytest.fixture
def running(tmp_path: Path, shared_models: Path) -> Iterator[tuple[Running, ReleasePublisher]]:
    hub = tmp_path / "hub"
    plain = config.read(settings_files.write(tmp_path / "desk", shared_models))
    desk = ReleasePublisher(hub, plain)
    root = desk.repository.init()
    desk.add_model(settings_files.DETECTOR)
    desk.add_model(settings_files.EMBEDDER)
    site = Site(hub / "public")
    sync = {"url": site.url, "root": str(root), "reserve_bytes": 0, "probation": 8.0}
    camera = {"realtime": True, "loop": True, "fps": 5.0}
    file = settings_files.write(tmp_path / "device", shared_models, camera, sync=sync)
    settings = config.read(file)
    one = Running(settings, file, config.state_folder(settings))
    one.start()
    yield one, desk
    one.stop()
    site.close()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_people_and_models_arrive_while_the_daemon_looks(running: tuple[Running, ReleasePublisher]) -> None:
    device, desk = running
    list(desk.add_collection("staff", PORTRAITS / "grace-hopper", "face", "grace"))
    first = release(desk)
    assert device.sync()["outcome"] == "installed"
    assert eventually(lambda: device.knows("grace", first), 60)

    list(desk.add_collection("staff", PORTRAITS / "eileen-collins", "face", "eileen"))
    second = release(desk)
    device.gap = 0.0
    fetched = device.sync()["received"]
    (segment,) = desk.release(second).blobs().keys() - desk.release(first).blobs().keys()
    assert fetched == desk.release(second).blobs()[segment]
    assert eventually(lambda: device.knows("eileen", second), 60)
    print(f"one picture more: {fetched} bytes, longest gap between two frames {device.gap:.2f} s")

    desk.add_model(OTHER, settings_files.EMBEDDER)
    for name, subject in (("grace-hopper", "grace"), ("eileen-collins", "eileen")):
        list(desk.add_collection("staff", PORTRAITS / name, "face", subject))
    third = release(desk)
    device.gap = 0.0
    device.sync()
    assert eventually(lambda: device.knows("eileen", third) and device.knows("grace", third), 60)
    print(f"another embedder: longest gap between two frames {device.gap:.2f} s")
    assert device.daemon._health.problems == {}
