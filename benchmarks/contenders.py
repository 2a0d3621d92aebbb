"""What is timed: a full training step of the plain model, of an emitted package, or of a rival's hypernetwork."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.rivals import Rival

__all__ = ["Contender", "load_part", "packaged", "plain", "rival_contender"]

PLAIN_RATE, RATE = 1e-4, 1e-5  # small: what is timed should not train away, or blow up
STRENGTH = 1.0


@dataclass(frozen=True)
class Contender:
    """Steps, each of which begins with `zero_grad` and ends with the optimizer's, as many as there are from one penalty
    to the next; `modules` and `optimizer` hold their tensors."""

    step: Callable[[], None]
    modules: Sequence[nn.Module]
    optimizer: torch.optim.Optimizer
    datasets: Sequence[Tensor] = field(repr=False)

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for group in self.optimizer.param_groups for tensor in group["params"])

    def tensors(self) -> list[Tensor]:
        """All that outlives a step, gradients aside."""
        held = [tensor for module in self.modules for tensor in (*module.parameters(), *module.buffers())]
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        return [*held, *(value for value in moments if isinstance(value, Tensor)), *self.datasets]


def trained(
    modules: Sequence[nn.Module],
    optimizer: torch.optim.Optimizer,
    datasets: Sequence[Tensor],
    total: Callable[[bool], Tensor],
    steps: int,
) -> Contender:
    """`total(penalised)` is what a step minimises; the first of the steps is the one with a penalty."""

    def step() -> None:
        for count in range(steps):
            optimizer.zero_grad(set_to_none=True)
            total(count == 0).backward()
            optimizer.step()

    return Contender(step, modules, optimizer, datasets)


def plain(model: nn.Module, datasets: Sequence[Tensor], steps: int = 1) -> Contender:
    """The model's own training, on all items of the datasets in one batch."""
    batch = torch.cat(list(datasets))
    optimizer = torch.optim.Adam(model.parameters(), PLAIN_RATE, fused=True)
    return trained([model], optimizer, [batch], lambda penalised: model.loss(batch), steps)


def load_part(path: Path, part: str) -> ModuleType:
    """A module of an emitted package, imported from its folder without HyperGen."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    return importlib.import_module(f"{path.name}.{part}")


def packaged(path: Path, datasets: Sequence[Tensor], penalty: bool, steps: int = 1) -> Contender:
    """An emitted package with its own objective and its own optimizer; one of the steps has the penalty."""
    hypernetwork, state = load_part(path, "hypernetwork").Hypernetwork(), load_part(path, "weights").State()
    optimizer = load_part(path, "optimizer").make_optimizer(hypernetwork, RATE)
    objective = load_part(path, "objective").objective
    strength = STRENGTH if penalty else 0.0

    def total(penalised: bool) -> Tensor:
        return objective(hypernetwork, state, *datasets, strength=strength if penalised else 0.0).total

    return trained([hypernetwork, state], optimizer, datasets, total, steps)


class Caller(nn.Module):
    """A model whose `forward` calls a method by name, as `functional_call` needs it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, method: str, *inputs: Any) -> Tensor:
        return getattr(self.model, method)(*inputs)


def rival_contender(
    rival: Rival, model: nn.Module, datasets: Sequence[Tensor], penalty: bool, fused: bool = True, steps: int = 1
) -> Contender:
    """A rival that emits weights dataset by dataset; its penalty is the literal one, |H(Y) - H(X)|^2 with one Y, in
    every step."""
    caller = Caller(model)
    hypernetwork = rival.make(caller, datasets[0][0].numel())
    model.requires_grad_(False)
    parameters = [parameter for parameter in hypernetwork.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, RATE, fused=fused)

    def one(x: Tensor) -> Tensor:
        weights = hypernetwork(as_vectors(x))
        loss = functional_call(caller, weights, ("loss", x))
        if not penalty:
            return loss
        synthetic = hypernetwork(as_vectors(functional_call(caller, weights, ("sample", x.shape[0]))))
        apart = sum((synthetic[name] - weights[name]).square().sum() for name in weights)
        return loss + STRENGTH * apart

    def total(penalised: bool) -> Tensor:
        return torch.stack([one(x) for x in datasets]).mean()

    return trained([hypernetwork], optimizer, datasets, total, steps)


def as_vectors(x: Tensor) -> Tensor:
    """[n, ...] -> [n, numbers of an item], tokens as numbers below 1"""
    flat = x.flatten(1)
    return flat if flat.is_floating_point() else flat / 256
