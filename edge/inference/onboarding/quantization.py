"""Full-int8 quantization of float models, calibrated on the owner's pictures and compared with the original."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core.errors import InputError, ModelError
from edge.core.imaging.image import read
from edge.core.settings.vision import ModelSettings
from edge.core.storage import files
from edge.core.types import Box, Detection, Picture
from edge.inference.card import Card
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.interpreter import Interpreter
from edge.inference.load import interpreter
from edge.inference.model import Model, opened
from edge.inference.onboarding.comparison import Agreement, DetectionAgreement, EmbeddingAgreement
from edge.inference.preprocess import Preparation

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
RECIPE = "static_wi8_ai8"
"""weights, activations, inputs and outputs of 8 bits"""

SIGNATURE, INPUT = "serving_default", "input"
"""signature that is added to a model without one"""

Step = Callable[[], None]


@dataclass(frozen=True)
class QuantizedModel:
    """A quantized model and its agreement with the original."""

    model: Model
    agreement: Agreement


def pictures_in(folder: Path, most: int, seed: int = 1) -> list[Path]:
    """The pictures of a folder and its subfolders, a random sample of ``most``. Raises InputError for none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        raise InputError(f"{folder}: contains no picture ({', '.join(PICTURES)})", "choose a folder of pictures")
    return found if len(found) <= most else sorted(random.Random(seed).sample(found, most))  # noqa: S311


def quantize(
    original: Model,
    paths: Sequence[Path],
    settings: ModelSettings,
    target: Path,
    finder: Detector | None = None,
    step: Step = lambda: None,
) -> QuantizedModel:
    """Write the int8 model of ``original`` to ``target`` and compare the two on the pictures.

    ``finder`` detects the crops for an embedder; None: whole pictures. ``step`` is called for each
    picture, twice. Raises ModelError if it cannot be quantized; its accuracy is in the agreement.
    """
    runs = interpreter(original.path, settings)
    if runs.input.dtype != np.float32:
        raise ModelError(f"model {original.card.name!r}: expected a float model, got an input of {runs.input.dtype}",
                         "use the float model that it was converted from")  # fmt: skip
    inputs = list(_inputs(original, runs, paths, finder, step))
    files.write_bytes(target, _converted(original, runs, inputs), mode=0o644)
    model = opened(_card(original.card, target, len(inputs)), target)
    return QuantizedModel(model, compare(original, model, paths, settings, finder, step))


def compare(
    original: Model,
    other: Model,
    paths: Sequence[Path],
    settings: ModelSettings,
    finder: Detector | None = None,
    step: Step = lambda: None,
) -> Agreement:
    """Agreement of two models of the same kind on the same pictures. Raises ModelError for different kinds."""
    if original.card.kind != other.card.kind or original.card.kind == "classifier":
        raise ModelError(
            f"expected two detectors or two embedders, got these kinds: {original.card.kind}, {other.card.kind}",
            "compare models of one kind",
        )
    if original.card.kind == "detector":
        detectors = [Detector(m, interpreter(m.path, settings)) for m in (original, other)]
        return _compared_detectors(detectors[0], detectors[1], paths, step)
    embedders = [Embedder(m, interpreter(m.path, settings)) for m in (original, other)]
    return _compared_embedders(embedders[0], embedders[1], paths, finder, step)


def _compared_detectors(one: Detector, other: Detector, paths: Sequence[Path], step: Step) -> Agreement:
    detections = DetectionAgreement()
    for picture in _read(paths, step):
        detections.compare(one.detect(picture), other.detect(picture))
    return detections


def _compared_embedders(
    one: Embedder, other: Embedder, paths: Sequence[Path], finder: Detector | None, step: Step
) -> Agreement:
    embeddings = EmbeddingAgreement()
    for picture in _read(paths, step):
        found = _targets(picture, finder)
        for a, b in zip(one.embed(picture, found), other.embed(picture, found), strict=True):
            embeddings.compare(a.vector, b.vector)
    return embeddings


def _inputs(
    model: Model, runs: Interpreter, paths: Sequence[Path], finder: Detector | None, step: Step
) -> Iterator[NDArray[Any]]:
    """Input tensors of the pictures for calibration."""
    preparation = Preparation(model.card.input, runs.input, f"model {model.card.name!r}")
    embedder = Embedder(model, runs) if model.card.kind == "embedder" else None
    for picture in _read(paths, step):
        if embedder:
            for found in _targets(picture, finder):
                yield preparation.tensor(embedder.crop(picture, found)).copy()
        else:
            yield preparation.whole(picture)[0].copy()


def _targets(picture: Picture, finder: Detector | None) -> list[Detection]:
    return finder.detect(picture) if finder else [Detection("picture", 1.0, Box(0.0, 0.0, 1.0, 1.0))]


def _read(paths: Sequence[Path], step: Step) -> Iterator[Picture]:
    for path in paths:
        try:
            yield read(path)
        except InputError as error:
            log.warning("skipped: %s", error)
        step()


def _converted(original: Model, runs: Interpreter, inputs: Sequence[NDArray[Any]]) -> bytes:
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise ModelError(
            f"quantizing needs ai-edge-quantizer: {error}", "pip install 'rekognition-edge[quantize]'"
        ) from error
    if not inputs:
        raise ModelError("no calibration input in the pictures", "use pictures that show the labels of the model")
    try:
        tool = quantizer.Quantizer(_prepared(original.path.read_bytes()), getattr(recipe, RECIPE)())
        signature, name = runs.signature or (SIGNATURE, INPUT)
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():  # their progress bars
            warnings.simplefilter("ignore")
            ranges = tool.calibrate({signature: [{name: value} for value in inputs]}, num_threads=2)
            return bytes(tool.quantize(ranges, enable_progress_report=False).quantized_model)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"model {original.card.name!r} cannot be quantized: {reason}", "use another model") from error


def _prepared(data: bytes) -> bytes:
    """Upgrade the model for the quantizer: add a signature, and move operators out of a deprecated field."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    if not model.signatureDefs:
        graph = model.subgraphs[0]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
        signature.inputs = [_named(schema, INPUT, graph.inputs[0])]
        signature.outputs = [_named(schema, f"output_{i}", tensor) for i, tensor in enumerate(graph.outputs)]
        model.signatureDefs = [signature]
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _named(schema: Any, name: str, tensor: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(tensor)
    return entry


def _card(card: Card, target: Path, pictures: int) -> Card:
    tool = f"ai-edge-quantizer {importlib.metadata.version('ai-edge-quantizer')}, {RECIPE}"
    made = {"quantized_from": card.sha256 or card.file, "quantized_with": tool, "quantized_on": f"{pictures} inputs"}
    return replace(
        card,
        name=f"{card.name[:58]}-int8",
        file=target.name,
        sha256=files.sha256(target),
        size=target.stat().st_size,
        get="",
        provenance={**card.provenance, **made},
        accuracy={},
    )
