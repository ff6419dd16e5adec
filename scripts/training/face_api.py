"""Three networks of the npm package `@vladmandic/face-api` (MIT) as torch modules: teachers of face attributes.

Architectures after the package's sources: 68 landmarks and expressions share a feature extractor of four blocks of
separable convolutions; age and gender come from a small Xception. All take (N, 3, 112, 112) RGB in 0..255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.dlibnet import MEAN, read_weights

SIDE = 112
EXPRESSIONS = ("CALM", "HAPPY", "SAD", "ANGRY", "FEAR", "DISGUSTED", "SURPRISED")
"""Outputs of the expression network, in Rekognition's words."""


class _Net(nn.Module):
    """Weights by name and the layers that the three networks are made of."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self.weights = {key: _torch_layout(key, value) for key, value in read_weights(folder, name).items()}
        self.mean = torch.tensor(MEAN).view(1, 3, 1, 1)
        self.eval().requires_grad_(False)

    def normalized(self, images: Tensor) -> Tensor:
        return (images - self.mean) / 255

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return _same(x, self.weights[f"{name}/filters"], stride, self.weights[f"{name}/bias"])

    def separable(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        deep = _same(x, self.weights[f"{name}/depthwise_filter"], stride, groups=x.shape[1])
        return _same(deep, self.weights[f"{name}/pointwise_filter"], 1, self.weights[f"{name}/bias"])

    def dense(self, x: Tensor, name: str) -> Tensor:
        return x.flatten(1) @ self.weights[f"{name}/weights"] + self.weights[f"{name}/bias"]


class FaceFeatures(_Net):
    """68 landmarks (N, 136: x, y as fractions of the picture) or seven expressions (N, 7: logits)."""

    def forward(self, images: Tensor) -> Tensor:
        out = self.normalized(images)
        for number in range(4):
            out = self._block(out, f"dense{number}")
        return self.dense(functional.avg_pool2d(out, 7, 2), "fc")

    def _block(self, x: Tensor, name: str) -> Tensor:
        first = self.conv if f"{name}/conv0/filters" in self.weights else self.separable
        total = functional.relu(first(x, f"{name}/conv0", 2))
        step = total
        for number in (1, 2, 3):
            step = self.separable(step, f"{name}/conv{number}")
            total = total + step
            step = functional.relu(total)
        return step


class AgeGender(_Net):
    """Age in years (N,) and the logits of male and female (N, 2)."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        out = functional.relu(self.conv(self.normalized(images), "entry_flow/conv_in", 2))
        out = self._reduction(out, "entry_flow/reduction_block_0", activated=False)
        out = self._reduction(out, "entry_flow/reduction_block_1")
        for number in range(2):
            inner = out
            for step in range(3):
                inner = self.separable(functional.relu(inner), f"middle_flow/main_block_{number}/separable_conv{step}")
            out = out + inner
        out = self._reduction(out, "exit_flow/reduction_block")
        out = functional.relu(self.separable(out, "exit_flow/separable_conv"))
        pooled = functional.avg_pool2d(out, 7, 2)
        return self.dense(pooled, "fc/age")[:, 0], self.dense(pooled, "fc/gender")

    def _reduction(self, x: Tensor, name: str, *, activated: bool = True) -> Tensor:
        out = self.separable(functional.relu(x) if activated else x, f"{name}/separable_conv0")
        out = self.separable(functional.relu(out), f"{name}/separable_conv1")
        pooled = functional.max_pool2d(_padded(out, 3, 2, float("-inf")), 3, 2)
        return pooled + self.conv(x, f"{name}/expansion_conv", 2)


class Teachers:
    """The three networks on crops and their mirror images."""

    def __init__(self, folder: Path) -> None:
        self.landmark_net = FaceFeatures(folder, "face_landmark_68_model")
        self.expression_net = FaceFeatures(folder, "face_expression_model")
        self.age_net = AgeGender(folder, "age_gender_model")

    @torch.no_grad()
    def landmarks(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 68, 2) fractions of the (N, 112, 112, 3) crops, mean of a crop's and its mirror image's."""
        plain, mirrored = (self.landmark_net(part).view(-1, 68, 2) for part in _both(crops))
        back = mirrored[:, MIRROR_68]
        back[..., 0] = 1 - back[..., 0]
        return ((plain + back) / 2).numpy()

    @torch.no_grad()
    def attributes(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """`age` (N,) years, `male` (N,) and `emotions` (N, 7) probabilities of (N, 112, 112, 3) crops."""
        ages, males, emotions = [], [], []
        for part in _both(crops):
            age, gender = self.age_net(part)
            ages.append(age)
            males.append(gender.softmax(1)[:, 0])
            emotions.append(self.expression_net(part).softmax(1))
        parts = {"age": ages, "male": males, "emotions": emotions}
        return {name: ((first + second) / 2).numpy() for name, (first, second) in parts.items()}


def _mirror_order() -> list[int]:
    """Which of the 68 landmarks takes the place of which in a mirror image."""
    pairs = [(number, 16 - number) for number in range(17)]
    pairs += [(17 + number, 26 - number) for number in range(10)] + [(number, number) for number in range(27, 31)]
    pairs += [(31 + number, 35 - number) for number in range(5)]
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41)]
    pairs += [(48 + number, 54 - number) for number in range(7)] + [(55 + number, 59 - number) for number in range(5)]
    pairs += [(60 + number, 64 - number) for number in range(5)] + [(65, 67), (66, 66), (67, 65)]
    return [other for _, other in sorted(pairs)]


MIRROR_68 = _mirror_order()


def _both(crops: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float()
    return images, images.flip(3)


def _torch_layout(name: str, value: NDArray[np.float32]) -> Tensor:
    if name.endswith("depthwise_filter"):
        value = value.transpose(2, 3, 0, 1)
    elif value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(value))


def _padded(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Padding as TensorFlow's SAME: the odd pixel right and below."""
    pads: list[int] = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value)


def _same(x: Tensor, kernel: Tensor, stride: int, bias: Tensor | None = None, groups: int = 1) -> Tensor:
    return functional.conv2d(_padded(x, kernel.shape[2], stride), kernel, bias, stride, groups=groups)
