"""Weights of a shallower net as the beginning of a deeper one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from training.torchnet import TorchNet

Values = Mapping[str, Tensor]


def grown(values: Values, net: TorchNet) -> dict[str, Tensor]:
    """`values` (a state dict) for `net`, which may have more residual blocks; at first it computes the same.

    Layers are paired in order by the shapes of their weights. The block that is added last in a row of
    equal ones is the new one: its second convolution adds nothing, so that what comes in goes out.
    Source: Chen, Goodfellow, Shlens, "Net2Net" (2016), deepening by identity.

    Raises SystemExit where a layer of `values` fits nowhere.
    """
    wanted = net.state_dict()
    old, new = _layers(values), _layers(wanted)
    result: dict[str, Tensor] = {}
    waiting = list(old)
    silent = {node.name for node in net.graph.nodes if node.kind == "conv" and not node.activation}
    for name in new:
        if waiting and _shapes(values, old[waiting[0]]) == _shapes(wanted, new[name]):
            source = waiting.pop(0)
            pairs = zip(old[source], new[name], strict=True)
            result |= {key: values[given].to(wanted[key].dtype) for given, key in pairs}
        else:
            result |= {key: wanted[key].clone() for key in new[name]}
            if name in silent:
                result |= {key: torch.zeros_like(result[key]) for key in _gains(wanted, new[name])}
    if waiting:
        raise SystemExit(f"error: {waiting[0]} of the checkpoint fits no layer\ntry: a checkpoint of a shallower net")
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
