"""What cameras, codecs and detectors do to a face, done to aligned crops while training."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.align import CROP, TEMPLATE, similarity
from training.teacher import MARGIN

_LEVELS = np.arange(256, dtype=np.float32)
_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_NEAREST)


def misalign(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(120, 120, 3) to (112, 112, 3), aligned by landmarks as wrong as a detector's."""
    wrong = TEMPLATE + rng.normal(0, rng.uniform(0.3, 2.6), (5, 2)) + rng.normal(0, 0.7, 2)
    matrix = similarity(wrong.astype(np.float32), TEMPLATE)
    matrix[:, 2] -= matrix[:, :2] @ np.full(2, MARGIN, np.float32)
    return cv2.warpAffine(crop, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def light(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Other gamma, contrast, brightness and color cast; sometimes no color at all."""
    gamma, contrast = np.exp(rng.normal(0, 0.3)), np.exp(rng.normal(0, 0.2))
    cast = np.exp(rng.normal(0, 0.08, 3)) if rng.random() < 0.5 else np.ones(3)
    base = 255 * (_LEVELS / 255) ** gamma
    base = (base - 110) * contrast + 110 + rng.normal(0, 14)
    table = np.clip(base[:, None] * cast, 0, 255).astype(np.uint8)
    result = cv2.LUT(image, table[None])
    if rng.random() < 0.08:
        result = cv2.cvtColor(cv2.cvtColor(result, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return result


def soften(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fewer pixels, lack of focus or movement."""
    height, width = image.shape[:2]
    choice = rng.random()
    if choice < 0.6:
        share = rng.uniform(0.22, 0.8)
        small = cv2.resize(image, None, fx=share, fy=share, interpolation=_INTERPOLATIONS[rng.integers(0, 2)])
        return cv2.resize(small, (width, height), interpolation=_INTERPOLATIONS[rng.integers(0, 3)])
    if choice < 0.8:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.2))
    length, angle = int(rng.integers(3, 10)), rng.uniform(0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    reach = (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint([(length - 1) / 2 - reach, (length - 1) / 2 + reach]).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1)
    return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1))


def compress(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What JPEG leaves of it."""
    quality = int(rng.integers(25, 90))
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


def grain(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise of a dark room."""
    noise = np.empty(image.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(noise, 0, rng.uniform(2, 14))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def cover(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Something small in front of the face."""
    height, width = image.shape[:2]
    size = (rng.uniform(0.1, 0.35, 2) * (width, height)).astype(int)
    left, top = (rng.uniform(0, 1, 2) * (width - size[0], height - size[1])).astype(int)
    result = image.copy()
    result[top : top + size[1], left : left + size[0]] = rng.integers(0, 256, 3)
    return result


_STEPS = ((light, 0.75), (soften, 0.4), (grain, 0.15), (compress, 0.25), (cover, 0.1))


def degrade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Each of the steps above with its own likelihood."""
    for step, likelihood in _STEPS:
        if rng.random() < likelihood:
            image = step(image, rng)
    return image


def student_view(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One stored (120, 120, 3) face as a camera may deliver it: (112, 112, 3)."""
    face = misalign(crop, rng)
    if rng.random() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    return degrade(face, rng)
