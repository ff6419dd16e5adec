"""The dlib face recognition network (public domain, 128-d), read from the npm package `@vladmandic/face-api`.

Architecture: Davis King, dlib `face_recognition_resnet_model_v1` (29 convolutions). The package holds most weights as
bytes, with a scale and an offset for each tensor.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.align import TEMPLATE, similarity

CHIP = 150
POINTS = np.array([[47.55, 46.6], [100.5, 46.6], [74.0, 76.6], [50.4, 103.0], [97.6, 103.0]], np.float32)
"""(5, 2) where eyes, nose and mouth lie in dlib's face chip of 150 x 150 with a padding of .25, pixels."""
MEAN = (122.782, 117.001, 104.298)
_STAGES = (("32", 3), ("64", 3), ("128", 2), ("256", 2))
_NAME = "face_recognition_model"


def read_weights(folder: Path, name: str = _NAME) -> dict[str, NDArray[np.float32]]:
    """The tensors of a model of the package's folder `model`, by name."""
    content = (folder / f"{name}.bin").read_bytes()
    (group,) = json.loads((folder / f"{name}-weights_manifest.json").read_text())
    weights, place = {}, 0
    for entry in group["weights"]:
        stored = entry.get("quantization", {"dtype": "float32", "scale": 1.0, "min": 0.0})
        values = np.frombuffer(content, stored["dtype"], int(np.prod(entry["shape"])), place)
        place += values.nbytes
        values = values.reshape(entry["shape"]) * stored["scale"] + stored["min"]
        weights[entry["name"]] = values.astype(np.float32)
    return weights


class DlibNet(nn.Module):
    """(N, 3, 150, 150) RGB in 0..255 to (N, 128); not of unit length."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        weights = read_weights(folder)
        self.convs = nn.ModuleDict()
        for name in sorted({key.removesuffix("/conv/filters") for key in weights if key.endswith("/conv/filters")}):
            self.convs[name.replace("/", "_")] = _scaled(weights, name)
        self.register_buffer("fc", torch.from_numpy(weights["fc"]))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, chips: Tensor) -> Tensor:
        out = functional.relu(self.convs["conv32_down"]((chips - self.mean) / 255))
        out = functional.max_pool2d(out, 3, 2)
        for stage, count in _STAGES:
            if stage != "32":
                out = self._down(out, f"conv{stage}_down")
            for number in range(1, count + 1):
                out = functional.relu(out + self._pair(out, f"conv{stage}_{number}"))
        return self._down(out, "conv256_down_out").mean(dim=(2, 3)) @ self.fc

    @torch.no_grad()
    def embed_both(self, crop: NDArray[np.uint8], margin: int) -> NDArray[np.float32]:
        """The unit mean (128,) of an aligned (112 + 2 margin) crop's embedding and its mirror image's."""
        image = torch.from_numpy(chip(crop, margin)).permute(2, 0, 1).float()
        pair = torch.stack([image, image.flip(2)]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            total = self(pair).float().sum(dim=0).numpy()
        return total / np.linalg.norm(total)

    def _pair(self, x: Tensor, name: str) -> Tensor:
        return self.convs[f"{name}_conv2"](functional.relu(self.convs[f"{name}_conv1"](x)))

    def _down(self, x: Tensor, name: str) -> Tensor:
        out, pooled = self._pair(x, name), functional.avg_pool2d(x, 2)
        out = functional.pad(out, (0, pooled.shape[3] - out.shape[3], 0, pooled.shape[2] - out.shape[2]))
        pooled = functional.pad(pooled, (0, 0, 0, 0, 0, out.shape[1] - pooled.shape[1]))
        return functional.relu(out + pooled)


def _scaled(weights: dict[str, NDArray[np.float32]], name: str) -> nn.Conv2d:
    """A convolution with the scale layer behind it folded in."""
    kernel, gain = weights[f"{name}/conv/filters"], weights[f"{name}/scale/weights"]
    down = name == "conv32_down" or ("down" in name and name.endswith("conv1"))
    size, channels, filters = kernel.shape[0], kernel.shape[2], kernel.shape[3]
    conv = nn.Conv2d(channels, filters, size, 2 if down else 1, 0 if down else size // 2)
    conv.weight.data = torch.from_numpy(np.ascontiguousarray((kernel * gain).transpose(3, 2, 0, 1)))
    conv.bias.data = torch.from_numpy(weights[f"{name}/conv/bias"] * gain + weights[f"{name}/scale/biases"])
    return conv


def chip(crop: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """dlib's (150, 150, 3) chip of an aligned (112 + 2 margin) crop."""
    matrix = similarity(TEMPLATE + margin, POINTS)
    return cv2.warpAffine(crop, matrix, (CHIP, CHIP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
