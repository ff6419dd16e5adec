"""TFLite interpreter: loads a model with LiteRT or tflite-runtime and invokes it. No other module uses TFLite.

An interpreter is not thread-safe. Outputs are dequantized here; preprocessing is
in ``edge.inference.preprocess``.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core.errors import ModelError
from edge.inference.tensors import QuantizedTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray


GREETINGS = (b"INFO: Created TensorFlow Lite", b"INFO: Applying ")


@contextmanager
def without_greetings() -> Iterator[None]:
    """Buffer stderr while the block runs, then write it without the runtime's start-up messages.

    Output of other threads to stderr is delayed until then.
    """
    sys.stderr.flush()
    descriptor = 2
    try:
        kept = os.dup(descriptor)
    except OSError:
        yield  # a process without stderr
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, descriptor)
            os.close(kept)
            held.seek(0)
            said = b"".join(line for line in held if not line.startswith(GREETINGS))
            if said:
                os.write(descriptor, said)


log = logging.getLogger(__name__)

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
"""runtime -> module, in the order of preference"""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model. A real value is ``(stored - zero_point) * scale``; scale 0: not quantized."""

    name: str
    index: int
    """index of the tensor in the runtime"""
    shape: tuple[int, ...]
    """may be wrong before the first inference if the model has dynamic shapes"""
    dtype: np.dtype[Any]
    scale: float
    zero_point: int


def choose(runtime: str) -> str:
    """Resolve ``auto`` or a runtime's name on this machine. Raises ModelError if it is not installed."""
    wanted = list(MODULES) if runtime == "auto" else [runtime]
    for name in wanted:
        if name in MODULES and importlib.util.find_spec(MODULES[name].split(".")[0]):
            return name
    raise ModelError(
        f"models.runtime: expected an installed runtime of {', '.join(MODULES)}, got {runtime!r}",
        "pip install ai-edge-litert",
    )


class Interpreter:
    """A loaded model. Raises ModelError if the runtime rejects it.

    If a delegate cannot be loaded or does not support the model, the CPU is used, and ``fallback`` holds
    the reason.
    """

    def __init__(self, path: Path, runtime: str = "auto", threads: int = 1, delegate: str = "") -> None:
        self.path = path
        self.runtime = choose(runtime)
        self.delegate = ""
        self.fallback = ""
        module = importlib.import_module(MODULES[self.runtime])
        self._native = self._with_delegate(module, threads, delegate) if delegate else self._plain(module, threads)
        self.inputs = [_tensor(detail) for detail in self._native.get_input_details()]
        self.outputs = [_tensor(detail) for detail in self._native.get_output_details()]

    @property
    def engine(self) -> str:
        """Runtime and delegate, part of the embedding space: results differ between them."""
        return f"{self.runtime}+{Path(self.delegate).name}" if self.delegate else self.runtime

    @property
    def input(self) -> Tensor:
        """The only input. Raises ModelError if there are several."""
        if len(self.inputs) != 1:
            raise ModelError(f"{self.path.name}: expected a model with one input, got {len(self.inputs)}", _CHOOSE)
        return self.inputs[0]

    @property
    def signature(self) -> tuple[str, str] | None:
        """Names of the model's first signature and of its input; None without a signature."""
        for name, sides in self._native.get_signature_list().items():
            return str(name), str(sides["inputs"][0])
        return None

    def invoke(self, value: NDArray[Any]) -> None:
        """Run inference on ``value``, which has the shape and dtype of the input. Raises ModelError."""
        try:
            self._native.set_tensor(self.inputs[0].index, value)
            self._native.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self.path.name}: {self.runtime} cannot run it: {_sentence(error)}", _CHOOSE) from error

    def raw(self, position: int) -> NDArray[Any]:
        """A copy of an output in its stored type."""
        stored: NDArray[Any] = self._native.get_tensor(self.outputs[position].index)
        return stored

    def values(self, position: int) -> FloatArray:
        """An output as dequantized float32 values, without the batch axis."""
        return self.output(position)[...]

    def output(self, position: int) -> FloatArray | QuantizedTensor:
        """An output without the batch axis: float32 values, or a ``QuantizedTensor``."""
        stored = self.raw(position)
        tensor = self.outputs[position]
        if stored.ndim > 1 and stored.shape[0] == 1:
            stored = stored[0]
        if tensor.scale:
            return QuantizedTensor(stored, tensor.scale, tensor.zero_point)
        return stored if stored.dtype == np.float32 else stored.astype(np.float32)

    def positions(self, names: Sequence[str]) -> list[int]:
        """Indices of outputs given by tensor name, or by ``#0`` for the first. Raises ModelError."""
        known = {tensor.name: i for i, tensor in enumerate(self.outputs)}
        known |= {f"#{i}": i for i in range(len(self.outputs))}
        missing = [name for name in names if name not in known]
        if missing:
            has = ", ".join(tensor.name for tensor in self.outputs)
            raise ModelError(
                f"{self.path.name}: the card names output {missing[0]!r}, the file has {has}",
                "correct decoder.tensors in the card",
            )
        return [known[name] for name in names]

    def _plain(self, module: Any, threads: int, delegates: Sequence[Any] = ()) -> Any:
        try:
            with without_greetings():
                native = module.Interpreter(
                    model_path=str(self.path), num_threads=threads, experimental_delegates=list(delegates) or None
                )
                native.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self.path.name}: {self.runtime} rejects it: {_sentence(error)}", _CHOOSE) from error
        return native

    def _with_delegate(self, module: Any, threads: int, delegate: str) -> Any:
        try:
            native = self._plain(module, threads, [module.load_delegate(delegate)])
        except (ValueError, OSError, ModelError) as error:
            self.fallback = f"delegate {delegate} cannot be used, the CPU runs {self.path.name}: {_sentence(error)}"
            log.warning("%s", self.fallback)
            return self._plain(module, threads)
        self.delegate = delegate
        return native


_CHOOSE = "use another model, or convert this one again; edge models check shows details"


def _tensor(detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        name=str(detail["name"]),
        index=int(detail["index"]),
        shape=tuple(int(side) for side in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _sentence(error: Exception) -> str:
    """The first sentence of a runtime's error message; some repeat it for each tensor."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"
