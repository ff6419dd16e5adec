from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.types import Space
from edge.inference.calibration import Calibration, false_match_rate
from edge.inference.scoring import Cohort, FaceScorer
from edge.recognition.collection_risk import estimate
from edge.recognition.identification import identity
from edge.recognition.score_policy import ScorePolicy
from edge.recognition.store.collection import Collection
from edge.recognition.store.face_rows import NewFace
from edge.recognition.subject_search import SubjectSearch

Vectors = NDArray[np.float32]
Faces = Callable[..., list[NewFace]]
D = 32


def people(count: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def scorer() -> FaceScorer:
    """Calibrated on random strangers, so that a likeness means what it says."""
    cohort = Cohort(people(2000, 1), 50)
    bare = FaceScorer(cohort=cohort)
    probes, enrolled = people(1500, 2), people(1500, 3)
    own, other = np.array(bare.statistics(probes)), np.array(bare.statistics(enrolled))
    cosines = probes @ enrolled.T
    scores = ((cosines - own[:, :1]) / own[:, 1:] + (cosines - other[None, :, 0]) / other[None, :, 1]) / 2
    at = {likeness: float(np.quantile(scores, 1 - false_match_rate(likeness))) for likeness in (40, 60, 80, 99)}
    points = ((-40.0, 0.0), *((score, float(likeness)) for likeness, score in at.items()), (at[99] + 3, 100.0))
    return FaceScorer(Calibration(points), cohort)


@pytest.mark.parametrize("false_names", [0.05, 0.2])
def test_the_estimate_holds_for_strangers_that_were_held_back(
    staff: Collection, faces: Faces, space: Space, scorer: FaceScorer, false_names: float
) -> None:
    staff.add(faces(people(40, 7)), space)
    search = SubjectSearch(staff, scorer, ScorePolicy(false_names, margin=0.0))
    risk = estimate(search)
    strangers = people(3000, 8)
    named = np.mean([one[0].likeness >= search.needed for one in search.subjects(strangers)])
    assert risk.false_names is not None
    assert named / 3 < risk.false_names < 3 * named
    assert (risk.subjects, risk.needed) == (40, search.needed)


def test_strangers_of_the_site_that_resemble_the_subjects_raise_the_estimate(
    staff: Collection, faces: Faces, space: Space, scorer: FaceScorer
) -> None:
    enrolled = people(20, 7)
    staff.add(faces(enrolled), space)
    search = SubjectSearch(staff, scorer, ScorePolicy(0.01))
    near = enrolled[np.arange(60) % 20] + 0.9 * people(60, 9)
    alike = estimate(search, near / np.linalg.norm(near, axis=1, keepdims=True))
    assert (alike.false_names or 0) > 5 * (estimate(search).false_names or 1)
    assert alike.strangers == 60


def test_two_names_for_one_person_are_confusable_and_said_so(
    staff: Collection, faces: Faces, space: Space, scorer: FaceScorer
) -> None:
    vectors = people(12, 7)
    twin = vectors[0] + 0.1 * vectors[1]
    staff.add(faces(vectors), space)
    staff.add(faces((twin / np.linalg.norm(twin))[np.newaxis], "again", start=50), space)
    risk = estimate(SubjectSearch(staff, scorer))
    assert [(pair.subject, pair.other) for pair in risk.confusable] == [("again", "s0")]
    assert "confusable: again and s0" in risk.words()
    assert identity([], 80.0, 0.0, "staff").subject is None


def test_an_empty_collection_has_no_risk(staff: Collection, scorer: FaceScorer) -> None:
    risk = estimate(SubjectSearch(staff, scorer))
    assert (risk.false_names, risk.words()) == (None, "nobody is enrolled")
