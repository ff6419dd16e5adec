"""What the teacher says about generated faces, stored once and read by every epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import data
from training.align import CROP, align
from training.progress import Progress

MARGIN = 4
SIDE = CROP + 2 * MARGIN
DIMENSIONS = 128
SMALLEST = 30
"""Width in pixels of a bystander's face that is used."""
MAKING = 2
"""Grows when `generate` makes other faces of the same number."""
_worker: dict[str, object] = {}


@dataclass(frozen=True)
class Labeled:
    """Generated faces with what the teacher said; both are memory maps."""

    crops: NDArray[np.uint8]
    """(N, 120, 120, 3) RGB, an aligned crop with 4 pixels of margin."""
    embeddings: NDArray[np.float32]
    """(N, 128) unit length, the mean over the crop and its mirror image."""
    center: NDArray[np.float32]
    """(128,) their mean."""


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


def blend(first: NDArray[np.uint8], second: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A face between two aligned faces: mixed evenly, a half of each, or features of one in the other."""
    side = first.shape[0]
    mask = rng.choice([_even, _half, _patches], p=[0.25, 0.4, 0.35])(side, rng)[..., None]
    return (first * mask + second * (1 - mask) + 0.5).astype(np.uint8)


def _even(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return np.full((side, side), rng.uniform(0.3, 0.7), np.float32)


def _half(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    edge = np.linspace(-1, 1, side, dtype=np.float32) * 8 + rng.uniform(-2.5, 2.5)
    ramp = 1 / (1 + np.exp(-edge * rng.choice([-1, 1])))
    return np.broadcast_to(ramp[:, None] if rng.random() < 0.7 else ramp, (side, side))


def _patches(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Soft islands about as large as an eye, a nose or a mouth."""
    coarse = rng.normal(0, 3, (5, 5)).astype(np.float32)
    return 1 / (1 + np.exp(-cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)))


def shade(face: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The detail of one face under the skin and light of another."""
    coarse = [cv2.GaussianBlur(part.astype(np.float32), (0, 0), 8) for part in (face, other)]
    return np.clip(face - coarse[0] + coarse[1] + 0.5, 0, 255).astype(np.uint8)


def reshape(face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Bend a face smoothly by a few pixels, so that it becomes another's."""
    side = face.shape[0]
    coarse = rng.normal(0, rng.uniform(1.5, 4.5), (2, 4, 4)).astype(np.float32)
    field = [cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC) for part in coarse]
    ys, xs = np.mgrid[:side, :side].astype(np.float32)
    return cv2.remap(face, xs + field[0], ys + field[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def generate(faces: NDArray[np.uint8], people: NDArray[np.int64], index: int, seed: int) -> NDArray[np.uint8]:
    """Face number `index`: the real ones first, then blended, shaded and bent ones without end."""
    if index < len(faces):
        return faces[index]
    rng = np.random.default_rng((seed, index))
    first, second, third = (faces[_pick(people, rng)] for _ in range(3))
    face = first
    if rng.random() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    if rng.random() < 0.7:
        face = blend(face, second, rng)
    if rng.random() < 0.3:
        face = shade(face, third)
    if rng.random() < 0.65:
        face = reshape(face, rng)
    return face


def _pick(people: NDArray[np.int64], rng: np.random.Generator) -> int:
    """A random face of a random person, so that nobody is in every blend."""
    person = rng.integers(people[-1] + 1)
    low, high = np.searchsorted(people, [person, person + 1])
    return int(rng.integers(low, high))


def real_faces(pictures: Sequence[data.Picture], folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Aligned crops (N, 120, 120, 3) of the central faces and the number of each one's person."""
    names = sorted({picture.person for picture in pictures})
    numbers = {name: number for number, name in enumerate(names)}
    crops = np.empty((len(pictures), SIDE, SIDE, 3), np.uint8)
    for row, picture in enumerate(pictures):
        image = data.read_rgb(folder / picture.file)
        face = data.central_face(picture, (image.shape[1], image.shape[0]))
        crops[row] = align(image, face.points, MARGIN)
    return crops, np.array([numbers[picture.person] for picture in pictures])


def bystanders(pictures: Sequence[data.Picture], folder: Path) -> NDArray[np.uint8]:
    """Aligned crops (N, 120, 120, 3) of the others in the pictures, whose names nobody knows."""
    crops = []
    for picture in pictures:
        if len(picture.faces) > 1:
            image = data.read_rgb(folder / picture.file)
            size = (image.shape[1], image.shape[0])
            central = data.central_face(picture, size)
            whole = [face for face in picture.faces if face is not central and _is_whole(face, size)]
            crops += [align(image, face.points, MARGIN) for face in whole]
    return np.stack(crops) if crops else np.empty((0, SIDE, SIDE, 3), np.uint8)


def _is_whole(face: data.FaceLabel, size: tuple[int, int]) -> bool:
    inside = (face.points > 0).all() and (face.points < size).all()
    return bool(inside and face.score > 0.6 and face.box[2] - face.box[0] >= SMALLEST)


def _everybody(pictures: Sequence[data.Picture], folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The central faces, and every bystander as a person of its own."""
    faces, people = real_faces(pictures, folder)
    others = bystanders(pictures, folder)
    numbers = np.arange(len(others)) + people[-1] + 1
    return np.concatenate([faces, others]), np.concatenate([people, numbers])


def _start(model: Path, faces: Path, people: NDArray[np.int64], seed: int) -> None:
    _worker.update(teacher=Teacher(model), faces=np.load(faces, mmap_mode="r"), people=people, seed=seed)


def _label(index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    crop = generate(_worker["faces"], _worker["people"], index, _worker["seed"])  # type: ignore[arg-type]
    inner = np.ascontiguousarray(crop[MARGIN:-MARGIN, MARGIN:-MARGIN])
    return crop, _worker["teacher"].embed_both(inner)  # type: ignore[attr-defined]


def label(
    pictures: Sequence[data.Picture],
    folder: Path,
    model: Path,
    cache: Path,
    count: int,
    seed: int,
    workers: int = 2,
) -> Labeled:
    """Generate and label `count` faces, or read them back; a stopped run goes on where it was."""
    cache.mkdir(parents=True, exist_ok=True)
    key = json.dumps({"seed": seed, "pictures": len(pictures), "teacher": model.stem, "making": MAKING})
    done = _stored(cache, key)
    if done < count:
        faces, people = _everybody(pictures, folder)
        np.save(cache / "faces.npy", faces)
        arguments = (model, cache / "faces.npy", people, seed)
        with (
            Pool(workers, _start, arguments) as pool,
            Progress("label", count, done) as progress,
            (cache / "crops.bin").open("ab") as crops,
            (cache / "embeddings.bin").open("ab") as vectors,
        ):
            for crop, vector in pool.imap(_label, range(done, count), chunksize=16):
                crops.write(crop.tobytes())
                vectors.write(vector.astype(np.float32).tobytes())
                progress.advance()
    crops = np.memmap(cache / "crops.bin", np.uint8, "r", shape=(count, SIDE, SIDE, 3))
    embeddings = np.memmap(cache / "embeddings.bin", np.float32, "r", shape=(count, DIMENSIONS))
    return Labeled(crops, embeddings, embeddings.mean(axis=0))


def _stored(cache: Path, key: str) -> int:
    """How many labels of the same making lie here whole; anything else is cut off."""
    files = {"crops.bin": SIDE * SIDE * 3, "embeddings.bin": DIMENSIONS * 4}
    made = cache / "labels.json"
    if not made.exists():
        for name in files:
            (cache / name).write_bytes(b"")
        made.write_text(key)
    if made.read_text() != key:
        raise SystemExit(f"error: {cache} holds labels of another making\ntry: another --work, or remove that folder")
    count = min((cache / name).stat().st_size // size for name, size in files.items())
    for name, size in files.items():
        with (cache / name).open("r+b") as file:
            file.truncate(count * size)
    return count
