"""Custom labels reach a running daemon by a release: learned at the hub, told on the device, no restart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rigs import settings_files
from rigs.over_the_air import Running, release
from rigs.release_simulator import Site
from rigs.waiting import eventually

from edge.cli.main import edge
from edge.core.settings import loader as config
from edge.hub.publishing.publisher import ReleasePublisher


@pytest.fixture
def running(tmp_path: Path, shared: Path) -> Iterator[tuple[Running, ReleasePublisher, Path]]:
    """A daemon that looks at a hot dog and names labels that are not there yet; a hub that has learned them."""
    models = shared / "models"
    hub_file = settings_files.write(tmp_path / "hub", models)
    for picture in (shared / "data" / "stills" / "imprinting").glob("*.png"):
        label, part, _ = picture.name.split("_")
        (tmp_path / part / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / part / label)
    command = ["--config", str(hub_file), "labels", "train", "pets", str(tmp_path / "train")]
    learned = CliRunner().invoke(edge, [*command, "--test", str(tmp_path / "test")])
    assert learned.exit_code == 0, learned.output
    desk = ReleasePublisher(tmp_path / "hub" / "state" / "hub", config.read(hub_file))
    root = desk.repository.init()
    site = Site(desk.folder / "public")
    seen = tmp_path / "seen"
    seen.mkdir()
    for number in range(10):
        shutil.copy(shared / "data" / "stills" / "hot_dog.jpg", seen / f"{number}.jpg")
    camera = {"source": f"images:{seen}", "realtime": True, "loop": True, "detectors": [], "custom_labels": ["pets"]}
    sync = {"url": site.url, "root": str(root), "reserve_bytes": 0, "probation": 6.0}
    face = {"embedder": "", "collection": ""}
    file = settings_files.write(
        tmp_path / "device", models, camera, sync=sync, tracking={"update_seconds": 1.0}, labels={"face": face}
    )
    settings = config.read(file)
    one = Running(settings, file, config.state_folder(settings))
    one.start()
    yield one, desk, hub_file
    one.stop()
    site.close()


def told(device: Running, version: str, release_id: str, after: int = 0) -> bool:
    """Whether an event past the first ``after`` names the hot dog, by this version and under this release."""
    return any(
        event.whole
        and event.release == release_id
        and [(own.name, own.version) for own in event.custom_labels] == [("hotdog", version)]
        for event in list(device.events)[after:]
    )


@pytest.mark.long
@pytest.mark.timeout(600)
def test_labels_learned_at_the_hub_are_told_by_a_running_device(
    running: tuple[Running, ReleasePublisher, Path], shared: Path
) -> None:
    device, desk, hub_file = running
    problems = device.daemon._health.problems
    assert eventually(lambda: "custom_labels pets" in problems, 30)
    assert "there are no custom labels 'pets'" in problems["custom_labels pets"]

    probe = shared / "data" / "stills" / "hot_dog.jpg"
    add = ["--config", str(hub_file), "hub", "add", "labels", "pets", "--probe", str(probe)]
    answer = CliRunner().invoke(edge, add)
    assert answer.exit_code == 0, answer.output
    first = release(desk)
    published = desk.release(first)
    assert [(one.name, one.number) for one in published.custom_labels] == [("pets", 1)]
    assert published.custom_labels[0].probe.answers == ("hotdog",)
    assert [one.name for one in published.models] == ["mobilenet-v1-extractor-224"]
    assert device.sync()["outcome"] == "installed"
    assert eventually(lambda: told(device, "pets/1", first), 90)
    assert problems == {}
    assert device.daemon._health.cameras["door"].frames > 0

    train = [
        "--config",
        str(hub_file),
        "labels",
        "train",
        "pets",
        str(hub_file.parents[1] / "train"),
        "--variants",
        "5",
    ]
    assert CliRunner().invoke(edge, [*train, "--test", str(hub_file.parents[1] / "test"), "--force"]).exit_code == 0
    assert CliRunner().invoke(edge, add).exit_code == 0
    second = release(desk)
    assert device.sync()["outcome"] == "installed"
    assert eventually(lambda: told(device, "pets/2", second), 90)

    before = len(device.events)
    back = CliRunner().invoke(edge, ["--config", str(device.file), "release", "rollback"])
    assert back.exit_code == 0, back.output
    assert eventually(lambda: told(device, "pets/1", first, before), 90)
    assert problems == {}
