"""A new face is judged by likeness: what everybody of a kind shares does not count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.types import Space
from edge.inference.calibration import Calibration
from edge.inference.scoring import Cohort, FaceScorer
from edge.recognition.enrollment_check import check_enrollment
from edge.recognition.store.collection import Collection
from edge.recognition.store.face_rows import NewFace
from edge.recognition.subject_search import SubjectSearch

Vectors = NDArray[np.float32]
Units = Callable[..., Vectors]
Faces = Callable[..., list[NewFace]]
SCORES = Calibration(((-20.0, 0.0), (0.0, 40.0), (4.0, 80.0), (8.0, 99.0), (30.0, 100.0)))


def of_a_kind(people: Vectors) -> Vectors:
    """Unit vectors of people whose pictures share half of what they show: cosines about .5."""
    mixed = people + np.eye(people.shape[1], dtype=np.float32)[3]
    vectors: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return vectors


@pytest.fixture
def kind(staff: Collection, unit: Units, faces: Faces, space: Space) -> SubjectSearch:
    """Twelve people of a kind, and a cohort of the same kind."""
    staff.add(faces(of_a_kind(unit(12, seed=2))), space)
    return SubjectSearch(staff, FaceScorer(SCORES, Cohort(of_a_kind(unit(500, seed=5)), 50)))


def test_a_stranger_of_the_same_kind_may_be_enrolled(kind: SubjectSearch, unit: Units) -> None:
    strangers = of_a_kind(unit(20, seed=9))
    refused = [
        sum("enrolled already" in check_enrollment(search, one, "carol").harm for one in strangers)
        for search in (SubjectSearch(kind.collection), kind)
    ]
    assert refused[0] == 20
    assert refused[1] <= 4


def test_a_look_at_a_subject_under_another_name_is_refused_and_its_likeness_told(
    kind: SubjectSearch, unit: Units
) -> None:
    again = of_a_kind(unit(12, seed=2) + 0.02 * unit(12, seed=7))[0]
    moved = again + 0.35 * unit(1, seed=8)[0]
    moved /= np.linalg.norm(moved)
    harm = check_enrollment(kind, moved, "carol").harm
    assert "it looks like s0, who is enrolled already" in harm
    assert int(harm.partition("(")[2].partition(" of 100")[0]) > 70
    assert "nothing like s5" in check_enrollment(kind, moved, "s5").harm
    assert not check_enrollment(kind, moved, "s0").harm


def test_the_same_picture_is_redundant(kind: SubjectSearch, unit: Units) -> None:
    assert check_enrollment(kind, of_a_kind(unit(12, seed=2))[0], "s0").redundant


def test_faces_of_another_embedder_of_the_same_dimensions_are_scored_by_cosine(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    cohort = Cohort(of_a_kind(unit(500, seed=5)), 50)
    other, own = (FaceScorer(SCORES, cohort, model) for model in ("0" * 64, space.model))
    staff.add(faces(unit(4, seed=3)), space)
    assert SubjectSearch(staff, own).scorer is own
    assert SubjectSearch(staff, other).scorer.cohort is None
    look = unit(1, seed=9)
    alone = SubjectSearch(staff).subjects(look)
    assert SubjectSearch(staff, other).subjects(look) == alone != SubjectSearch(staff, own).subjects(look)
