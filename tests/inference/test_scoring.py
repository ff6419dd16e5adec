from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import ModelError
from edge.core.storage import files
from edge.inference.calibration import Calibration
from edge.inference.card import CohortFile
from edge.inference.scoring import CLIP, NEUTRAL, NOBODY, Cohort, FaceScorer, read_cohort

Vectors = NDArray[np.float32]
SCORES = Calibration(((-20.0, 0.0), (0.0, 40.0), (4.0, 80.0), (8.0, 99.0), (30.0, 100.0)))


def people(count: int, seed: int, alike: float = 0.0) -> Vectors:
    """(count, 64) unit vectors of people; ``alike``: share of what all of them have in common."""
    random = np.random.default_rng(seed)
    common = np.eye(64, dtype=np.float32)[0]
    own = random.standard_normal((count, 64)).astype(np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    mixed: Vectors = alike * common + (1 - alike) * own
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def test_statistics_are_mean_and_deviation_of_the_highest_cosines() -> None:
    cohort, face = people(300, 1), people(1, 2)
    (found,) = FaceScorer(SCORES, Cohort(cohort, 20)).statistics(face)
    highest = np.sort(cohort @ face[0])[-20:]
    assert found == pytest.approx((float(highest.mean()), float(highest.std())), abs=1e-5)


def test_without_a_cohort_the_score_is_the_cosine() -> None:
    assert FaceScorer().statistics(people(2, 3)) == [NEUTRAL, NEUTRAL]
    assert FaceScorer().score(0.37, NEUTRAL, NEUTRAL) == pytest.approx(0.37)


def test_what_all_people_of_a_kind_have_in_common_is_no_likeness() -> None:
    """Strangers of a kind that resemble each other score like any strangers once the cohort knows the kind."""
    alike = people(60, 5, alike=0.5)
    general, mixed = Cohort(people(500, 6), 50), Cohort(np.concatenate([people(500, 6), people(200, 7, alike=0.5)]), 50)

    def mean_likeness(cohort: Cohort) -> float:
        scorer = FaceScorer(SCORES, cohort)
        return float(np.mean([np.mean(scorer.compare(alike[i], np.delete(alike, i, 0))) for i in range(20)]))

    unlike = FaceScorer(SCORES, general)
    strangers = people(60, 8)
    usual = np.mean([np.mean(unlike.compare(strangers[i], np.delete(strangers, i, 0))) for i in range(20)])
    assert mean_likeness(general) > usual + 20
    assert abs(mean_likeness(mixed) - usual) < 10


def test_further_people_raise_what_is_usual_and_a_double_hides_nobody() -> None:
    cohort, face = Cohort(people(500, 1), 50), people(1, 2)
    highest = cohort.highest(face)[0]
    (alone,) = cohort.with_others(highest, [NOBODY] * 3, 1)
    (among,) = cohort.with_others(highest, [NOBODY, *[0.5] * 30], 1)
    (double,) = cohort.with_others(highest, [NOBODY, 1.0], 1)
    assert alone == pytest.approx(FaceScorer(SCORES, cohort).statistics(face)[0], abs=1e-6)
    assert among[0] > alone[0] + 0.05
    assert double[0] <= alone[0] + 2 * CLIP * alone[1] / 50


@pytest.mark.parametrize("seed", range(30))
def test_each_candidate_has_the_statistics_of_the_cohort_and_everybody_else(seed: int) -> None:
    random = np.random.default_rng(seed)
    cohort = Cohort(people(60, seed), 20)
    highest = cohort.highest(people(1, seed + 100))[0]
    mean, deviation = float(highest.mean()), float(highest.std())
    others = random.uniform(-0.2, 0.7, random.integers(1, 12)).astype(np.float32)
    others[random.random(len(others)) < 0.2] = NOBODY
    others[random.random(len(others)) < 0.2] = random.choice(highest)
    strangers = random.uniform(-0.2, 0.5, random.integers(0, 40)).astype(np.float32)
    candidates = int(random.integers(1, len(others) + 1))
    plain = []
    for left_out in range(candidates):
        added = np.concatenate([np.delete(others, left_out), strangers])
        added = np.minimum(added[added > NOBODY], mean + CLIP * deviation)
        top = np.sort(np.concatenate([highest, added]).astype(np.float64))[-20:]
        plain.append((float(top.mean()), float(top.std())))
    found = cohort.with_others(highest, others.tolist(), candidates, strangers)
    assert np.array(found) == pytest.approx(np.array(plain), abs=1e-5)


def test_the_typical_cosine_has_its_likeness_between_two_usual_faces() -> None:
    scorer = FaceScorer(SCORES, Cohort(people(200, 9), 50, (0.3, 0.04)))
    cosine = scorer.typical_cosine(80.0)
    assert cosine == pytest.approx(0.3 + 4 * 0.04)
    assert scorer.likeness(cosine, (0.3, 0.04), (0.3, 0.04)) == pytest.approx(80.0)


def test_a_cohort_is_read_back_from_its_file(tmp_path: Path) -> None:
    path, vectors = tmp_path / "cohort.npy", people(120, 4)
    np.save(path, np.round(127 * vectors / np.abs(vectors).max()).astype(np.int8))
    read = read_cohort(path, CohortFile(sha256=files.sha256(path)), 64)
    assert read.size == 120
    assert np.einsum("ij,ij->i", read.vectors, vectors).min() > 0.999


def test_embedders_with_the_same_cohort_share_it_while_one_of_them_lives(tmp_path: Path) -> None:
    path, card = tmp_path / "cohort.npy", CohortFile()
    np.save(path, np.round(127 * people(120, 4)).astype(np.int8))
    first = read_cohort(path, card, 64)
    assert read_cohort(path, card, 64) is first
    assert read_cohort(path, CohortFile(nearest=60), 64) is not first

    np.save(path, np.round(127 * people(120, 5)).astype(np.int8))
    assert not np.array_equal(read_cohort(path, card, 64).vectors, first.vectors)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.unlink(), "cannot be read"),
        (lambda p: p.write_bytes(p.read_bytes()[:-9]), "cannot be read"),
        (lambda p: np.save(p, np.zeros((120, 64), np.int8)), "expected sha256"),
    ],
)
def test_a_cohort_that_is_missing_or_damaged_is_refused(tmp_path: Path, change: object, words: str) -> None:
    path = tmp_path / "cohort.npy"
    np.save(path, np.ones((120, 64), np.int8))
    digest = files.sha256(path)
    change(path)  # type: ignore[operator]
    with pytest.raises(ModelError, match=words):
        read_cohort(path, CohortFile(sha256=digest), 64)


def test_a_cohort_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.npy"
    np.save(path, np.ones((120, 32), np.int8))
    with pytest.raises(ModelError, match="rows of 64 int8"):
        read_cohort(path, CohortFile(), 64)
