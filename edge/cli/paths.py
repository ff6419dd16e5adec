"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class InputPath(click.Path):
    """A file or folder to read, without a check of permissions in advance.

    click checks ``os.access``, which ignores capabilities: under sudo the command runs as the user edge, but may read
    the caller's files.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(path_type=Path, readable=False, **more)
