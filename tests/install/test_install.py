"""``scripts/install``: what can be tested without changing this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.core.settings.loader import CREDENTIALS

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "scripts/install"
PLACES = ("/opt/edge", "/etc/edge", "/var/lib/edge", "/usr/local/bin/edge", "/etc/systemd/system/edge.service")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(INSTALL), *options], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def planned() -> str:
    if not Path("/etc/debian_version").exists():
        pytest.skip("needs Debian or a derived system")
    there = [Path(place).exists() for place in PLACES]
    answer = run("--dry-run", "--camera", "libcamera")
    assert answer.returncode == 0, answer.stderr
    assert [Path(place).exists() for place in PLACES] == there
    return answer.stdout


def test_a_dry_run_lists_every_path_and_creates_none(planned: str) -> None:
    for place in PLACES:
        assert place in planned


def test_every_credential_of_the_unit_is_created(planned: str) -> None:
    for name in CREDENTIALS:
        assert f"/etc/edge/credentials/{name}" in planned or Path(f"/etc/edge/credentials/{name}").exists()


def test_a_ribbon_camera_gets_its_packages_and_drop_in(planned: str) -> None:
    assert "python3-picamera2" in planned
    assert "--system-site-packages" in planned
    assert "edge.service.d/camera-libcamera.conf" in planned


def test_every_unit_of_the_folder_is_installed_and_removed() -> None:
    text = INSTALL.read_text()
    units = [path.name for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".timer", ".path")]
    assert all(text.count(unit) >= 2 for unit in units)
    assert all(f"camera-{kind}.conf" in {path.name for path in (ROOT / "systemd").iterdir()} for kind in KINDS)


KINDS = ("usb", "libcamera", "jetson")


def test_the_paths_of_script_and_units_are_the_same() -> None:
    base = re.search(r"^BASE=(\S+)", INSTALL.read_text(), re.MULTILINE)
    assert base
    for unit in ("edge.service", "edge-sync.service"):
        assert (
            f"ExecStart={base[1]}/venv/bin/edge --config /etc/edge/edge.toml" in (ROOT / "systemd" / unit).read_text()
        )


def test_settings_are_checked_with_the_credentials_of_the_daemon(planned: str) -> None:
    checks = [line for line in planned.splitlines() if "config check" in line]
    assert len(checks) == 1
    assert "env CREDENTIALS_DIRECTORY=/etc/edge/credentials /opt/edge/versions/" in checks[0]


def test_only_purge_removes_state_and_settings() -> None:
    kept, purged = run("--uninstall", "--dry-run").stdout, run("--uninstall", "--purge", "--dry-run").stdout
    assert "rm -rf /opt/edge" in kept
    assert "rm -rf /var/lib/edge" not in kept
    assert "rm -rf /var/lib/edge /etc/edge" in purged


@pytest.mark.parametrize("options", [("--camera", "webcam"), ("--what",), ("--config",)])
def test_wrong_usage_prints_the_usage(options: tuple[str, ...]) -> None:
    answer = run(*options)
    assert answer.returncode == 2
    assert "Usage:" in answer.stderr


def test_a_missing_settings_file_is_refused_before_any_change() -> None:
    answer = run("--dry-run", "--config", "/nowhere.toml")
    assert answer.returncode == 1
    assert "try: check the path of --config" in answer.stderr


def test_the_script_passes_the_shell_check() -> None:
    checker = ["shellcheck"] if shutil.which("shellcheck") else ["bash", "-n"]
    answer = subprocess.run([*checker, str(INSTALL)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_objects_are_fetched_before_the_daemon_starts(planned: str) -> None:
    command = "edge models get ssd-mobilenet-v1-coco --use"
    assert command not in planned
    assert command in run("--dry-run", "--camera", "libcamera", "--objects").stdout
