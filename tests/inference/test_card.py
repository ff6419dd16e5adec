"""Cards are read strictly, and written so that they read the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import ModelError
from edge.inference.card import parse_card, read_card, to_table

OWN = sorted((Path(__file__).resolve().parents[2] / "models").glob("*/card.toml"))

Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "key", "rule"),
    [
        (lambda t: t.update(color="red"), "color", "unknown key"),
        (lambda t: t.pop("licence"), "licence", "is missing"),
        (lambda t: t["input"].update(width="320"), "input.width", "valid integer"),
        (lambda t: t["input"].update(width=0), "input.width", "greater than or equal to 1"),
        (lambda t: t["input"].update(mean=[float("nan"), 0, 0]), "input.mean.0", "finite"),
        (lambda t: t["input"].update(std=[1, 0, 1]), "input.std", "must not be 0"),
        (lambda t: t["input"].update(fit="squeeze"), "input.fit", "'stretch'"),
        (lambda t: t["input"].update(depth=3), "input.depth", "unknown key"),
        (lambda t: t.update(name="../x"), "name", "pattern"),
        (lambda t: t.update(file="../../etc/passwd"), "file", "pattern"),
        (lambda t: t.update(sha256="abc"), "sha256", "pattern"),
        (lambda t: t.update(thresholds={"score": 1.5}), "thresholds.score", "less than or equal to 1"),
        (lambda t: t["decoder"].pop("labels"), "decoder.labels", "either labels or labels_file"),
        (lambda t: t["decoder"].update(labels_file="x.txt"), "decoder.labels", "either labels or labels_file"),
        (lambda t: t["decoder"].update(tensors=["a", "a"]), "decoder.tensors", "duplicate"),
        (lambda t: t["decoder"].update(width=5), "decoder.width", "belongs to [input]"),
        (lambda t: t.pop("decoder"), "decoder", "needs [decoder]"),
        (lambda t: t.update(kind="embedder"), "embedding", "needs [embedding]"),
        (lambda t: t.update(calibration={"points": [[0, 50], [1, 40]]}), "calibration", "rising"),
    ],
)
def test_a_card_that_breaks_a_rule_is_refused_with_file_key_and_rule(
    tiny: Any, change: Change, key: str, rule: str
) -> None:
    table = copy.deepcopy(tiny.detector_card())
    change(table)

    with pytest.raises(ModelError) as caught:
        parse_card(table, "models/x/card.toml")

    assert "models/x/card.toml" in caught.value.message
    assert key in caught.value.message
    assert rule in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"", b"name = 2024-01-01"])
def test_a_file_that_is_no_card_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.toml"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"card\.toml"):
        read_card(path)


def test_labels_may_come_from_a_file_beside_the_card_and_empty_lines_stand_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\n\n dog \n")
    (tmp_path / "card.toml").write_text(
        'name = "x"\nkind = "detector"\nfile = "x.tflite"\nlicence = "MIT"\n[input]\nwidth = 8\nheight = 8\n'
        '[decoder]\nname = "yolov8"\ntensors = ["#0"]\nlabels_file = "names.txt"\n'
    )

    assert read_card(tmp_path / "card.toml").labels == ("cat", "n/a", "dog")


def test_a_missing_labels_file_is_named(tmp_path: Path, tiny: Any) -> None:
    (tmp_path / "card.toml").write_text(
        'name = "x"\nkind = "detector"\nfile = "x.tflite"\nlicence = "MIT"\n[input]\nwidth = 8\nheight = 8\n'
        '[decoder]\nname = "yolov8"\ntensors = ["#0"]\nlabels_file = "absent.txt"\n'
    )

    with pytest.raises(ModelError, match=r"absent\.txt"):
        read_card(tmp_path / "card.toml")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.parent.name)
def test_each_of_our_cards_is_valid_named_after_its_folder_and_reads_back_the_same(path: Path) -> None:
    card = read_card(path)

    assert card.name == path.parent.name
    assert card.licence
    assert card.about
    assert len(card.sha256) == 64
    assert parse_card(to_table(card), "written") == card
    if card.kind == "embedder" and card.input.width == 112:
        assert card.calibration is not None
        assert card.calibration.fitted
