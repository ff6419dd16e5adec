"""Folders of pictures as people keep them: what a NAS, a desktop or a camera puts between them is left out."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edge.core.errors import InputError

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".heic", ".heif"})
"""of pictures, in small letters"""
_SYSTEM = re.compile(
    r"@eadir|@recycle|@tmp|@sharebin|@trash|@__thumb|@snapshot.*|@recently-snapshot|@syno.*|@download.*"
    r"|#recycle|#snapshot|\$recycle\.bin|recycle[dr]|~snapshot|system volume information|lost\+found|__macosx"
    r"|network trash folder|temporary items|thumbs\.db|ehthumbs\.db|desktop\.ini|syno(photo|file)_thumb.*"
    r"|.*(~|\.part|\.partial|\.crdownload|\.tmp|\.bak)",
    re.IGNORECASE,
)
"""folders and files that Synology, QNAP, Windows and macOS make beside pictures: thumbnails, and what was deleted;
copies of editors, and downloads that are not finished"""


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, temporary, or a system's own."""
    return name.startswith((".", "~$")) or _SYSTEM.fullmatch(name) is not None


def files_below(path: Path) -> list[Path]:
    """A file itself, or all files of a folder and the folders in it, by name, without those that are left out.

    Links are followed, each folder once: a link that leads back up ends there. Raises InputError for a path that is
    not there.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder", "check the path", code="unreadable")
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    seen: set[str] = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not is_left_out(name))
        if real not in seen:
            found += [Path(folder, name) for name in names if not is_left_out(name)]
        seen.add(real)
    return sorted(file for file in found if file.is_file())
