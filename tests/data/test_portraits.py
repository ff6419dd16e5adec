"""The sample pictures are the ones whose origin is written down, and small."""

from __future__ import annotations

from pathlib import Path

from edge.core.storage import files

PORTRAITS = Path(__file__).resolve().parents[2] / "edge" / "data" / "portraits"


def test_every_portrait_has_its_provenance_with_the_right_digest() -> None:
    text = (PORTRAITS / "PROVENANCE.md").read_text(encoding="utf-8")
    pictures = sorted(PORTRAITS.glob("*/*"))
    assert len({picture.parent for picture in pictures}) >= 2
    for picture in pictures:
        _, _, section = text.partition(f"## {picture.relative_to(PORTRAITS)}\n")
        assert files.sha256(picture) in section.partition("\n## ")[0], picture


def test_no_portrait_weighs_more_than_150_kilobytes() -> None:
    assert [p for p in PORTRAITS.glob("*/*") if p.stat().st_size > 150_000] == []
