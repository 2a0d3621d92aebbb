"""One pass over several datasets against one pass each, with the same random numbers.

Loaded by `worker.py`, and so imports torch and the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["DATASETS", "observe_together"]

DATASETS = 3
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "dropout_")


def observe_together(modules: dict[str, ModuleType], flat: Tensor, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
    """What the package's objective and its gradients are for DATASETS datasets in one pass, and for each alone.

    `inputs` hold their items one behind the other; `flat` [SIZE] are weights to start from. Alone, a dataset goes
    through the model with plain weights, as `emit` makes them. Both are {output, gradients, state}.
    """
    torch.manual_seed(0)
    hypernetwork = modules["hypernetwork"].Hypernetwork(flat)
    with torch.no_grad():
        for parameter in hypernetwork.groups()[1]:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    parts = [part.chunk(DATASETS) for part in inputs]
    datasets = list(zip(*parts, strict=True))
    noise = SameNoise()
    sampled = getattr(modules["objective"], "synthetic_datasets", None)
    strength = 0.0 if hasattr(sampled, "__wrapped__") else 1.0  # by `no_grad`, as are samplers that run long
    found = observe(modules, hypernetwork, datasets, noise, strength)

    if hasattr(hypernetwork, "multiplier"):
        hypernetwork.multiplier.zero_()  # it moved once the penalty was known
    state = modules["weights"].State()
    emit_together = hypernetwork.emit_together
    hypernetwork.emit_together = partial(emit_alone, modules["weights"].unpack, hypernetwork)
    terms = []
    with noise:
        for number, dataset in enumerate(datasets):
            noise.position = 0
            carried = strength if number == len(datasets) - 1 else 0.0  # in one pass the last of few has the penalty
            terms.append(modules["objective"].objective(hypernetwork, state, dataset, strength=carried))
    hypernetwork.emit_together = emit_together
    loss = torch.stack([each.loss for each in terms]).mean()
    return {"together": found, "apart": summary(hypernetwork, state, loss, terms[-1].penalty)}


def emit_alone(
    unpack: Callable[[Tensor], Any], hypernetwork: torch.nn.Module, embeddings: Tensor, learn_base: bool = True
) -> Any:
    """Plain weights for the only one of the embeddings, in place of `emit_together`."""
    hypernetwork.base.requires_grad_(learn_base)
    weights = unpack(hypernetwork.emit(embeddings[0]))
    hypernetwork.base.requires_grad_(True)
    return weights


def observe(
    modules: dict[str, ModuleType],
    hypernetwork: torch.nn.Module,
    datasets: list[Any],
    noise: SameNoise,
    strength: float,
) -> dict[str, Any]:
    state = modules["weights"].State()
    with noise:
        terms = modules["objective"].objective(hypernetwork, state, *datasets, strength=strength)
    return summary(hypernetwork, state, terms.loss, terms.penalty)


def summary(hypernetwork: torch.nn.Module, state: Any, loss: Tensor, penalty: Tensor) -> dict[str, Any]:
    names, parameters = zip(*hypernetwork.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss + penalty, parameters, allow_unused=True)
    return {
        "output": [loss.detach(), penalty.detach()],
        "gradients": dict(zip(names, gradients, strict=True)),
        "state": {
            name: buffer.detach().clone() for name, buffer in state.tensors().items() if buffer.is_floating_point()
        },
    }


class SameNoise(TorchFunctionMode):
    """Gives every item the same random numbers, the same each time: those of the first pass through it, by their order.

    So a pass over many items draws what a pass over few of them does. Batch normalisations go by running statistics, as
    those of a batch are not the same for many items as for few.
    """

    def __init__(self):
        super().__init__()
        self.rows: list[Tensor] = []
        self.position = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(function, "__name__", "")
        if name == "batch_norm":
            return function(*args, **kwargs | {"training": False})
        if name in DROPOUTS:
            ones = torch.ones_like(args[0])
            return args[0] * self.repeated(function(ones, *args[1:], **kwargs))
        if kwargs.get("dropout_p"):
            kwargs["dropout_p"] = 0.0
        before = torch.get_rng_state()
        result = function(*args, **kwargs)
        if not isinstance(result, Tensor) or torch.equal(before, torch.get_rng_state()):
            return result
        if name.endswith("_"):
            with torch.no_grad():
                return result.copy_(self.repeated(result))
        return self.repeated(result)

    def repeated(self, result: Tensor) -> Tensor:
        """`result` with the row that was drawn at this place in the order at first, for every item."""
        if self.position == len(self.rows):
            self.rows.append(result[:1].detach().clone() if result.ndim else result.detach().clone())
        row = self.rows[self.position]
        self.position += 1
        return row.expand(result.shape).clone()
