"""Cards for files that have none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import ModelError
from edge.inference.card import parse_card, read_card
from edge.inference.onboarding.card_proposal import Hints, Proposal, propose
from edge.inference.validation import CheckReport, TensorReport

NOTHING_SAID = Hints()
COCO = {80: tuple(f"class {i}" for i in range(80))}
CARDS = Path(__file__).resolve().parents[3] / "models"


def tensor(name: str, *shape: int, dtype: str = "float32", scale: float = 0.0, zero_point: int = 0,
           low: float = 0.0, high: float = 1.0) -> TensorReport:  # fmt: skip
    return TensorReport(name, shape, dtype, scale, zero_point, low, high)


def proposed(
    tmp_path: Path, picture: TensorReport, *outputs: TensorReport, hints: Hints = NOTHING_SAID, data: bytes = b"x"
) -> Proposal:
    path = tmp_path / "My Model (1).tflite"
    path.write_bytes(data)
    report = CheckReport("litert", "", 1.0, 1.0, 50.0, (picture,), outputs)
    return propose(path, report, "0" * 64, hints, COCO)


YOLO = (tensor("in", 1, 224, 224, 3, dtype="int8", scale=1 / 255, zero_point=-128), tensor("out", 1, 84, 1029))
RFB = (tensor("in", 1, 240, 320, 3), tensor("b", 1, 4420, 4, low=-3, high=3), tensor("s", 1, 4420, 2))


def test_a_yolo_head_is_recognized_by_its_number_of_anchors(tmp_path: Path) -> None:
    found = proposed(tmp_path, *YOLO)

    card = parse_card(found.table, "proposed")
    assert not found.questions
    assert card.name == "my-model-1"
    assert card.file == "My-Model-1-.tflite"
    assert card.decoder is not None
    assert (card.decoder.name, card.decoder.tensors, len(card.labels)) == ("yolov8", ("#0",), 80)
    assert (card.input.fit, card.input.mean, card.input.std) == ("letterbox", (0.0,) * 3, (255.0,) * 3)
    assert any("labels: 80" in note for note in found.notes)


def test_boxes_in_pixels_are_told_by_their_range(tmp_path: Path) -> None:
    found = proposed(tmp_path, YOLO[0], tensor("out", 1, 84, 1029, high=200.0))

    assert found.table["decoder"]["options"] == {"units": "pixel"}


def test_classes_that_nobody_names_are_asked_for(tmp_path: Path) -> None:
    found = proposed(tmp_path, YOLO[0], tensor("out", 1, 7, 1029))
    named = proposed(tmp_path, YOLO[0], tensor("out", 1, 7, 1029), hints=Hints(labels=("a", "b", "c")))
    wrong = proposed(tmp_path, YOLO[0], tensor("out", 1, 7, 1029), hints=Hints(labels=("a", "b")))

    assert [question.option for question in found.questions] == ["--labels"]
    assert named.table["decoder"]["labels"] == ["a", "b", "c"]
    assert "expected 3 labels, got 2" in wrong.questions[0].why


def test_labels_packed_into_the_file_are_used(tmp_path: Path) -> None:
    packed = io.BytesIO(b"model bytes")
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("labelmap.txt", "???\ncat\ndog\n")

    found = proposed(tmp_path, YOLO[0], tensor("out", 1, 7, 1029), data=packed.getvalue())

    assert found.table["decoder"]["labels"] == ["n/a", "cat", "dog"]


@pytest.mark.parametrize(("low", "high", "scores"), [(0.0, 1.0, "probability"), (-5.0, 4.0, "logit")])
def test_prior_box_faces_are_recognized_with_what_their_scores_are(
    tmp_path: Path, low: float, high: float, scores: str
) -> None:
    found = proposed(tmp_path, RFB[0], RFB[1], tensor("s", 1, 4420, 2, low=low, high=high))

    card = parse_card(found.table, "proposed")
    shipped = read_card(CARDS / "rfb-320" / "card.toml")
    assert card.decoder is not None
    assert shipped.decoder is not None
    assert (card.decoder.scores, card.decoder.tensors) == (scores, ("b", "s"))
    assert card.decoder.priors == shipped.decoder.priors
    assert card.input.mean == shipped.input.mean
    assert card.labels == ("face",)


def test_shapes_that_fit_two_families_are_asked_about(tmp_path: Path) -> None:
    outputs = [tensor("b", 1, 3160, 4), tensor("s", 1, 3160, 2), tensor("l", 1, 3160, 10)]

    found = proposed(tmp_path, RFB[0], *outputs)
    said = proposed(tmp_path, RFB[0], *outputs, hints=Hints(family="ultra-light-fast-landmark"))

    assert found.questions[0].option == "--family"
    assert set(found.questions[0].choices) == {"ultra-light-fast-landmark", "retinaface"}
    assert parse_card(said.table, "proposed").decoder is not None


@pytest.mark.parametrize(
    ("names", "highs", "order"),
    [
        (("P", "P:1", "P:2", "P:3"), (1, 0, 0, 0), ["P", "P:1", "P:2", "P:3"]),
        (("P", "P:2", "P:1", "P:3"), (1, 0.5, 7, 0), ["P", "P:1", "P:2", "P:3"]),
        (
            (
                "StatefulPartitionedCall:3",
                "StatefulPartitionedCall:1",
                "StatefulPartitionedCall:2",
                "StatefulPartitionedCall:0",
            ),
            (1, 0, 0, 0),
            [f"StatefulPartitionedCall:{i}" for i in (3, 2, 1, 0)],
        ),
    ],
)
def test_the_outputs_of_an_ssd_are_put_in_order(
    tmp_path: Path, names: tuple[str, ...], highs: tuple[float, ...], order: list[str]
) -> None:
    shapes = [(1, 10, 4), (1, 10), (1, 10), (1,)]
    outputs = [tensor(n, *shape, high=high) for n, shape, high in zip(names, shapes, highs, strict=True)]

    found = proposed(tmp_path, tensor("in", 1, 300, 300, 3), *outputs, hints=Hints(labels=("cat",)))

    assert found.table["decoder"]["tensors"] == order


@pytest.mark.parametrize(("side", "anchors"), [(128, 896), (192, 2304)])
def test_blazeface_is_recognized(tmp_path: Path, side: int, anchors: int) -> None:
    found = proposed(tmp_path, tensor("in", 1, side, side, 3), tensor("r", 1, anchors, 16), tensor("c", 1, anchors, 1))

    card = parse_card(found.table, "proposed")
    shipped = read_card(CARDS / ("blazeface-short" if side == 128 else "blazeface-full") / "card.toml")
    assert card.decoder is not None
    assert shipped.decoder is not None
    assert card.decoder.priors == shipped.decoder.priors
    assert card.input == shipped.input


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "mean", "std"),
    [
        ("uint8", 0.0078125, 128, 128.0, 128.0),
        ("int8", 1 / 255, -128, 0.0, 255.0),
        ("int8", 0.9711, -128, 0.0, 1.0),
        ("int8", 0.003892, 0, 127.5, 255.0),
        ("uint8", 0.5, 0, 0.0, 2.0),
    ],
)
def test_a_quantized_input_tells_how_pixels_are_normalized(
    tmp_path: Path, dtype: str, scale: float, zero_point: int, mean: float, std: float
) -> None:
    picture = tensor("in", 1, 112, 112, 3, dtype=dtype, scale=scale, zero_point=zero_point)

    found = proposed(tmp_path, picture, tensor("out", 1, 128))

    assert found.table["input"]["mean"] == [mean] * 3
    assert found.table["input"]["std"] == [std] * 3
    assert found.table["kind"] == "embedder"
    assert found.table["embedding"] == {"dimensions": 128, "crop": "arcface", "margin": 0.0}


def test_a_float_embedder_is_asked_for_its_normalization(tmp_path: Path) -> None:
    picture, out = tensor("in", 1, 160, 160, 3), tensor("out", 1, 512)

    assert [q.option for q in proposed(tmp_path, picture, out).questions] == ["--mean and --std"]
    said = proposed(tmp_path, picture, out, hints=Hints(mean=127.5, std=128.0, name="mine", licence="MIT"))
    assert not said.questions
    assert parse_card(said.table, "proposed").input.std == (128.0,) * 3
    assert said.table["name"] == "mine"
    assert not any("licence" in note for note in said.notes)


def test_a_thousand_numbers_are_a_classifier_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    picture = tensor("in", 1, 128, 128, 3, dtype="uint8", scale=1 / 128, zero_point=128)

    assert proposed(tmp_path, picture, tensor("out", 1, 1001)).table["kind"] == "classifier"
    assert proposed(tmp_path, picture, tensor("out", 1, 1001), hints=Hints(kind="embedder")).table["kind"] == "embedder"


@pytest.mark.parametrize(
    ("picture", "outputs"),
    [
        (tensor("in", 1, 3, 224, 224), [tensor("out", 1, 128)]),
        (tensor("in", 1, 96), [tensor("out", 1, 128)]),
        (tensor("in", 1, 64, 64, 3), [tensor("a", 1, 7, 7, 18), tensor("b", 1, 14, 14, 18)]),
        (tensor("in", 1, 64, 64, 3), [tensor("a", 1, 500, 85)]),
    ],
)
def test_what_nothing_here_reads_is_refused(tmp_path: Path, picture: Any, outputs: list[Any]) -> None:
    with pytest.raises(ModelError) as caught:
        proposed(tmp_path, picture, *outputs)

    assert caught.value.hint
