"""The units: valid, with low exposure, consistent with the code, and with a sandbox in which the libraries run."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rigs.mosquitto import Certificates

from edge.core.settings.loader import CREDENTIALS
from edge.core.system.systemd import START_SECONDS
from edge.daemon.daemon import SLOW_DISK
from edge.daemon.watchdog import LONG, STUCK

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
SERVICES = {"edge.service": 1.6, "edge-sync.service": 1.3}
"""unit -> highest exposure level of ``systemd-analyze security``"""
DROP_INS = ("camera-usb.conf", "camera-libcamera.conf", "camera-jetson.conf")


@pytest.fixture
def analyze(tmp_path: Path) -> Path:
    """A folder with the units; their programs are replaced by one that exists on this machine."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    for unit in UNITS.iterdir():
        text = re.sub(r"^(Exec\w+)=/opt/\S+", r"\1=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def drop_in(folder: Path, name: str) -> None:
    (folder / "edge.service.d").mkdir()
    shutil.copy(folder / name, folder / "edge.service.d" / name)


def test_systemd_accepts_every_unit(analyze: Path) -> None:
    units = sorted(path for path in analyze.iterdir() if path.suffix in (".service", ".timer", ".path"))
    answer = run("systemd-analyze", "verify", *units)
    assert len(units) == 4
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("name", DROP_INS)
def test_systemd_accepts_the_daemon_with_each_drop_in(analyze: Path, name: str) -> None:
    drop_in(analyze, name)
    answer = run("systemd-analyze", "verify", analyze / "edge.service")
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize(("unit", "most"), SERVICES.items())
def test_systemd_analyze_rates_each_unit_below_the_limit(analyze: Path, unit: str, most: float) -> None:
    answer = run("systemd-analyze", "security", "--no-pager", "--offline=true", analyze / unit)
    found = re.search(r"exposure level for \S+: ([\d.]+)", answer.stdout)
    assert found, answer.stderr
    assert float(found[1]) <= most


def test_only_the_daemon_may_reach_a_camera_and_only_by_a_drop_in() -> None:
    assert "DeviceAllow" not in (UNITS / "edge.service").read_text()
    assert "PrivateDevices=yes" in (UNITS / "edge-sync.service").read_text()
    assert all("char-video4linux" in (UNITS / name).read_text() for name in DROP_INS)


def test_each_service_loads_the_credentials_that_it_needs_and_no_other() -> None:
    def loaded(unit: str) -> set[str]:
        return set(re.findall(r"^LoadCredential=([^:]+):/etc/edge/credentials/\1$", _text(unit), re.MULTILINE))

    assert loaded("edge.service") == CREDENTIALS.keys() - {"sync-key"}
    assert loaded("edge-sync.service") == {"storage-key", "sync-key"}
    assert "InaccessiblePaths=-/etc/edge/credentials" in (UNITS / "edge-sync.service").read_text().splitlines()


def test_the_unit_has_watchdog_reload_and_restart() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(_text("edge.service"))
    service = parser["Service"]
    assert service["type"] == "notify"
    # a thread may be silent while a slow disk is written, before the watchdog counts it as hung
    assert STUCK < SLOW_DISK < int(service["watchdogsec"]) < LONG
    assert int(service["timeoutstartsec"]) == START_SECONDS
    assert service["execreload"].endswith("-HUP $MAINPID")
    assert service["restart"] == "always"
    assert service["memorymax"] == "450M"


@pytest.mark.parametrize("unit", SERVICES)
def test_no_core_file_with_keys_or_faces_is_written(unit: str) -> None:
    assert re.search(r"^LimitCORE=0$", _text(unit), re.MULTILINE)


def test_inference_annoy_and_tls_work_with_memory_deny_write_execute(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    portrait = next(path for path in sorted((ROOT / "edge/data/portraits").rglob("*.jpg")))
    answer = run(
        sys.executable, ROOT / "tests/rigs/sandboxed.py", portrait,
        certificates.server, certificates.server_key, certificates.ca,
    )  # fmt: skip
    if answer.stdout.split() == ["no-mdwe"]:
        pytest.skip("needs Linux 6.3 or later: PR_SET_MDWE")
    assert answer.stdout.split() == ["locked", "inference", "search", "tls"], answer.stderr[-2000:]


def _text(unit: str) -> str:
    return (UNITS / unit).read_text()
