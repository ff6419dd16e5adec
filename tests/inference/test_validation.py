"""A model is tried in a child process; whatever it does there, this process lives and knows why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import ModelError
from edge.core.settings.vision import ModelSettings
from edge.inference import validation as check

ONE = ModelSettings(threads=1)


def test_a_good_model_is_reported_with_its_tensors(tiny: Any) -> None:
    report = check.check(tiny.embedder(), ONE)

    assert report.engine == "litert"
    assert report.inputs[0].shape == (1, 8, 8, 3)
    assert [(t.name, t.shape, t.dtype) for t in report.outputs] == [("mean", (1, 3), "float32")]
    assert report.invoke_ms > 0
    assert report.peak_mb > 1


def test_a_detector_is_tried_through_its_decoder(tiny: Any) -> None:
    decoder = {**tiny.detector_card()["decoder"], "tensors": ["scores", "classes", "boxes", "count"]}

    assert check.check(tiny.detector(), ONE).outputs
    with pytest.raises(ModelError, match="ssd_postprocessed"):
        check.check(tiny.detector(decoder=decoder), ONE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"input": {"width": 9, "height": 8}}, "input"),
        ({"embedding": {"dimensions": 4}}, "4 dimensions, got 3"),
    ],
)
def test_a_card_that_lies_is_found_out(tiny: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check.check(tiny.embedder(**changes), ONE)


def test_outputs_that_are_not_finite_are_found_out(tiny: Any) -> None:
    with pytest.raises(ModelError, match="'out' is not finite"):
        check.check(tiny.embedder(tiny.always(8, 8, {"out": [[float("nan"), 0, 1]]})), ONE)


@pytest.mark.parametrize("content", [b"", b"\x1c\0\0\0TFL3" + b"\xff" * 100])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"bad\.tflite"):
        check.check_file(path, ONE)


def test_a_truncated_model_is_refused_or_killed_but_never_passes(tmp_path: Path, tiny: Any) -> None:
    whole = tiny.mean_color(8, 8)
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(len(whole) * 0.7)])

    with pytest.raises(ModelError, match=r"cut\.tflite"):
        check.check_file(path, ONE)


def test_a_file_that_vanished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.tflite"):
        check.check_file(tmp_path / "gone.tflite", ONE)


def test_a_model_that_takes_too_long_is_stopped(tiny: Any) -> None:
    with pytest.raises(ModelError, match=r"not done within 0\.05 s"):
        check.check(tiny.embedder(), ONE, seconds=0.01)


def test_a_model_that_takes_too_much_memory_is_stopped(tmp_path: Path, tiny: Any) -> None:
    path = tmp_path / "huge.tflite"
    path.write_bytes(tiny.mean_color(40_000, 30_000))

    with pytest.raises(ModelError, match=r"huge\.tflite"):
        check.check_file(path, ONE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("neg_person_detect_96_int8_tflm", "rejects it: quantized_dimension"),
        ("neg_model_invoking_error", "rejects it: Encountered unresolved custom op"),
        ("neg_crash_keyword_scrambled_8bit", "crashed the validation process .SIG"),
    ],
)
@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_each_bad_model_ends_in_a_clear_error(shared_models: Path, runtime: str, name: str, said: str) -> None:
    if runtime == "tflite-runtime":
        pytest.importorskip("tflite_runtime")

    with pytest.raises(ModelError, match=said) as caught:
        check.check_file(shared_models / f"{name}.tflite", ModelSettings(runtime=runtime))  # type: ignore[arg-type]

    assert name in caught.value.message
    assert caught.value.hint


def test_a_model_is_tried_once_and_that_is_remembered(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.embedder()
    monkeypatch.setattr(check, "_PASSED", set())

    check.ensure(model, ONE, tmp_path)
    remembered = json.loads((tmp_path / "models" / "checked.json").read_text())

    monkeypatch.setattr(check, "_PASSED", set())
    monkeypatch.setattr(check, "check", lambda *_: pytest.fail("tried again"))
    check.ensure(model, ONE, tmp_path)
    assert len(remembered) == 1


def test_another_card_for_the_same_file_is_tried_again(tiny: Any, tmp_path: Path) -> None:
    check.ensure(tiny.embedder(), ONE, tmp_path)

    with pytest.raises(ModelError, match="4 dimensions"):
        check.ensure(tiny.embedder(embedding={"dimensions": 4}), ONE, tmp_path)


@pytest.mark.parametrize("content", ["[", '["x", 5]'])
def test_a_damaged_memory_of_trials_is_no_memory(
    tiny: Any, tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_PASSED", set())
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "checked.json").write_text(content)

    check.ensure(tiny.embedder(), ONE, tmp_path)

    assert len(json.loads((tmp_path / "models" / "checked.json").read_text())) >= 1
