"""What people confirm makes a head better, and a version that is worse on the fixed test is not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import InputError, StoreError
from edge.labels.evaluation import evaluate
from edge.labels.examples import Annotation, ConfirmedExample, Example
from edge.labels.head import fit
from edge.labels.refit import refit
from edge.labels.store import Labels
from edge.labels.training_rows import StoredRows, unpacked
from edge.labels.version import ROWS, Made

DIMENSIONS = 16
CENTERS = np.eye(3, DIMENSIONS)


def some(kind: int, count: int, noise: float, seed: int) -> np.ndarray:
    made = CENTERS[kind] + noise * np.random.default_rng(seed).standard_normal((count, DIMENSIONS))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def truth_of(kinds: list[int]) -> np.ndarray:
    return np.array([[kind == 0, kind == 1] for kind in kinds])


def taught_with(state: Path, learn: int, rows: bool = True) -> Labels:
    """'pets' in use: cats and dogs, few of them and hard to tell; a test of 60."""
    vectors = np.vstack([some(0, learn, 0.5, 1), some(1, learn, 0.5, 2)])
    kinds = [0] * learn + [1] * learn
    tests, tested = np.vstack([some(0, 30, 0.3, 3), some(1, 30, 0.3, 4)]), [0] * 30 + [1] * 30
    head = fit(["cat", "dog"], vectors, truth_of(kinds), np.arange(len(kinds)))
    result = evaluate(head.labels, head.thresholds, head.answers(tests), truth_of(tested))
    rest = StoredRows(vectors, truth_of(kinds), np.arange(len(kinds)), tests, truth_of(tested))
    example = Example(Path("a.jpg"), (Annotation("cat"),))
    store = Labels(state)
    store.use(
        store.save("pets", Made(head, result, "base", "space", (), [example], [example], (), rest if rows else None))
    )
    return store


def answered(count: int, wrong: bool = False) -> list[ConfirmedExample]:
    found = []
    for kind, label in ((0, "cat"), (1, "dog")):
        for vector in some(kind, count, 0.3, 10 + kind):
            found.append(
                ConfirmedExample(len(found) + 1, ("dog" if label == "cat" else "cat") if wrong else label, vector)
            )
    return found


def test_answers_make_the_version_in_use_better(tmp_path: Path) -> None:
    store = taught_with(tmp_path, 2)
    done = refit(store, "pets", answered(10))
    assert done.used
    assert done.after.f1 > done.before.f1
    assert done.after.examples == 60, "the test is the same"
    now = store.version("pets")
    assert (now.number, now.confirmed, now.learned) == (2, 20, 1)
    again = refit(store, "pets", answered(10))
    assert again.before.f1 == done.after.f1, "the test goes on from version to version"


def test_wrong_answers_are_learned_and_not_used(tmp_path: Path) -> None:
    store = taught_with(tmp_path, 8)
    done = refit(store, "pets", answered(30, wrong=True))
    assert done.after.f1 < done.before.f1
    assert not done.used
    assert store.version("pets").number == 1
    assert refit(store, "pets", answered(30, wrong=True), force=True).used


def test_a_new_label_needs_two_answers(tmp_path: Path) -> None:
    store = taught_with(tmp_path, 4)
    birds = [ConfirmedExample(100 + i, "bird", vector) for i, vector in enumerate(some(2, 5, 0.2, 9))]
    lonely = ConfirmedExample(200, "fish", birds[0].vector)
    done = refit(store, "pets", [*answered(4), *birds, lonely])
    assert done.left_out == ("fish",)
    assert done.version.labels == ("cat", "dog", "bird")
    head = store.head(done.version)
    assert head.labels[int(head.answers(some(2, 1, 0.1, 20))[0].argmax())] == "bird"


def test_what_shows_none_of_the_labels_is_an_example_too(tmp_path: Path) -> None:
    store = taught_with(tmp_path, 8)
    nothing = [ConfirmedExample(i + 1, None, vector) for i, vector in enumerate(some(2, 6, 0.2, 9))]
    done = refit(store, "pets", nothing)
    assert store.head(done.version).answers(some(2, 1, 0.1, 20)).max() < 0.5


def test_nothing_to_learn_from_is_a_clear_error(tmp_path: Path) -> None:
    store = taught_with(tmp_path, 2)
    with pytest.raises(InputError, match="no answers yet"):
        refit(store, "pets", [])
    with pytest.raises(InputError, match="no answers yet"):
        refit(store, "pets", [ConfirmedExample(1, "cat", np.ones(3, np.float32))])
    other = taught_with(tmp_path / "other", 2, rows=False)
    with pytest.raises(InputError, match="no stored training rows"):
        refit(other, "pets", answered(2))


def test_damaged_rows_are_told(tmp_path: Path) -> None:
    store = taught_with(tmp_path, 2)
    path = store.version("pets").folder / ROWS
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StoreError, match="cannot be used"):
        refit(store, "pets", answered(2))
    assert store.version("pets").number == 1


def test_rows_come_back_as_they_were_kept() -> None:
    rows = StoredRows(
        some(0, 3, 0.1, 1), truth_of([0, 1, 2]), np.array([0, 0, 1]), some(1, 2, 0.1, 2), truth_of([1, 1, 0])
    )
    back = unpacked(rows.packed(), "rows")
    np.testing.assert_allclose(back.vectors, rows.vectors, atol=1e-3)
    np.testing.assert_array_equal(back.truth, rows.truth)
    np.testing.assert_array_equal(back.test_truth, rows.test_truth)
