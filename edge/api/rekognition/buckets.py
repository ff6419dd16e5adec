"""Where the file of a bucket is that is not read as a picture: buckets are folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge.core.errors import InputError


def path_of(buckets: Mapping[str, Path], bucket: str, key: str) -> Path:
    """The file of a key. Raises InputError for a bucket that stands for no folder, or a key that leads out of it."""
    if bucket not in buckets:
        raise InputError(f"bucket {bucket!r} stands for no folder", "name it in [api.buckets]", code="bucket")
    root = os.path.realpath(buckets[bucket])
    path = Path(root if "\0" in key else os.path.realpath(Path(root) / key))
    if "\0" in key or not path.is_relative_to(root):
        raise InputError(f"key {key[:200]!r} leads out of its bucket", "choose another prefix", code="bucket")
    return path
