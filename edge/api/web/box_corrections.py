"""Boxes of a picture in the page's JSON: fractions 0..1 of its width and height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge.core.errors import InputError
from edge.labels.examples import Annotation, box_of, label_name
from edge.recognition.review.pictures import MOST_BOXES

if TYPE_CHECKING:
    from edge.core.types import Box
    from edge.recognition.review.pictures import ReviewPicture

SIDES = ("left", "top", "width", "height")


def document(picture: ReviewPicture, labels: Sequence[str]) -> dict[str, Any]:
    """``boxes`` that were detected, and ``labels`` to choose from. A box that is not ``found`` is a proposal."""
    return {
        "labels": list(labels),
        "boxes": [
            {"label": one.label, "probability": round(one.probability, 3), "found": one.found, **_sides(one.box)}
            for one in picture.proposed
        ],
    }


def given(document: dict[str, Any]) -> list[Annotation]:
    """Parse all boxes of a picture from ``{"boxes": [...]}``. Raises InputError."""
    rows = document.get("boxes")
    if not isinstance(rows, list) or len(rows) > MOST_BOXES:
        raise InputError(f"boxes: expected a list of at most {MOST_BOXES}", "delete some", code="boxes")
    return [_annotation(one) for one in rows]


def _annotation(one: object) -> Annotation:
    sides = [one.get(side) for side in SIDES] if isinstance(one, dict) else []
    if not isinstance(one, dict) or not all(isinstance(side, (int, float)) for side in sides):
        raise InputError(f"box: expected a label and the numbers {', '.join(SIDES)}", "use the page", code="boxes")
    left, top, width, height = map(float, sides)  # type: ignore[arg-type]
    return Annotation(label_name(one.get("label")), box_of(left, top, left + width, top + height))


def _sides(box: Box) -> dict[str, float]:
    return {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
