"""Weights of a smaller net as the beginning of a deeper and wider one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from training.torchnet import TorchNet

Values = Mapping[str, Tensor]


def grown(values: Values, net: TorchNet) -> dict[str, Tensor]:
    """`values` (a state dict) for `net`, which may be deeper and wider; it computes the same at first.

    Layers are paired in order: a layer takes the weights of the next one that has its kernel size and at most its
    channels. The weights from added channels to the old ones are zero. The block that is added last in a row of equal
    ones is the new one: its second convolution adds nothing, so that what comes in goes out.
    Source: Chen, Goodfellow, Shlens, "Net2Net" (2016), deepening by identity.

    Raises SystemExit where a layer of `values` fits nowhere.
    """
    wanted = net.state_dict()
    old, new = _layers(values), _layers(wanted)
    result: dict[str, Tensor] = {}
    waiting = list(old)
    silent = {node.name for node in net.graph.nodes if node.kind == "conv" and not node.activation and node.norm}
    for name in new:
        if waiting and _fits(_shapes(values, old[waiting[0]]), _shapes(wanted, new[name])):
            source = waiting.pop(0)
            pairs = zip(old[source], new[name], strict=True)
            result |= {key: _inside(values[given], wanted[key]) for given, key in pairs}
        else:
            result |= {key: wanted[key].clone() for key in new[name]}
            if name in silent:
                result |= {key: torch.zeros_like(result[key]) for key in _gains(wanted, new[name])}
    if waiting:
        raise SystemExit(f"error: {waiting[0]} of the checkpoint fits no layer\ntry: a checkpoint of a smaller net")
    return result


def _fits(old: list[torch.Size], new: list[torch.Size]) -> bool:
    """Whether each tensor has room in its partner, and kernels have one size."""
    return len(old) == len(new) and all(
        len(a) == len(b) and a[2:] == b[2:] and all(x <= y for x, y in zip(a, b, strict=True))
        for a, b in zip(old, new, strict=True)
    )


def _inside(given: Tensor, wanted: Tensor) -> Tensor:
    """A tensor as large as `wanted` with `given` in its first channels, which take nothing from the others."""
    result = wanted.clone()
    if not given.dim():
        return given.to(wanted.dtype)
    count = given.shape[0]
    if given.dim() > 1:
        result[:count] = 0
        result[:count, : given.shape[1]] = given
    else:
        result[:count] = given
    return result


def _layers(values: Values) -> dict[str, list[str]]:
    """Keys of a state dict by layer, in the net's order: layers.NAME.REST."""
    layers: dict[str, list[str]] = {}
    for key in values:
        layers.setdefault(key.split(".")[1], []).append(key)
    return layers


def _shapes(values: Values, keys: list[str]) -> list[torch.Size]:
    return [values[key].shape for key in keys]


def _gains(values: Values, keys: list[str]) -> list[str]:
    """What a layer's batch norm multiplies by."""
    return [key for key in keys if values[key].dim() == 1 and key.endswith(".weight")]
