"""What cameras and codecs do to a picture, done while training."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = np.arange(256, dtype=np.float32)


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
