"""What ``sudo edge`` may read for its caller is not refused beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from edge.cli.main import edge
from edge.cli.paths import InputPath


def test_a_path_that_os_access_denies_is_left_to_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it is for the user edge with CAP_DAC_READ_SEARCH
    assert InputPath(exists=True).convert(str(tmp_path), None, None) == tmp_path
    with pytest.raises(click.BadParameter, match="does not exist"):
        InputPath(exists=True).convert(str(tmp_path / "absent"), None, None)


def test_every_command_that_the_wrapper_lets_read_takes_such_paths() -> None:
    for words in ("enroll", "search", "analyze", "labels train", "labels predict", "collection import", "models add"):
        command: click.Command | None = edge
        for word in words.split():
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
        assert command
        assert any(isinstance(one.type, InputPath) for one in command.params if isinstance(one, click.Argument)), words
