"""Child process of model validation, started by ``edge.inference.validation``.

It writes JSON lines to its original standard output: each stage, then a report or an error.
Output of a runtime is redirected to stderr.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

INVOKES = 5
"""number of timed inferences; the fastest counts, as other load only adds time"""

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    """Read the task from argv, validate the model and write the result."""
    task = json.loads(sys.argv[1])
    with _private_stdout() as out:

        def send(what: dict[str, Any]) -> None:
            out.write(json.dumps(what) + "\n")
            out.flush()

        _limit(task["memory"], math.ceil(task["seconds"]))
        _attempt(task, send)


def _attempt(task: dict[str, Any], send: Send) -> None:
    from edge.core.errors import EdgeError

    try:
        send({"report": _tried(task, send)})
    except EdgeError as error:
        send({"error": error.message, "hint": error.hint})
    except MemoryError:
        send({"error": f"needs more than {task['memory'] >> 20} MB", "hint": ""})


def _tried(task: dict[str, Any], send: Send) -> dict[str, Any]:
    from edge.inference.interpreter import Interpreter

    send({"stage": "loading"})
    started = time.monotonic()
    interpreter = Interpreter(Path(task["path"]), task["runtime"], task["threads"], task["delegate"])
    loaded = time.monotonic()
    send({"stage": "invoking"})
    best = _invoked(interpreter)
    outputs = [_output(interpreter, position) for position in range(len(interpreter.outputs))]
    if task["card"] is not None:
        send({"stage": "running it by its card"})
        _used(task, interpreter)
    return {
        "engine": interpreter.engine,
        "fallback": interpreter.fallback,
        "load_ms": (loaded - started) * 1e3,
        "invoke_ms": best * 1e3,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "inputs": [_described(tensor, tensor.shape) for tensor in interpreter.inputs],
        "outputs": outputs,
    }


def _invoked(interpreter: Any) -> float:
    """Seconds of the fastest inference. Raises ModelError for an output that is not finite."""
    import numpy as np

    from edge.core.errors import ModelError

    tensor = interpreter.input
    if tensor.dtype.kind not in "iuf":
        raise ModelError(f"expected an input of numbers, got {tensor.dtype}", "use another model")
    shape = tuple(max(1, side) for side in tensor.shape)
    noise = np.random.default_rng(1).integers(0, 128, shape).astype(tensor.dtype)
    best = float("inf")
    for value in [np.zeros_like(noise), *[noise] * INVOKES]:
        started = time.monotonic()
        interpreter.invoke(value)
        best = min(best, time.monotonic() - started)
        for position, output in enumerate(interpreter.outputs):
            values = interpreter.raw(position)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ModelError(f"output {output.name!r} is not finite", "convert the model again")
    return best


def _used(task: dict[str, Any], interpreter: Any) -> None:
    """Run the model on noise as its kind is used."""
    import numpy as np

    from edge.core.types import Box, Detection, Picture
    from edge.inference.card import parse_card
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.inference.model import Model
    from edge.inference.preprocess import Preparation

    card = parse_card(task["card"], task["where"])
    # the cohort is read and verified when faces are compared
    model = Model(replace(card, cohort=None), Path(task["path"]), task["sha256"])
    pixels = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    picture = Picture(pixels, "rgb", 320, 240)
    noise = Detection("noise", 1.0, Box(0.1, 0.1, 0.9, 0.9))
    if card.kind == "detector":
        detector = Detector(model, interpreter)
        detector.detect(picture)
        detector.detect(picture, dict.fromkeys(detector.labels, 0.01))
    elif card.kind == "embedder":
        Embedder(model, interpreter).embed(picture, [noise])
    elif card.kind == "attributes":
        from edge.inference.face_attributes import AttributeModel

        AttributeModel(model, interpreter).attributes(picture, noise)
    elif card.kind == "recognizer":
        from edge.inference.text_recognizer import TextRecognizer

        TextRecognizer(model, interpreter).recognize(picture, noise.box.corners)
    else:
        interpreter.invoke(Preparation(card.input, interpreter.input, task["where"]).whole(picture)[0])


def _described(tensor: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(shape),
        "dtype": str(tensor.dtype),
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def _output(interpreter: Any, position: int) -> dict[str, Any]:
    values = interpreter.values(position)
    described = _described(interpreter.outputs[position], interpreter.raw(position).shape)
    return described | ({"low": float(values.min()), "high": float(values.max())} if values.size else {})


def _limit(memory: int, seconds: int) -> None:
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, hard))


def _private_stdout() -> IO[str]:
    """The original stdout; file descriptor 1 is redirected to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


if __name__ == "__main__":
    main()
