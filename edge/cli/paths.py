"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class InputPath(click.Path):
    """A file or folder to read. Whether it may be read is found out by reading it.

    click asks ``os.access``, which knows the user alone: under sudo the command is the user edge and yet may read the
    caller's files.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(path_type=Path, readable=False, **more)
