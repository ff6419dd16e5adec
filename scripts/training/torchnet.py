"""A `Graph` as a torch module, and its folded weights for other tools."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Self

from training.graph import Graph, Node

EPSILON = 1e-3


class TorchNet(nn.Module):
    """Runs a graph on (N, channels, height, width); one tensor out per output of the graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.frozen = 0
        """layers at the beginning that are not trained"""
        self.layers = nn.ModuleDict()
        channels, sizes = graph.channels(), graph.sizes()
        for node in graph.nodes:
            source = node.inputs[0]
            if node.kind == "conv":
                layers: list[nn.Module] = [_conv(node, channels[source], sizes[source])]
                if node.norm:
                    layers.append(nn.BatchNorm2d(node.channels, EPSILON))
                self.layers[node.name] = nn.Sequential(*layers)
            elif node.kind == "dense":
                height, width = sizes[source]
                self.layers[node.name] = nn.Linear(height * width * channels[source], node.channels)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for layer in list(self.layers.values())[: self.frozen]:
            layer.requires_grad_(False).eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        known = {"input": image}
        for node in self.graph.nodes:
            known[node.name] = self._run(node, [known[name] for name in node.inputs])
        return tuple(known[name] for name in self.graph.outputs)

    def _run(self, node: Node, inputs: list[Tensor]) -> Tensor:
        first = inputs[0]
        if node.kind == "conv" and not node.norm:
            with torch.autocast(first.device.type, enabled=False):
                result = self.layers[node.name](first.float())
        elif node.kind == "conv" or node.kind == "dense":
            result = self.layers[node.name](first)
        elif node.kind == "add":
            result = first + inputs[1]
        elif node.kind == "up":
            result = functional.interpolate(first, scale_factor=2.0, mode="nearest")
        elif node.kind == "flatten":
            result = first.permute(0, 2, 3, 1).flatten(1)
        elif node.kind == "fold":
            columns = first.permute(0, 2, 3, 1).flatten(2)
            result = columns.permute(0, 2, 1).unsqueeze(3)
        elif node.kind == "rows":
            result = first.permute(0, 2, 3, 1).reshape(first.shape[0], -1, node.channels)
        else:
            result = torch.cat(inputs, dim=1)
        if node.activation == "relu":
            return functional.relu(result)
        return torch.sigmoid(result) if node.activation == "sigmoid" else result


class _SamePad(nn.Module):
    """Zeros where TFLite's SAME puts them: the odd one right and below."""

    def __init__(self, pads: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.pads = pads

    def forward(self, image: Tensor) -> Tensor:
        return functional.pad(image, self.pads)


def _conv(node: Node, channels: int, size: tuple[int, int]) -> nn.Module:
    padding = []
    for side in (size[1], size[0]):
        total = max((-(-side // node.stride) - 1) * node.stride + node.kernel - side, 0)
        padding += [total // 2, total - total // 2]
    conv = nn.Conv2d(channels, node.channels, node.kernel, node.stride, bias=not node.norm)
    if padding[0] == padding[1] and padding[2] == padding[3]:
        conv.padding = (padding[2], padding[0])
        return nn.Sequential(conv)
    return nn.Sequential(_SamePad((padding[0], padding[1], padding[2], padding[3])), conv)


def folded(net: TorchNet) -> dict[str, NDArray[np.float32]]:
    """Kernels as Keras has them and biases, batch norm folded in: NAME/kernel and NAME/bias."""
    weights = {}
    for name, layer in net.layers.items():
        if isinstance(layer, nn.Linear):
            kernel, bias = layer.weight.detach().T, layer.bias.detach()
        else:
            kernel, bias = _fold(layer)
        weights[f"{name}/kernel"] = kernel.contiguous().numpy()
        weights[f"{name}/bias"] = bias.contiguous().numpy()
    return weights


def _fold(layer: nn.Module) -> tuple[Tensor, Tensor]:
    conv = next(part for part in layer.modules() if isinstance(part, nn.Conv2d))
    norm = next((part for part in layer.modules() if isinstance(part, nn.BatchNorm2d)), None)
    kernel = conv.weight.detach().permute(2, 3, 1, 0)
    if norm is None:
        assert conv.bias is not None
        return kernel, conv.bias.detach()
    gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    return kernel * gain, norm.bias.detach() - norm.running_mean * gain
