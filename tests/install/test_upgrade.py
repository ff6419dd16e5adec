"""From edge 0.1.0 to this checkout and back, by each version's own ``scripts/install``, under a real systemd.

Needs root, debootstrap, systemd-nspawn, ten minutes, and a clone whose history has the commit of 0.1.0. The tests run
in their order.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.box import TREES, Box, checkout, needed
from rigs.waiting import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
OLD = "44a9412"
OLD_WHEELS = (
    "numpy>=1.26,<2", "ai-edge-litert>=1.4,<3", "tflite-runtime>=2.14,<3", "opencv-python-headless>=4.10,<4.12",
    "simplejpeg>=1.8,<2", "av>=14,<19",
)  # fmt: skip
"""what 0.1.0 requires on Python 3.11 and with numpy 1, and this version does not"""
SETTINGS = """
# written for 0.1.0
device.name = "porch"
mqtt = {host = "127.0.0.1", port = 1884, stats_seconds = 5.0}
homeassistant.enabled = true
recognition = {min_face = 20, votes = 2}
api.enabled = true
[[cameras]]
name = "door"
source = "synthetic:/srv/portraits"
loop = true
zones = {mat = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
"""
SUBSCRIBER = ("mosquitto_sub", "-h", "127.0.0.1", "-p", "1884", "-t", "edge/v1/porch/up/event/#")
PEOPLE = {"eileen-collins", "grace-hopper"}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    needed()
    source = subprocess.run(["git", "-C", str(ROOT), "archive", OLD], capture_output=True, check=False)
    if source.returncode:
        pytest.skip(f"this clone does not have commit {OLD}")
    with Box("bookworm", tmp_path_factory.mktemp("upgrade") / "box") as one:
        checkout(one.shared / "new")
        with tarfile.open(fileobj=io.BytesIO(source.stdout)) as archive:
            archive.extractall(one.shared / "old", filter="data")
        shutil.copytree(old_wheels(), one.shared / "wheels")
        one.sh("cp -r /box/new/edge/data/portraits /srv/portraits; systemctl disable -q --now mosquitto || true")
        one.write("/srv/broker.conf", "listener 1884 127.0.0.1\nallow_anonymous true\nuser root\n")
        one.write("/root/my.toml", SETTINGS)
        yield one


def old_wheels() -> Path:
    folder = TREES / "bookworm-wheels-0.1.0"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "--python-version=3.11"]
    done = subprocess.run([*command, "-d", str(folder), *OLD_WHEELS], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip could not fetch the wheels of 0.1.0: {done.stderr[-300:]}")
    return folder


def install(box: Box, version: str, *options: str) -> str:
    """What the installer of ``old`` or ``new`` printed; it must succeed."""
    pinned = [] if version == "old" else ["--unpinned"]
    command = [f"/box/{version}/scripts/install", "--camera", "none", *pinned, *options]
    done = box.run(*command, timeout=1200, PIP_NO_INDEX="1", PIP_FIND_LINKS="/wheels /box/wheels")
    assert done.returncode == 0, done.stdout + done.stderr + box.journal()[-2000:]
    return done.stdout


def works(box: Box) -> bool:
    return eventually(lambda: " fps" in box.show("edge", "StatusText"), 120)


def enrolled(box: Box) -> set[str]:
    shown = json.loads(box.sh("edge collection show faces --json"))
    return set(shown["names"])


def heard(box: Box, count: int) -> list[dict[str, object]]:
    """Events, as a subscriber gets them."""
    topic = [*SUBSCRIBER, "-W", "60", "-C", str(count)]
    return [json.loads(line) for line in box.run(*topic, timeout=90).stdout.splitlines()]


def named(box: Box) -> bool:
    found: set[object] = set()

    def everybody() -> bool:
        found.update(event["identity"]["subject"] for event in heard(box, 4))  # type: ignore[index]
        return found >= PEOPLE

    return eventually(everybody, 150)


def test_the_old_version_runs_and_queues_events(box: Box) -> None:
    install(box, "old", "--config", "/root/my.toml")
    box.sh("edge enroll faces /srv/portraits", timeout=180)

    assert works(box), box.journal()
    assert "0.1.0" in box.sh("edge --version")
    assert enrolled(box) == PEOPLE


def test_the_new_version_keeps_settings_faces_and_queued_events(box: Box) -> None:
    settings, upgraded = box.sh("sha256sum /etc/edge/edge.toml"), float(box.sh("date +%s.%N"))
    install(box, "new")

    assert works(box), box.journal()
    assert "0.1.0" not in box.sh("edge --version")
    assert box.sh("sha256sum /etc/edge/edge.toml") == settings
    assert enrolled(box) == PEOPLE
    assert box.sh("cat /etc/systemd/system/edge.service") == (ROOT / "systemd/edge.service").read_text()
    box.sh("systemctl stop edge; systemd-run -q --unit=broker mosquitto -c /srv/broker.conf")
    assert eventually(lambda: box.run("mosquitto_pub", *SUBSCRIBER[1:5], "-t", "up", "-m", "1").returncode == 0, 30)
    box.sh(f"systemd-run -q --unit=subscriber sh -c '{' '.join(SUBSCRIBER)} >/srv/heard'; systemctl start edge")
    assert eventually(lambda: first_time(box) < upgraded, 90), box.journal()[-2000:]
    assert named(box)


def first_time(box: Box) -> float:
    """Time of the first event that the subscriber of the box has received; infinity without one."""
    lines = box.sh("cat /srv/heard").splitlines()
    return float(json.loads(lines[0])["time"]) if lines else float("inf")


def test_the_old_version_runs_on_the_state_of_the_new_one(box: Box) -> None:
    install(box, "old")

    assert works(box), box.journal()
    assert "0.1.0" in box.sh("edge --version")
    assert enrolled(box) == PEOPLE
    assert named(box)


def test_faces_survive_an_uninstall_and_a_new_install(box: Box) -> None:
    install(box, "new")
    install(box, "new", "--uninstall")
    assert box.run("systemctl", "cat", "edge.service").returncode != 0
    assert box.run("ls", "/opt/edge").returncode != 0
    install(box, "new")

    assert works(box), box.journal()
    assert enrolled(box) == PEOPLE
    assert named(box)
