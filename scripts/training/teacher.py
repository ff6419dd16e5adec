"""What the teachers say about real and generated faces, stored once and read by every epoch."""

from __future__ import annotations

import json
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.crops import MARGIN, SIZES, Faces, stored_labels
from training.mixing import generate
from training.progress import Progress

MAKING = 3
"""Grows when `generate` makes other faces of the same number."""
_worker: dict[str, object] = {}


class Teacher:
    """A float embedding model behind the LiteRT interpreter: RGB, (x - 127.5) / 128."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def embed(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed one (112, 112, 3) crop; (128,) of unit length."""
        self._interpreter.set_tensor(self._input, ((crop[None] - 127.5) / 128).astype(np.float32))
        self._interpreter.invoke()
        vector = self._interpreter.get_tensor(self._output)[0]
        return vector / np.linalg.norm(vector)

    def embed_both(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The unit mean of a crop's embedding and its mirror image's."""
        total = self.embed(crop) + self.embed(np.ascontiguousarray(crop[:, ::-1]))
        return total / np.linalg.norm(total)


class Teachers:
    """Both teachers, joined: (112, 112) crops with their margin in, 256 numbers out."""

    def __init__(self, mobile: Path, dlib: Path) -> None:
        import torch

        from training.dlibnet import DlibNet

        torch.set_num_threads(1)
        self._mobile = Teacher(mobile)
        self._dlib = DlibNet(dlib).to(memory_format=torch.channels_last)

    def embed(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(256,) of one (120, 120, 3) crop."""
        inner = np.ascontiguousarray(crop[MARGIN:-MARGIN, MARGIN:-MARGIN])
        return np.concatenate([self._mobile.embed_both(inner), self._dlib.embed_both(crop, MARGIN)])


def _start(mobile: Path, dlib: Path, cache: Path, seed: int) -> None:
    _worker.update(teachers=Teachers(mobile, dlib), faces=Faces.load(cache), seed=seed)


def _label(index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    crop = generate(_worker["faces"], index, _worker["seed"])  # type: ignore[arg-type]
    return crop, _worker["teachers"].embed(crop)  # type: ignore[attr-defined]


def label(mobile: Path, dlib: Path, cache: Path, count: int, seed: int, workers: int = 1) -> None:
    """Label the faces stored in a folder and generated ones, `count` in all; a stopped run goes on where it was."""
    key = json.dumps({"seed": seed, "teachers": [mobile.stem, dlib.name], "making": MAKING})
    done = _stored(cache, key)
    if done >= count:
        return
    with (
        Pool(workers, _start, (mobile, dlib, cache, seed)) as pool,
        Progress("label", count, done) as progress,
        (cache / "crops.bin").open("ab") as crops,
        (cache / "embeddings.bin").open("ab") as vectors,
    ):
        for crop, vector in pool.imap(_label, range(done, count), chunksize=16):
            crops.write(crop.tobytes())
            vectors.write(vector.astype(np.float32).tobytes())
            progress.advance()


def _stored(cache: Path, key: str) -> int:
    """How many labels of the same making lie here whole; anything else is cut off."""
    made = cache / "labels.json"
    if not made.exists():
        for name in SIZES:
            (cache / name).write_bytes(b"")
        made.write_text(key)
    if made.read_text() != key:
        raise SystemExit(f"error: {cache} holds labels of another making\ntry: another --work, or remove that folder")
    count = stored_labels(cache)
    for name, size in SIZES.items():
        with (cache / name).open("r+b") as file:
            file.truncate(count * size)
    return count
