"""What a model registers: its parameters, buffers and modules."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
import torch.fx
from torch import nn

from hypergen_compiler.capture.state import named_state, named_weights
from hypergen_compiler.errors import HyperGenWarning
from hypergen_compiler.program import Buffer, Entry, Module, Parameter

__all__ = ["CRITIC", "buffers", "modules", "parameters"]

CRITIC = "critic"  # the submodule that a critic's loss trains


def parameters(model: nn.Module, entries: Sequence[Entry], critic: str | None) -> tuple[Parameter, ...]:
    read = {node.target for entry in entries for graph in entry.graphs for node in graph.nodes if is_parameter(node)}
    aliases = alias_table(named_weights(model, every_name=True))
    found = []
    for name, value in named_weights(model).items():
        trained = name in read and value.requires_grad
        beside = trained and critic is not None and name.startswith(f"{CRITIC}.")
        others = tuple(alias for alias in aliases[id(value)] if alias != name)
        found.append(Parameter(name, value.detach(), others, trained and not beside, name in read, beside))
    unread = [parameter.name for parameter in found if not parameter.read]
    if unread:
        names = ", ".join(unread[:3]) + (f" and {len(unread) - 3} more" if len(unread) > 3 else "")
        warnings.warn(f"no entry point reads {names}: exported unchanged", HyperGenWarning, stacklevel=2)
    return tuple(found)


def buffers(model: nn.Module) -> tuple[Buffer, ...]:
    aliases = alias_table(named_state(model, every_name=True))
    kept = set(model.state_dict())
    return tuple(
        Buffer(name, value.detach().clone(), tuple(a for a in aliases[id(value)] if a != name), name in kept)
        for name, value in named_state(model).items()
    )


def alias_table(named: Mapping[str, torch.Tensor]) -> dict[int, list[str]]:
    table: dict[int, list[str]] = {}
    for name, tensor in named.items():
        table.setdefault(id(tensor), []).append(name)
    return table


def is_parameter(node: torch.fx.Node) -> bool:
    return node.op == "get_attr" and node.meta["kind"] == "parameter"


def modules(model: nn.Module) -> tuple[Module, ...]:
    return tuple(describe_module(path, module) for path, module in model.named_modules())


def describe_module(path: str, module: nn.Module) -> Module:
    cls = type(module)
    builtin = cls.__module__.startswith("torch.nn")
    container = isinstance(module, nn.ModuleList | nn.Sequential | nn.ModuleDict | nn.ParameterList)
    return Module(path, cls.__name__, builtin, container and builtin)
