"""Muon for the convolutions (an orthogonal step for every kernel), AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix, roughly, by Newton-Schulz iterations."""
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide else x.T


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is made orthogonal over (out, in * kernel * kernel)."""

    def __init__(self, kernels: Iterable[Tensor], lr: float, decay: float = 0.02) -> None:
        super().__init__(kernels, {"lr": lr, "decay": decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                momentum = self.state[kernel].setdefault("momentum", torch.zeros_like(kernel))
                momentum.lerp_(kernel.grad, 1 - group["momentum"])
                look_ahead = kernel.grad.lerp(momentum, group["momentum"])
                update = orthogonal(look_ahead.flatten(1))
                update *= max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                kernel.mul_(1 - group["lr"] * group["decay"])
                kernel.add_(update.view_as(kernel), alpha=-group["lr"])


def optimizers(net: nn.Module, muon_lr: float, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Muon for every kernel with more than 3 input channels, AdamW for what is left."""
    kernels, rest = [], []
    for weight in net.parameters():
        is_kernel = weight.dim() == 4 and weight.shape[1] > 3
        (kernels if is_kernel else rest).append(weight)
    return [Muon(kernels, muon_lr), torch.optim.AdamW(rest, adam_lr, weight_decay=0.01)]
