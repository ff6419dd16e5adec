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


def soft(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A lens slightly out of focus."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))


def coarse(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A sensor of fewer pixels."""
    share = rng.uniform(0.5, 0.9)
    small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def motion_blur(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Motion of up to 4 pixels during the exposure."""
    kernel = np.zeros((5, 5), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = rng.uniform(0.5, 2.0) * np.array([np.cos(angle), np.sin(angle)])
    first, last = (np.round((2 + sign * reach) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, first, last, 1.0, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-3))
