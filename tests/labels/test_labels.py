"""Custom labels without a model: reading examples, learning, judging, keeping versions."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import InputError, NotFoundError, StoreError
from edge.core.types import Box
from edge.labels import ground_truth, manifests
from edge.labels.evaluation import NONE, evaluate, picture, split, summary
from edge.labels.examples import Annotation, Example
from edge.labels.head import Head, best_threshold, fit
from edge.labels.store import Labels
from edge.labels.version import HEAD, Made


def vectors_of(labels: list[int], noise: float = 0.05, dimensions: int = 32) -> np.ndarray:
    """Embeddings as the base makes them: all in one direction, a little apart by label."""
    random = np.random.default_rng(3)
    centers = 1.0 + 0.3 * random.standard_normal((max(labels) + 1, dimensions))
    made = centers[labels] + noise * random.standard_normal((len(labels), dimensions))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def learned(exclusive: bool = True) -> tuple[Head, np.ndarray, np.ndarray]:
    kinds = [0] * 10 + [1] * 10 + [2] * 4
    vectors = vectors_of(kinds)
    truth = np.array([[kind == 0, kind == 1 or (not exclusive and kind == 0)] for kind in kinds])
    return fit(["cat", "dog"], vectors, truth, np.arange(len(kinds))), vectors, truth


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_was_learned_is_told_apart_and_the_negative_class_is_not_reported(exclusive: bool) -> None:
    head, vectors, truth = learned(exclusive)
    assert head.exclusive is exclusive
    assert head.labels == ("cat", "dog")
    said = head.probabilities(vectors) >= head.thresholds
    assert (said == truth).all()


def test_the_same_examples_make_the_same_head() -> None:
    np.testing.assert_array_equal(learned()[0].weights, learned()[0].weights)


def test_a_rare_label_is_found_beside_a_frequent_one() -> None:
    kinds = [0] * 200 + [1] * 3
    vectors = vectors_of(kinds, noise=0.2)
    truth = np.array([[kind == 0, kind == 1] for kind in kinds])
    head = fit(["often", "rare"], vectors, truth, np.arange(len(kinds)))
    assert head.probabilities(vectors[200:])[:, 1].min() > 0.5


def test_one_label_alone_has_nothing_to_be_told_from() -> None:
    with pytest.raises(InputError, match="two labels") as caught:
        fit(["cat"], vectors_of([0, 0]), np.array([[True], [True]]), np.arange(2))
    assert "_negative" in caught.value.hint


def test_a_head_refuses_vectors_of_another_base() -> None:
    with pytest.raises(InputError, match="dimensions"):
        learned()[0].probabilities(np.ones((1, 8), np.float32))


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_has_a_better_f1_than_the_chosen_one(rows: list[tuple[float, bool]]) -> None:
    values = np.array([value for value, _ in rows], np.float32)
    there = np.array([flag for _, flag in rows])

    def f1(threshold: float) -> float:
        said = values >= threshold
        return 2 * (said & there).sum() / max(1, said.sum() + there.sum())

    chosen = best_threshold(values, there)
    assert 0.05 <= chosen <= 0.99
    if there.any() and values.min() >= 0.05 and values.max() <= 0.99:
        assert f1(chosen) >= max(f1(float(value)) for value in values) - 1e-9


def test_an_evaluation_counts_what_was_said() -> None:
    truth = np.array([[True, False], [True, False], [False, True], [False, False]])
    said = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.6, 0.1]], np.float32)
    result = evaluate(["cat", "dog"], np.array([0.5, 0.5], np.float32), said, truth)
    cat, dog = result.labels
    assert (cat.precision, cat.recall, cat.f1) == (0.5, 0.5, 0.5)
    assert (dog.precision, dog.recall) == (0.5, 1.0)
    cells = {(true, said): share for true, said, share in result.confusion}
    assert cells["cat", "dog"] == 0.5
    assert cells[NONE, "cat"] == 1.0
    assert picture(result).shape[2] == 3
    document = summary(result, "arn", "2026-11-22T00:00:00Z", 10)
    assert document["AggregatedEvaluationResults"]["F1Score"] == result.f1


def test_a_summary_with_boxes_counts_pictures(tmp_path: Path) -> None:
    """Three pictures with five boxes are three pictures, and averages stand where a matrix would count boxes."""
    truth = np.array([[True, False], [True, False], [True, False], [False, True], [False, True]])
    said = np.array([[0.9, 0.1], [0.8, 0.1], [0.2, 0.1], [0.1, 0.9], [0.1, 0.9]], np.float32)
    result = evaluate(["walker", "dog"], np.array([0.5, 0.5], np.float32), said, truth)
    box = Box(0.1, 0.1, 0.4, 0.9)
    walkers = Example(tmp_path / "1.jpg", (Annotation("walker", box),) * 3)
    both = Example(tmp_path / "2.jpg", (Annotation("walker", box), Annotation("dog", box)))
    dog = Example(tmp_path / "3.jpg", (Annotation("dog", box),))
    document = summary(result, "arn", "2026-11-22T00:00:00Z", 10, (walkers, both, dog))
    assert document["EvaluationDetails"]["NumberOfTestingImages"] == 3
    counts = {one["Label"]: one["NumberOfTestingImages"] for one in document["LabelEvaluationResults"]}
    assert counts == {"walker": 2, "dog": 2}
    aggregated = document["AggregatedEvaluationResults"]
    assert (aggregated["AveragePrecision"], aggregated["AverageRecall"]) == (result.precision, result.recall)
    assert "ConfusionMatrix" not in aggregated


def test_the_split_keeps_every_label_on_both_sides_and_is_the_same_again() -> None:
    examples = [
        Example(Path(f"{label}{i}"), (Annotation(label),))
        for label, n in (("a", 10), ("b", 2), ("c", 1))
        for i in range(n)
    ]
    learn, test = split(examples)
    assert sorted(len([e for e in test if e.labels == {label}]) for label in "abc") == [0, 1, 2]
    assert {e.path for e in learn} | {e.path for e in test} == {e.path for e in examples}
    assert (learn, test) == split(list(reversed(examples)))


def test_a_manifest_line_that_was_written_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    example = Example(
        tmp_path / "a.jpg", (Annotation("cup", Box(0.25, 0.5, 0.5, 0.75)), Annotation("kitchen")), "a.jpg"
    )
    text = ground_truth.line(example, (400, 200))
    assert json.loads(text)["boxes"]["annotations"][0] == {
        "class_id": 0,
        "left": 100,
        "top": 100,
        "width": 100,
        "height": 50,
    }
    (tmp_path / "m.manifest").write_text(text + "\n")
    assert manifests.read(tmp_path / "m.manifest").examples == (example,)


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "[" * 100_000, '{"source-ref": 3}', '{"source-ref": "a\\u0000b"}', '{"source-ref": "s3://else/a.jpg"}',
        '{"source-ref": "s3://pets/../../etc/passwd"}', '{"source-ref": "' + "x" * 300 + '"}',
        '{"source-ref": "' + "x" * 5000 + '"}',
        '{"source-ref": "missing.jpg"}',
        '{"source-ref":"a.jpg","b":{"image_size":[{"width":0,"height":0}],"annotations":[{"left":1}]},"b-metadata":{"type":"groundtruth/object-detection","class-map":{}}}',
        '{"source-ref":"a.jpg","b-metadata":{"type":"groundtruth/object-detection"}}',
        '{"source-ref":"a.jpg","b":{"image_size":[{"width":9,"height":9}],"annotations":[{"class_id":0,"left":1e999,"top":0,"width":1,"height":1}]},"b-metadata":{"type":"groundtruth/object-detection","class-map":{"0":"x"}}}',
        '{"source-ref":"a.jpg","l-metadata":{"type":"groundtruth/image-classification","class-name":""}}',
        '{"source-ref":"a.jpg","l-metadata":{"type":"groundtruth/image-classification","class-name":"a\\nb"}}',
    ],
)  # fmt: skip
def test_a_hostile_line_is_named_and_the_good_ones_are_kept(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    good = '{"source-ref":"a.jpg","l":1,"l-metadata":{"type":"groundtruth/image-classification","class-name":"cat"}}\n'
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    lines = [good.replace("a.jpg", f"{number}.jpg") for number in range(5)]
    file = tmp_path / "m.manifest"
    file.write_text("".join([*lines, line + "\n"]))
    found = manifests.read(file, {"pets": tmp_path})
    assert len(found.examples) == 5
    assert found.problems[0].startswith("m.manifest:6: ")
    file.write_text(line)
    with pytest.raises(InputError, match="lines are invalid"):
        manifests.read(file, {"pets": tmp_path})


def test_nothing_and_too_many_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no examples"):
        manifests.read(tmp_path)
    for number in range(251):
        (tmp_path / f"l{number}").mkdir()
        (tmp_path / f"l{number}" / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="at most 250 labels, got 251"):
        manifests.read(tmp_path)


def test_a_csv_field_that_never_ends_is_a_bad_line(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    lines = [f"{number}.jpg,cat" for number in range(5)]
    (tmp_path / "m.csv").write_text("\n".join(["x" * 200_000 + ",cat", *lines]))
    found = manifests.read(tmp_path / "m.csv")
    assert len(found.examples) == 5
    assert found.problems[0].startswith("m.csv:1: ")


def test_csv_has_labels_and_boxes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "m.csv").write_text("picture,label\na.jpg,cat\na.jpg,cup,0.1,0.1,0.5,0.5\n")
    (example,) = manifests.read(tmp_path / "m.csv").examples
    assert example.marks == (Annotation("cat"), Annotation("cup", Box(0.1, 0.1, 0.5, 0.5)))


def made() -> Made:
    head, vectors, truth = learned()
    result = evaluate(head.labels, head.thresholds, head.probabilities(vectors), truth)
    return Made(head, result, "base", "space", (), [Example(Path("a.jpg"), (Annotation("cat"),))], [])


def test_versions_are_kept_chosen_and_deleted(tmp_path: Path) -> None:
    store = Labels(tmp_path)
    first, second = store.save("pets", made()), store.save("pets", made())
    assert [one.number for one in store.versions("pets")] == [1, 2]
    assert store.version("pets").number == 1, "a new version is not used before somebody says so"
    store.use(second)
    assert store.version("pets") == store.version("pets", 2)
    assert store.version("pets").current
    np.testing.assert_array_equal(store.head(second).weights, made().head.weights)
    store.delete(store.version("pets", 2))
    store.delete(first)
    assert store.names() == []
    with pytest.raises(NotFoundError):
        store.version("pets")


def test_the_pictures_of_a_version_are_known_again_whatever_their_files_are_called(tmp_path: Path) -> None:
    store = Labels(tmp_path)
    odd = [
        Example(Path(name), (Annotation("cat"),))
        for name in (os.fsdecode(b"caf\xe9.jpg"), "a\u2028b.jpg", "c\x85\n.jpg")
    ]
    version = store.save("pets", replace(made(), learned=odd[:2], tested=odd[2:]))
    assert store.examples(version) == (odd[:2], odd[2:])


def test_a_damaged_head_is_not_used(tmp_path: Path) -> None:
    store = Labels(tmp_path)
    version = store.save("pets", made())
    path = version.folder / HEAD
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError, match="sha256"):
        store.head(version)
    with pytest.raises(InputError):
        store.save("../pets", made())


EVALUATED = json.dumps({
    "source-ref": "a.jpg",
    "yard": 1,
    "yard-metadata": {"confidence": 1, "class-name": "cat", "human-annotated": "yes", "job-name": "labeling-job/yard",
                      "creation-date": "2020-06-26T17:46:39.176", "type": "groundtruth/image-classification"},
    "rekognition-custom-labels-training-0": 1,
    "rekognition-custom-labels-training-0-metadata": {
        "confidence": 0.73, "class-name": "dog", "human-annotated": "no", "job-name": "rekognition-custom-labels-1",
        "creation-date": "2020-06-26T17:46:39.176", "type": "groundtruth/image-classification"},
    "rekognition-custom-labels-evaluation-details": {
        "version": "1.0", "is-true-positive": False, "is-true-negative": False, "is-false-positive": True,
        "is-false-negative": False, "is-present-in-ground-truth": False, "ground-truth-labelling-jobs": ["yard"]},
})  # fmt: skip
"""a line of the manifest that Rekognition writes when it evaluates a version"""


def test_what_an_evaluation_added_to_a_manifest_is_a_prediction_and_no_truth(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "m.manifest").write_text(EVALUATED + "\n")
    (example,) = manifests.read(tmp_path / "m.manifest").examples
    assert example.labels == {"cat"}


def test_a_manifest_of_ten_thousand_labels_is_refused_in_words_and_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    kind = '"type":"groundtruth/image-classification"'
    one = '{{"source-ref":"{0}.jpg","l":1,"l-metadata":{{' + kind + ',"class-name":"n{0}"}}}}'
    (tmp_path / "m.manifest").write_text("\n".join(one.format(number) for number in range(10_000)))
    for number in range(10_000):
        (tmp_path / f"{number}.jpg").hardlink_to(tmp_path / "a.jpg")
    tracemalloc.start()
    with pytest.raises(InputError, match="at most 250 labels, got 10000") as caught:
        manifests.read(tmp_path / "m.manifest")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert caught.value.hint == "split them"


@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_examples_or_words(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("m.manifest", "m.csv"):
            file = Path(folder) / name
            file.write_bytes(data)
            with contextlib.suppress(InputError):
                manifests.read(file)
