"""Faces between faces: what has never been photographed and lies where strangers are told apart."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.crops import Faces


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


def generate(faces: Faces, index: int, seed: int) -> NDArray[np.uint8]:
    """Face number `index`: the real ones first, then blended, shaded and bent ones without end."""
    if index < len(faces.crops):
        return np.asarray(faces.crops[index])
    rng = np.random.default_rng((seed, index))
    one = _pick(faces.people, rng)
    face, second, third = faces.crops[one], _other(faces, one, rng), _other(faces, one, rng)
    if rng.random() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    if rng.random() < 0.7:
        face = blend(face, second, rng)
    if rng.random() < 0.3:
        face = shade(face, third)
    if rng.random() < 0.65:
        face = reshape(face, rng)
    return np.asarray(face)


def _other(faces: Faces, row: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A face to mix with another one: every second time of the same group."""
    for _ in range(30):
        other = _pick(faces.people, rng)
        if rng.random() < 0.1 or faces.groups[other] == faces.groups[row]:
            break
    return np.asarray(faces.crops[other])


def _pick(people: NDArray[np.int64], rng: np.random.Generator) -> int:
    """A random face of a random person, so that nobody is in every blend."""
    person = rng.integers(people[-1] + 1)
    low, high = np.searchsorted(people, [person, person + 1])
    return int(rng.integers(low, high))
