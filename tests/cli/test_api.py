"""``edge api`` as a command: what it says when it starts, and when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def edge_api(tmp_path: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "edge.toml"
    config.write_text(f'state = "{tmp_path / "state"}"\n{text}')
    command = [sys.executable, "-m", "edge", "--config", str(config), "api", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("text", "arguments", "says", "hint"),
    [
        ("[api]\nembedder = 'no-such-model'\nport = 0", (), "no-such-model", "edge models list"),
        ("[api]\nport = 0", ("--host", "0.0.0.0"), "any client", "api.keys"),
        ("[api]\ntaxonomy = '/nowhere.toml'", (), "/nowhere.toml", "api.taxonomy"),
        ("[api]\nkeys = {}\nregion = 'No'", (), "api.region", ""),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_with_a_way_out(
    tmp_path: Path, text: str, arguments: tuple[str, ...], says: str, hint: str
) -> None:
    ended = edge_api(tmp_path, text, *arguments)

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith(("error:", "try:"))]
    assert says in errors[0]
    assert hint in errors[-1]


def test_its_help_ends_in_an_example(tmp_path: Path) -> None:
    ended = edge_api(tmp_path, "", "--help")

    assert "AWS_ENDPOINT_URL_REKOGNITION" in ended.stdout.rsplit("Example:", 1)[1]
