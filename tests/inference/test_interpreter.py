"""The runtimes, through the one file that knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.inference.interpreter import Interpreter, choose

RUNTIMES = ["litert", "tflite-runtime"]


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    try:
        return choose(request.param)
    except ModelError:
        pytest.skip(f"{request.param} is not installed for this Python")


def test_auto_prefers_litert() -> None:
    assert choose("auto") == "litert"


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="litert, tflite-runtime, got 'onnx'"):
        choose("onnx")


def test_a_float_model_gives_what_it_computes(tmp_path: Path, tiny: Any, runtime: str) -> None:
    model = tiny.embedder()
    interpreter = Interpreter(model.path, runtime)
    value = np.random.default_rng(1).random((1, 8, 8, 3)).astype(np.float32)

    interpreter.invoke(value)

    assert interpreter.engine == runtime
    assert interpreter.values(0).shape == (3,)
    assert np.allclose(interpreter.values(0), value.mean(axis=(0, 1, 2)), atol=1e-6)


@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 10), ("int8", -100)])
def test_quantization_is_undone(tmp_path: Path, tiny: Any, runtime: str, dtype: str, zero_point: int) -> None:
    path = tmp_path / "q.tflite"
    path.write_bytes(tiny.mean_color(8, 8, dtype, 0.5, zero_point))
    interpreter = Interpreter(path, runtime)

    interpreter.invoke(np.full((1, 8, 8, 3), zero_point + 20, dtype))

    assert interpreter.values(0).tolist() == [10.0, 10.0, 10.0]
    assert interpreter.values(0).dtype == np.float32


def test_values_of_the_next_call_take_the_place_of_the_last(tmp_path: Path, tiny: Any, runtime: str) -> None:
    path = tmp_path / "q.tflite"
    path.write_bytes(tiny.mean_color(8, 8, "uint8", 1.0, 0))
    interpreter = Interpreter(path, runtime)
    for level in (1, 2):
        interpreter.invoke(np.full((1, 8, 8, 3), level, np.uint8))
        assert interpreter.values(0).tolist() == [level] * 3


def test_outputs_are_found_by_name_or_number_and_a_wrong_name_lists_them(tiny: Any) -> None:
    interpreter = Interpreter(tiny.detector().path)

    assert interpreter.positions(["scores", "#0"]) == [2, 0]
    with pytest.raises(ModelError, match="'landmarks', the file has boxes, classes, scores, count"):
        interpreter.positions(["boxes", "landmarks"])


def test_an_input_of_the_wrong_shape_is_a_model_error(tiny: Any) -> None:
    interpreter = Interpreter(tiny.embedder().path)

    with pytest.raises(ModelError, match=r"mean\.tflite"):
        interpreter.invoke(np.zeros((1, 9, 9, 3), np.float32))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\0\0\0TFL3" + b"\xff" * 100])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, runtime: str, content: bytes) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"bad\.tflite"):
        Interpreter(path, runtime)


def test_a_delegate_that_cannot_be_loaded_gives_way_to_the_cpu_and_says_so(
    tiny: Any, runtime: str, caplog: pytest.LogCaptureFixture
) -> None:
    interpreter = Interpreter(tiny.embedder().path, runtime, delegate="/absent/libedgetpu.so.1")

    interpreter.invoke(np.ones((1, 8, 8, 3), np.float32))

    assert interpreter.values(0).tolist() == [1.0, 1.0, 1.0]
    assert "libedgetpu.so.1" in interpreter.fallback
    assert "the CPU runs" in caplog.text
    assert interpreter.engine == runtime


@pytest.mark.parametrize("name", ["neg_person_detect_96_int8_tflm", "neg_model_invoking_error"])
def test_a_model_that_a_runtime_refuses_is_a_model_error_of_one_short_line(
    shared_models: Path, runtime: str, name: str
) -> None:
    with pytest.raises(ModelError, match=name) as caught:
        Interpreter(shared_models / f"{name}.tflite", runtime)

    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_shapes_that_read_wrong_before_the_first_invoke_come_out_right(shared_models: Path, runtime: str) -> None:
    interpreter = Interpreter(shared_models / "face_rfb320_int8.tflite", runtime)
    assert interpreter.outputs[0].shape == (1, 1, 4)

    interpreter.invoke(np.zeros((1, 240, 320, 3), np.int8))

    assert interpreter.values(0).shape == (4420, 4)
