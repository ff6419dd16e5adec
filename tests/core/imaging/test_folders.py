"""Folders of a NAS, a desktop, a camera's card."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.imaging.folders import files_below, is_left_out

SYSTEM = [
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "Grace/@eaDir/1.jpg", "#recycle/Somebody/1.jpg", "#snapshot/1.jpg",
    "@Recycle/1.jpg", "@Recently-Snapshot/1.jpg", ".@__thumb/1.jpg", "$RECYCLE.BIN/1.jpg", "lost+found/1.jpg",
    "System Volume Information/1.jpg", "__MACOSX/1.jpg", ".hidden/1.jpg", "Grace/._1.jpg", "Grace/~$1.jpg",
    "Grace/Thumbs.db", "Grace/desktop.ini", "Grace/.DS_Store", "Network Trash Folder/1.jpg", "@tmp/1.jpg",
    "RECYCLED/1.jpg", "~snapshot/1.jpg", "Grace/1.jpg~", "Grace/1.jpg.part", "Grace/1.jpg.crdownload", "Grace/1.bak",
]  # fmt: skip


def test_what_systems_put_between_pictures_is_left_out(tmp_path: Path) -> None:
    for name in [*SYSTEM, "Grace/1.jpg", "#1 fan/1.jpg", "@home/1.jpg", "Grace/holiday/2.jpg"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = [str(path.relative_to(tmp_path)) for path in files_below(tmp_path)]
    assert found == ["#1 fan/1.jpg", "@home/1.jpg", "Grace/1.jpg", "Grace/holiday/2.jpg"]


@pytest.mark.parametrize("name", ["@eaDir", "@EADIR", "#Recycle", "Thumbs.db", "SYNOFILE_THUMB_S.png", "~$x.jpg", ".x"])
def test_names_are_left_out_whatever_their_case(name: str) -> None:
    assert is_left_out(name)
