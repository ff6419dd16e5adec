"""Which faces of a picture are worth indexing, and why the others are not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.api.rekognition.quality_filter import BARS, REASONS, best_of, sort_out
from edge.api.rekognition.shapes import DetectedFace
from edge.core.types import Box, Detection, Quality

LEVELS = ("NONE", "LOW", "AUTO", "MEDIUM", "HIGH")


def seen(size: float = 0.2, quality: float = 0.9, score: float = 0.95, reason: str = "") -> DetectedFace:
    return DetectedFace(Detection("face", score, Box(0, 0, size, size)), Quality(quality, reason))


@pytest.mark.parametrize(("reason", "told"), REASONS.items())
def test_what_is_not_worth_embedding_is_refused_with_its_reason_unless_nothing_is_filtered(
    reason: str, told: str
) -> None:
    face = seen(reason=reason)

    assert sort_out([face], "NONE") == ([face], [])
    assert sort_out([face], "LOW")[1][0].reasons == (told,)


def test_a_doubtful_or_poor_face_says_so() -> None:
    _, (doubtful,) = sort_out([seen(score=0.3)], "AUTO")
    _, (poor,) = sort_out([seen(quality=0.01)], "AUTO")

    assert doubtful.reasons == ("LOW_CONFIDENCE",)
    assert poor.reasons == ("LOW_FACE_QUALITY",)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20))
def test_a_stricter_level_passes_a_part_of_what_the_one_before_passes(values: list[tuple[float, float]]) -> None:
    faces = [seen(quality=quality, score=score) for quality, score in values]

    passed = [{id(one) for one in sort_out(faces, level)[0]} for level in LEVELS]

    assert len(passed[0]) == len(faces)
    assert all(stricter <= looser for looser, stricter in pairwise(passed))
    assert set(BARS) == set(LEVELS)


def test_of_too_many_faces_the_poorest_go_first_and_then_the_smallest() -> None:
    large_poor, middle, small, tiny = seen(0.5, 0.2), seen(0.3), seen(0.2), seen(0.1)

    kept, surplus = best_of([large_poor, middle, small, tiny], 2)
    most, _ = best_of([tiny, large_poor, small, middle], 4)

    assert kept == [middle, small]
    assert [one.seen for one in surplus] == [tiny, large_poor]
    assert {one.reasons for one in surplus} == {("EXCEEDS_MAX_FACES",)}
    assert most == [large_poor, middle, small, tiny]
