"""Completion of commands and names, asked by real shells."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rigs.waiting import eventually

from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

SUBJECTS = {"staff": ("alice", "Bob Jones", "o'neil"), "visitors": ("maria",)}
HEAVY = ("numpy", "cv2", "pydantic", "edge.core.settings", "edge.recognition")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a shell that finds a command ``edge`` and a state folder with names."""
    folder = tmp_path_factory.mktemp("shell")
    command = folder / "bin/edge"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom edge.cli.main import main\nmain()\n")
    command.chmod(0o755)
    with Collections(folder / "state", CollectionSettings(), maintain=False) as opened:
        for name, subjects in SUBJECTS.items():
            opened.create(name).add([face(number, one) for number, one in enumerate(subjects)], SPACE)
    (folder / "state/labels/pets/1").mkdir(parents=True)
    (folder / "state/sync/releases/2026-11-30.1").mkdir(parents=True)
    given = {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "STATE_DIRECTORY": f"{folder}/state",
    }
    return given | {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}


SPACE = Space("ab" * 32, "litert", 1, 8)


def face(number: int, subject: str) -> NewFace:
    return NewFace(np.eye(8, dtype=np.float32)[number], subject, f"{number:064x}", Box(0, 0, 1, 1), 0.9, 0.9)


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def bash(environment: dict[str, str], lines: list[str]) -> list[list[str]]:
    """What the installed function of bash puts into COMPREPLY for each line; nothing may reach stderr."""
    asks = []
    for line in lines:
        words = line.split(" ")
        given = " ".join(shlex.quote(word) for word in words)
        asks.append(
            f"COMPREPLY=(); COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _edge_completion edge;"
            ' printf "%s\\t" "${COMPREPLY[@]}"; echo'
        )
    script = 'eval "$(_EDGE_COMPLETE=bash_source edge)"\ncompopt() { :; }\n' + "\n".join(asks)
    done = run(environment, "bash", "--norc", "-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    return [[word for word in line.split("\t") if word] for line in done.stdout.splitlines()]


ASKED = {
    "edge coll": ["collection"],
    "edge collection show ": ["staff", "visitors"],
    "edge enroll visitors --subject ": ["maria"],
    "edge forget ": ["alice", r"Bob\ Jones", "maria", r"o\'neil"],
    "edge models show edge-face-embedder-": ["edge-face-embedder-1", "edge-face-embedder-2"],
    "edge models get ssd-mobilenet-v1": ["ssd-mobilenet-v1-coco"],
    "edge labels predict ": ["pets"],
    "edge release show ": ["2026-11-30.1"],
}


def test_bash_completes_commands_options_and_names(shell: dict[str, str]) -> None:
    assert dict(zip(ASKED, bash(shell, list(ASKED)), strict=True)) == ASKED


def test_a_key_in_an_interactive_bash_completes_a_subject_with_a_space(shell: dict[str, str]) -> None:
    prompt = "ready> "
    parent, child = pty.openpty()
    typed = "edge forget Bo\t"
    with subprocess.Popen(
        ["bash", "--norc", "-i"], env=shell | {"PS1": prompt, "TERM": "dumb"}, stdin=child, stdout=child, stderr=child,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(child)
        os.set_blocking(parent, False)
        seen = ""

        def shows(words: str) -> bool:
            nonlocal seen
            try:
                seen += os.read(parent, 65536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.05)
            return words in seen

        try:
            os.write(parent, b'eval "$(_EDGE_COMPLETE=bash_source edge)"; echo loa""ded\n')
            assert eventually(lambda: shows("loaded\r\n"), 30), seen
            os.write(parent, typed.encode())
            assert eventually(lambda: shows(r"edge forget Bob\ Jones "), 30), seen
        finally:
            process.kill()
            os.close(parent)


@pytest.mark.parametrize("program", ["zsh", "fish"])
def test_zsh_and_fish_get_names_as_they_are(shell: dict[str, str], program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"needs {program}: apt-get install {program}")
    script = run(shell | {"_EDGE_COMPLETE": f"{program}_source"}, "edge").stdout
    check = Path(shell["HOME"]) / f"edge.{program}"
    check.write_text(script)
    assert run(shell, program, "-n", str(check)).returncode == 0
    if program == "fish":
        asked = run(shell, "fish", "--no-config", "-c", f"source {check}; complete -C 'edge forget B'")
    else:
        asked = run(
            shell | {"_EDGE_COMPLETE": "zsh_complete", "COMP_WORDS": "edge forget B", "COMP_CWORD": "2"}, "edge"
        )
    assert "Bob" in asked.stdout
    assert "Jones" in asked.stdout
    assert asked.stderr == ""


def test_where_nothing_can_be_read_no_name_is_offered_and_nothing_is_printed(
    shell: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "collections.sqlite").write_bytes(b"damaged" * 1000)
    (tmp_path / "labels").write_text("a file in place of a folder")
    (tmp_path / "broken.toml").write_text("state = [")
    for folder in (tmp_path, tmp_path / "absent"):
        lost = shell | {"STATE_DIRECTORY": str(folder), "EDGE_CONFIG": str(tmp_path / "broken.toml")}
        assert bash(lost, ["edge forget ", "edge labels predict "]) == [[], []]
    assert not (tmp_path / "absent").exists()


def test_the_state_folder_of_the_settings_counts(shell: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(f'state = "{shell["STATE_DIRECTORY"]}"\n')
    elsewhere = shell | {"STATE_DIRECTORY": str(tmp_path)}
    asked = bash(elsewhere, [f"edge --config {tmp_path}/edge.toml collection show s", "edge collection show s"])
    assert asked == [["staff"], []]


def test_an_encrypted_name_is_not_offered(shell: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(shell["STATE_DIRECTORY"], tmp_path / "state")
    shutil.rmtree(tmp_path / "state/labels")
    shutil.rmtree(tmp_path / "state/sync")
    sealed = shell | {"STATE_DIRECTORY": f"{tmp_path}/state"}
    key = run(sealed, "edge", "encryption", "key").stdout.strip()
    done = run(sealed | {"EDGE_ENCRYPTION__KEY": key}, "edge", "encryption", "on")
    assert done.returncode == 0, done.stderr
    assert bash(sealed, ["edge forget ", "edge collection show "]) == [[], ["staff", "visitors"]]


def test_names_are_completed_without_the_settings_and_the_stores(shell: dict[str, str]) -> None:
    asked = shell | {"_EDGE_COMPLETE": "bash_complete", "COMP_WORDS": "edge forget ", "COMP_CWORD": "2"}
    code = "import sys; sys.argv[0] = 'edge'; from edge.cli.main import run\ntry: run([])\nfinally: print(*sys.modules)"
    loaded = run(asked, sys.executable, "-c", code).stdout
    assert "plain,alice" in loaded
    assert [name for name in loaded.split() if name.startswith(HEAVY)] == []
