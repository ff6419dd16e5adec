"""The console script: errors in words, suggestions, where ``--config`` may stand, and how a process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli.main import _config_first, _lines


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run"], ["run"]),
        (["run", "--config", "a.toml"], ["--config", "a.toml", "run"]),
        (["run", "--config=a.toml", "--print"], ["--config=a.toml", "run", "--print"]),
        (["--config", "a.toml", "run"], ["--config", "a.toml", "run"]),
        (["search", "x", "--", "--config"], ["search", "x", "--", "--config"]),
        (["run", "--config"], ["--config", "run"]),
    ],
)
def test_config_may_stand_before_and_after_the_command(given: list[str], expected: list[str]) -> None:
    assert _config_first(given) == expected


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(["enrol"], "'enroll'"), (["colection", "list"], "'collection'"), (["models", "chek"], "'check'")],
)
def test_a_misspelled_command_is_answered_with_the_one_that_it_resembles(arguments: list[str], near: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert f"Did you mean {near}" in done.stderr


def test_broken_settings_are_told_a_line_each_and_names_that_are_near_suggested(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text("[device]\nhost = 'x'\n[mqtt]\nport = 'x'\n")
    told = run("config", "check", str(file)).stderr.splitlines()
    assert told[0] == "error: 2 settings break a rule"
    assert [line.startswith(f"  {file}:") for line in told[1:]] == [True, True, False]

    state = {"XDG_STATE_HOME": str(tmp_path)}
    run("--config", "/dev/null", "collection", "create", "faces", **state)
    told = run("--config", "/dev/null", "collection", "show", "fases", **state).stderr.splitlines()
    assert told[0] == "error: collection 'fases' does not exist, did you mean 'faces'?"
    assert "did you mean 'edge-face-detector-" in run("models", "show", "edge-face-detector").stderr


def test_a_key_below_the_wrong_table_is_told_with_its_line_and_where_it_belongs(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[device]\nname = "porch"\n[[cameras]]\nname = "door"\nhomeassistant.enabled = true\n')
    done = run("config", "check", str(file))
    assert done.returncode == 1
    assert (
        f"{file}:5: cameras[0].homeassistant: unknown setting; [homeassistant] is a section of its own" in done.stderr
    )


def test_a_misspelled_setting_is_answered_with_the_one_that_it_resembles(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[[cameras]]\nname = "door"\nheigth = 720\n')
    assert "unknown setting, did you mean 'height'?" in run("config", "check", str(file)).stderr


def test_a_deep_check_looks_for_models_and_stored_sources(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[[cameras]]\nname = "door"\ndetectors = ["yolov9"]\n')
    assert run("config", "check", str(file)).returncode == 0
    done = run("config", "check", "--deep", str(file), XDG_STATE_HOME=str(tmp_path))
    assert (done.returncode, "yolov9" in done.stderr) == (1, True)

    file.write_text(f'[[cameras]]\nname = "door"\nsource = "video:{tmp_path}/absent.mp4"\n')
    done = run("config", "check", "--deep", str(file), XDG_STATE_HOME=str(tmp_path))
    assert (done.returncode, "absent.mp4: no such file" in done.stderr) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not read")
def test_pictures_that_the_user_may_not_read_are_an_error_with_what_to_try(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "photos" / "alice").mkdir(parents=True)
    home.chmod(0o700)
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if folder != home and folder.stat().st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    python = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable]
    if subprocess.run([*python, "-c", "import edge"], capture_output=True, check=False).returncode:
        pytest.skip("this Python, or the package, cannot be read by another user")
    command = [*python, "-m", "edge", "enroll", "faces", str(home / "photos")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"XDG_STATE_HOME": str(state)}
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "Permission denied" in done.stderr
    assert "try: " in done.stderr


def test_a_thread_that_hangs_does_not_keep_the_process_from_ending_in_order() -> None:
    """Inside C++ it would be unwound by the interpreter's finalization, which ends in SIGABRT."""
    program = (
        "import threading, time\n"
        "from edge.cli.main import _exit\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print('last words')\n"
        "_exit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (3, "last words\n")


def test_an_error_of_several_lines_keeps_its_lines_and_none_looks_like_another_error() -> None:
    message = "two lines cannot be used:\n  x.csv:1: no label\nerror: \x1b[2Jfaked"
    shown = _lines(message).split("\n")
    assert shown == ["two lines cannot be used:", "  x.csv:1: no label", "  error: \\u001b[2Jfaked"]
