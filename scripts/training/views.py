"""Faces as cameras, codecs, the night and clothes leave them, made by the batch on the device that trains."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.crops import CROP

_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)  # fmt: skip
"""(8, 8) JPEG's usual table of luminance (ITU T.81, annex K)."""


class Views:
    """Makes (N, 3, 112, 112) views in 0..1 of stored faces (N, 3, 120, 120) in bytes; the same ones from one seed.

    ``often``: share of the usual number of variations other than light.
    """

    def __init__(self, device: torch.device, seed: int, often: float = 1.0) -> None:
        self.device = device
        self._seed = seed
        self._random = torch.Generator(device)
        self._rows, self._columns = torch.meshgrid(*(torch.linspace(-1, 1, CROP, device=device),) * 2, indexing="ij")
        k = torch.arange(8, device=device)
        self._dct = (
            torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / 16) * torch.where(k == 0, 0.125, 0.25)[:, None].sqrt()
        )
        steps: tuple[tuple[Callable[[Tensor], Tensor], float], ...] = (
            (self.light, 0.7), (self.shade, 0.2), (self.mask, 0.05), (self.sunglasses, 0.06), (self.hat, 0.06),
            (self.cover, 0.06), (self.night, 0.12), (self.gray, 0.08), (self.shrink, 0.2), (self.shrink, 0.2),
            (self.blur, 0.1), (self.smear, 0.06), (self.grain, 0.18), (self.compress, 0.25),
        )  # fmt: skip
        self._steps = tuple((step, share if step == self.light else often * share) for step, share in steps)

    def __call__(self, crops: Tensor, number: int) -> Tensor:
        """Every step above for its own share of the rows, in that order; batch `number` is always the same."""
        self._random.manual_seed(1_000_003 * self._seed + number)
        images = self.turn(crops.to(self.device))
        for step, share in self._steps:
            chosen = (self._uniform(len(images)) < share).nonzero()[:, 0]
            if len(chosen):
                images[chosen] = step(images[chosen]).clamp(0, 1)
        return images

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, generator=self._random, device=self.device) * (high - low) + low

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._random, device=self.device)

    def _each(self, count: int, low: float, high: float, channels: int = 1) -> Tensor:
        return self._uniform(count, channels, 1, 1, low=low, high=high)

    def turn(self, crops: Tensor) -> Tensor:
        """Cut out (112, 112) with landmarks as wrong as a detector's, heads turned a little, half of them mirrored."""
        count = len(crops)
        wrong = self._uniform(count, low=0.2, high=1.3)[:, None] * self._normal(count, 4)
        scale, angle = 1 + wrong[:, 0] * 0.03, wrong[:, 1] * 0.03
        mirror = torch.where(self._uniform(count) < 0.5, -1.0, 1.0)
        cos, sin = (scale * angle.cos())[:, None, None], (scale * angle.sin())[:, None, None]
        yaw, pitch = (self._uniform(2, count, low=-0.14, high=0.14) * (self._uniform(count) < 0.4))[..., None, None]
        x, y = self._columns[None] * mirror[:, None, None], self._rows[None]
        x = x + yaw * (1 - x * x) * (1 - 0.4 * y * y)
        y = y + pitch * (1 - y * y)
        shift = wrong[:, 2:, None, None] * 1.6 * 2 / CROP
        grid = torch.stack([cos * x - sin * y + shift[:, 0], sin * x + cos * y + shift[:, 1]], dim=-1)
        grid = grid * (CROP / crops.shape[-1])
        return functional.grid_sample(crops.float() / 255, grid, padding_mode="border", align_corners=False)

    def light(self, images: Tensor) -> Tensor:
        """Other gamma, contrast, brightness and color cast."""
        count = len(images)
        gamma = (0.3 * self._normal(count, 1, 1, 1)).exp()
        contrast = (0.2 * self._normal(count, 1, 1, 1)).exp()
        cast = (0.08 * self._normal(count, 3, 1, 1)).exp()
        return (images.pow(gamma) * contrast + 0.43 * (1 - contrast) + 0.055 * self._normal(count, 1, 1, 1)) * cast

    def shade(self, images: Tensor) -> Tensor:
        """Light from one side, or a spot of it."""
        count = len(images)
        angle = self._each(count, -math.pi, math.pi)
        across = angle.cos() * self._columns + angle.sin() * self._rows
        edge = torch.sigmoid((across - self._each(count, -0.4, 0.4)) * self._each(count, 1.5, 6))
        return images * (1 - edge * self._each(count, 0.3, 0.85)) * self._each(count, 1.0, 1.35)

    def night(self, images: Tensor) -> Tensor:
        """Infrared: one channel, bright skin, light from the camera, noise."""
        count = len(images)
        weights = self._uniform(count, 3, 1, 1) + torch.tensor([1.2, 0.2, 0.0], device=self.device).view(3, 1, 1)
        gray = (images * weights / weights.sum(dim=1, keepdim=True)).sum(dim=1, keepdim=True)
        gray = gray.clamp_min(1e-4).pow(self._each(count, 0.45, 1.1))
        away = self._columns**2 + self._rows**2
        gray = gray * (self._each(count, 0.7, 1.25) - away * self._each(count, 0.0, 0.35))
        noise = self._normal(count, 1, CROP, CROP) * self._each(count, 0.0, 0.07)
        return (gray + noise).expand(-1, 3, -1, -1)

    def gray(self, images: Tensor) -> Tensor:
        """No color, or the tone of an old print."""
        gray = images.mean(dim=1, keepdim=True)
        sepia = torch.tensor([0.1, 0.0, -0.15], device=self.device).view(3, 1, 1)
        return gray * (1 + self._uniform(len(images), 1, 1, 1) * sepia)

    def shrink(self, images: Tensor) -> Tensor:
        """Fewer pixels."""
        side = int(self._uniform(1, low=22, high=80))
        mode = ("bilinear", "area")[int(self._uniform(1) < 0.5)]
        small = functional.interpolate(images, (side, side), mode=mode)
        return functional.interpolate(small, (CROP, CROP), mode="bilinear")

    def blur(self, images: Tensor) -> Tensor:
        """Out of focus."""
        reach = torch.arange(-5, 6, device=self.device)
        line = torch.exp(-((reach / float(self._uniform(1, low=0.6, high=2.2))) ** 2) / 2)
        line = (line / line.sum()).expand(3, 1, 1, -1)
        images = functional.conv2d(functional.pad(images, (5, 5, 5, 5), "replicate"), line, groups=3)
        return functional.conv2d(images, line.transpose(2, 3), groups=3)

    def smear(self, images: Tensor) -> Tensor:
        """Movement while the shutter is open."""
        reach = 5
        angle, length = (float(v) for v in self._uniform(2))
        ys, xs = torch.meshgrid(*(torch.arange(-reach, reach + 1, device=self.device),) * 2, indexing="ij")
        along = xs * math.cos(angle * math.pi) + ys * math.sin(angle * math.pi)
        across = ys * math.cos(angle * math.pi) - xs * math.sin(angle * math.pi)
        kernel = (1 - across.abs()).clamp_min(0) * (along.abs() <= 1 + 3.5 * length)
        kernel = (kernel / kernel.sum()).expand(3, 1, -1, -1)
        return functional.conv2d(functional.pad(images, (reach,) * 4, "replicate"), kernel, groups=3)

    def grain(self, images: Tensor) -> Tensor:
        """Noise of a dark room."""
        return images + self._normal(*images.shape) * self._each(len(images), 0.008, 0.06)

    def compress(self, images: Tensor) -> Tensor:
        """What JPEG's quantization leaves of blocks of 8 x 8."""
        quality = self._each(len(images), 20, 85)[..., None, None]
        share = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
        table = (torch.from_numpy(_LUMA).to(self.device) * share).clamp_min(1)
        blocks = (images * 255 - 128).unflatten(3, (CROP // 8, 8)).unflatten(2, (CROP // 8, 8)).transpose(3, 4)
        values = self._dct @ blocks @ self._dct.T
        blocks = self._dct.T @ ((values / table).round() * table) @ self._dct
        return (blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3) + 128) / 255

    def cover(self, images: Tensor) -> Tensor:
        """Something small in front of the face."""
        count = len(images)
        near = [
            (place - self._each(count, -1, 1)).abs() < self._each(count, 0.12, 0.4)
            for place in (self._columns, self._rows)
        ]
        return torch.where(near[0] & near[1], self._cloth(count), images)

    def mask(self, images: Tensor) -> Tensor:
        """A mask over nose and mouth."""
        count = len(images)
        top = self._each(count, 0.02, 0.3) + self._columns**2 * self._each(count, -0.1, 0.3)
        return torch.where(self._rows > top, self._cloth(count), images)

    def sunglasses(self, images: Tensor) -> Tensor:
        """Dark or half dark glass in front of both eyes."""
        count = len(images)
        across = (self._columns.abs() - 0.32) / self._each(count, 0.2, 0.32)
        down = (self._rows + 0.07) / self._each(count, 0.12, 0.24)
        glass = (across.abs().pow(3) + down.abs().pow(3)) < 1
        bridge = (self._columns.abs() < 0.4) & ((self._rows + 0.12).abs() < 0.025)
        tint = self._each(count, 0.0, 0.25, 3) + 0.3 * self._each(count, 0, 1) * images
        return torch.where(glass | bridge, tint, images)

    def hat(self, images: Tensor) -> Tensor:
        """A cap, a scarf or hair down to the brows."""
        count = len(images)
        brim = self._each(count, -0.75, -0.25) - self._columns**2 * self._each(count, -0.15, 0.15)
        shadow = 1 - torch.sigmoid((brim + 0.25 - self._rows) * 12) * self._each(count, 0, 0.6)
        return torch.where(self._rows < brim, self._cloth(count), images * shadow)

    def _cloth(self, count: int) -> Tensor:
        """Any color, with folds."""
        folds = torch.sin(self._columns * self._each(count, 0, 9) + self._rows * self._each(count, 0, 9))
        return (self._each(count, 0, 1, 3) + 0.06 * folds).clamp(0, 1)
