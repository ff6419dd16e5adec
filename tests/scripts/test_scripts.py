"""The scripts a newcomer starts: they say what is missing, and the quickstart ends as it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.compat import tomllib

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(*words: str | Path, seconds: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.mark.parametrize("script", ["quickstart", "test", "check"])
def test_a_machine_without_a_fitting_python_is_told_what_to_install(script, tmp_path) -> None:
    venv = str(tmp_path / "venv")
    result = run(SCRIPTS / script, EDGE_PYTHON="/absent/python", EDGE_VENV=venv, EDGE_TEST_VENV=venv)
    assert result.returncode == 1
    assert "error: Python 3.10 to 3.14 is needed" in result.stderr
    assert "try: " in result.stderr
    assert not Path(venv).exists()


def test_a_machine_without_a_compiler_is_told_what_to_install(tmp_path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "basename", "cksum", "cat", "id", "env"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    result = run(
        SCRIPTS / "test",
        PATH=str(tools),
        EDGE_PYTHON=python,
        EDGE_TEST_VENV=str(tmp_path / "venv"),
        EDGE_INSTALL_PACKAGES="no",
    )
    assert result.returncode == 1
    assert "this machine lacks: g++" in result.stderr
    assert "try: sudo apt-get install g++" in result.stderr


def test_the_quickstart_without_any_models_says_so_before_it_starts_anything(tmp_path) -> None:
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import quickstart_run as q\n"
    program += f"from pathlib import Path; q.ROOT = Path({str(tmp_path)!r}); sys.argv = ['q']; sys.exit(q.main())"
    result = run(sys.executable, "-c", program, EDGE_SHARED=str(tmp_path / "absent"))
    assert result.returncode == 1
    assert "has no starter models" in result.stderr
    assert "broker" not in result.stdout


def test_no_extra_of_the_package_leads_back_to_itself() -> None:
    project = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def reached(extra: str, path: tuple[str, ...]) -> None:
        assert extra not in path, " -> ".join([*path, extra])
        for requirement in extras[extra]:
            for inner in re.findall(r"^edge\[([a-z0-9,]+)\]", requirement):
                for name in inner.split(","):
                    reached(name, (*path, extra))

    for extra in extras:
        reached(extra, ())


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_quickstart_recognizes_its_subjects_and_ends_by_itself() -> None:
    result = run(sys.executable, SCRIPTS / "quickstart_run.py", seconds=240)
    assert result.returncode == 0, result.stdout + result.stderr
    last = result.stdout.splitlines()[-1]
    found = re.fullmatch(r"quickstart: (\d+) events, 2 subjects recognized", last)
    assert found, result.stdout
    types = re.findall(r"  demo  (new|update|end) ", result.stdout)
    assert int(found[1]) == len(types)
    assert types.count("new") == types.count("end") > 0
