"""Captions hide nobody where there is room, and stay in the picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.imaging.drawing import DrawnBox, annotated
from edge.core.types import Box

WIDTH, HEIGHT = 640, 480
GRAY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def a_face(left: int, top: int, side: int = 80) -> Box:
    return Box(left / WIDTH, top / HEIGHT, (left + side) / WIDTH, (top + side) / HEIGHT)


def hidden(canvas: np.ndarray, box: Box) -> float:
    """Share of a box, its edge apart, that is not as it was."""
    inside = canvas[
        round(box.top * HEIGHT) + 3 : round(box.bottom * HEIGHT) - 2,
        round(box.left * WIDTH) + 3 : round(box.right * WIDTH) - 2,
    ]
    return float((inside != 90).any(axis=2).mean())


def test_captions_hide_no_face_of_a_group() -> None:
    faces = [a_face(x, y) for y in (30, 150, 270) for x in (20, 130, 240, 350, 460)]
    canvas = annotated(GRAY, [DrawnBox(face, f"ann 97  1-{number}") for number, face in enumerate(faces)])
    assert max(hidden(canvas, face) for face in faces) == 0
    assert (canvas != 90).any(), "and there are captions"


def test_a_caption_is_above_its_box_below_it_at_the_top_and_in_the_picture_in_the_corner() -> None:
    for face, rows in ((a_face(200, 200), slice(150, 199)), (a_face(200, 0), slice(83, 130))):
        canvas = annotated(GRAY, [DrawnBox(face, "alice 97  1-2", (0, 130, 60))])
        assert (canvas[rows] == (0, 130, 60)).all(axis=2).sum() > 500
        assert hidden(canvas, face) == 0
    corner = a_face(600, 440, 40)
    canvas = annotated(GRAY, [DrawnBox(corner, "alice 97  1-2", (0, 130, 60))])
    assert (canvas > 200).all(axis=2).sum() > 20, "the text is not cut off"
    assert hidden(canvas, corner) == 0


def test_letters_that_the_font_lacks_lose_their_accents() -> None:
    plain, accents = (annotated(GRAY, [DrawnBox(a_face(200, 200), text)]) for text in ("Jurgen", "Jürgen"))
    assert (plain == accents).all()
    assert (annotated(GRAY, [DrawnBox(a_face(200, 200), "花子")]) != GRAY).any()


boxes = st.tuples(st.floats(-0.5, 1.4), st.floats(-0.5, 1.4), st.floats(0, 1), st.floats(0, 1)).map(
    lambda one: Box(one[0], one[1], one[0] + one[2], one[1] + one[3])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(boxes, st.text(max_size=60)), max_size=6))
def test_any_box_and_any_text_can_be_drawn(shown: list[tuple[Box, str]]) -> None:
    assert annotated(GRAY, [DrawnBox(box, text) for box, text in shown]).shape == GRAY.shape
