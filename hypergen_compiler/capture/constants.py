"""Names of the tensors that a model reads but that are neither its parameters nor its buffers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.fx
from torch import nn

from hypergen_compiler.capture.tape import Tape, same_values
from hypergen_compiler.errors import HyperGenError

__all__ = ["name_constants"]


def name_constants(graph: torch.fx.Graph, tape: Tape, constants: dict[str, torch.Tensor], model: nn.Module) -> None:
    """Gives every constant of an entry its name in the program: equal tensors share one."""
    values = {f"constant_{ref.key}": value for ref, value in tape.constants.items()}
    aliases = {f"constant_{ref.key}": ref for ref in tape.aliases}
    for node in graph.nodes:
        if node.op != "get_attr" or node.meta["kind"] != "constant":
            continue
        if node.target in aliases:
            raise HyperGenError(
                "HG204",
                "a tensor is made from another outside of recorded calls, as by nn.Parameter(x)",
                where=tape.constant_places[aliases[node.target]],
                remedy="Use x.detach(), and x.requires_grad_() where its gradient is wanted.",
            )
        value = values[node.target]
        known = next((name for name, other in constants.items() if same_values(other, value)), None)
        node.target = known or constant_name(value, model, constants)
        constants.setdefault(node.target, value)


def constant_name(value: torch.Tensor, model: nn.Module, taken: Mapping[str, torch.Tensor]) -> str:
    """The plain attribute in which a module of the model holds an equal tensor, or else a number."""
    held = ((name, item) for module in model.modules() for name, item in vars(module).items())
    names = (name for name, item in held if isinstance(item, torch.Tensor) and is_same(item, value))
    others = {*taken, *dict(model.named_parameters()), *dict(model.named_buffers())}
    return next((name for name in names if name not in others), f"constant_{len(taken)}")


def is_same(held: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether a tensor that a module holds is surely the constant: fake ones have no values to tell by."""
    real = type(value) is torch.Tensor and held.layout == value.layout and held.device == value.device
    return real and same_values(held, value)
