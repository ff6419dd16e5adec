"""Real but tiny models, built here, so that most tests need no file from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge.core.settings.vision import ModelSettings
from edge.inference.card import parse_card
from edge.inference.model import Model, opened
from edge.inference.model import folders as search_path

TYPES = {"float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8,
         "int32": schema.TensorType.INT32}  # fmt: skip


@dataclass
class Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    data: Any = None
    scale: float = 0.0
    zero_point: int = 0


@dataclass
class Step:
    """One operator: its number in the schema, its options, indices of tensors in and out."""

    operator: int
    options: Any
    options_type: int
    inputs: list[int]
    outputs: list[int]


def tflite(tensors: list[Tensor], steps: list[Step], inputs: list[int], outputs: list[int]) -> bytes:
    """The bytes of a .tflite."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []
    for tensor in tensors:
        native = schema.TensorT()
        native.name, native.shape, native.type = tensor.name, list(tensor.shape), TYPES[tensor.dtype]
        if tensor.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(tensor.data, tensor.dtype).tobytes(), np.uint8)
            native.buffer = len(model.buffers)
            model.buffers.append(buffer)
        if tensor.scale:
            native.quantization = schema.QuantizationParametersT()
            native.quantization.scale, native.quantization.zeroPoint = [tensor.scale], [tensor.zero_point]
        graph.tensors.append(native)
    model.operatorCodes, graph.operators = [], []
    for step in steps:
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = step.operator, min(127, step.operator), 1
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), step.inputs, step.outputs
        operator.builtinOptions, operator.builtinOptionsType = step.options, step.options_type
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    graph.inputs, graph.outputs = inputs, outputs
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def mean_color(width: int, height: int, dtype: str = "float32", scale: float = 0.0, zero_point: int = 0) -> bytes:
    """An embedder of three dimensions: the mean of each channel of its input."""
    options = schema.ReducerOptionsT()
    options.keepDims = False
    return tflite(
        [
            Tensor("picture", (1, height, width, 3), dtype, None, scale, zero_point),
            Tensor("axes", (2,), "int32", [1, 2]),
            Tensor("mean", (1, 3), dtype, None, scale, zero_point),
        ],
        [Step(schema.BuiltinOperator.MEAN, options, schema.BuiltinOptions.ReducerOptions, [0, 1], [2])],
        [0],
        [2],
    )


def always(width: int, height: int, answers: dict[str, Any]) -> bytes:
    """A model that gives the same outputs whatever it sees."""
    tensors = [Tensor("picture", (1, height, width, 3))]
    steps, outputs = [], []
    for name, answer in answers.items():
        values = np.asarray(answer, np.float32)
        tensors += [
            Tensor(f"{name}/stored", values.shape, "float32", values),
            Tensor(f"{name}/shape", (values.ndim,), "int32", values.shape),
            Tensor(name, values.shape),
        ]
        last = len(tensors) - 1
        steps.append(Step(schema.BuiltinOperator.RESHAPE, None, 0, [last - 2, last - 1], [last]))
        outputs.append(last)
    return tflite(tensors, steps, [0], outputs)


def a_card(**changes: Any) -> dict[str, Any]:
    """A whole card of an embedder, as a TOML table."""
    table: dict[str, Any] = {
        "name": "mean-color",
        "kind": "embedder",
        "file": "mean.tflite",
        "licence": "Apache-2.0",
        "input": {"width": 8, "height": 8},
        "embedding": {"dimensions": 3},
    }
    return table | changes


def two_boxes(**changes: Any) -> dict[str, Any]:
    """A whole card of a detector."""
    table = a_card(name="two-boxes", kind="detector", file="two.tflite")
    del table["embedding"]
    table["input"] = {"width": 16, "height": 8, "fit": "letterbox"}
    table["decoder"] = {
        "name": "ssd_postprocessed",
        "tensors": ["boxes", "classes", "scores", "count"],
        "labels": ["cat", "dog", "n/a"],
    }
    return table | changes


TWO_BOXES = {
    "boxes": [[[0.25, 0.5, 0.75, 0.75], [0.0, 0.0, 1.0, 0.5], [0.1, 0.1, 0.2, 0.2]]],
    "classes": [[0, 1, 2]],
    "scores": [[0.9, 0.6, 0.95]],
    "count": [3],
}
"""top, left, bottom, right in the input: a cat, a dog, and something that has no name"""


class Tiny:
    """Makes models in a folder, each with a card; keyword arguments change keys of the card."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, data: bytes, table: dict[str, Any]) -> Model:
        path = self.folder / table["file"]
        path.write_bytes(data)
        return opened(parse_card(table, "card.toml"), path)

    def embedder(self, data: bytes = b"", **changes: Any) -> Model:
        return self.model(data or mean_color(8, 8), a_card(**changes))

    def detector(self, data: bytes = b"", **changes: Any) -> Model:
        return self.model(data or always(16, 8, TWO_BOXES), two_boxes(**changes))

    mean_color = staticmethod(mean_color)
    always = staticmethod(always)
    card = staticmethod(a_card)
    detector_card = staticmethod(two_boxes)
    answers = TWO_BOXES


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@pytest.fixture
def settings(shared_models: Path) -> ModelSettings:
    """Finds the models of ``../shared``; one thread, no trials."""
    return ModelSettings(path=(shared_models,), threads=1, check=False)


@pytest.fixture
def folders(settings: ModelSettings, tmp_path: Path) -> list[Path]:
    return search_path(settings, tmp_path)
