"""Models whose names and texts try to become code, or to be taken for something of the package's own.

Names of modules, parameters, buffers, classes, functions, variables, inputs and files, docstrings, and keys of what an
entry point returns.
"""

from __future__ import annotations

import builtins
import keyword
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import nn

__all__ = ["HostileModel", "example", "hostile_model", "hostile_names"]

PACKAGE = (
    "weights model State F torch unpack layers Weights LAYOUT SIZE EMITTED CONDITIONED TIED CONSTANTS pack Tensor nn "
    "w n state training read tensors at cls to_state_dict initial_weights TENSORS Path Gained NamedTuple Any Mapping "
    "device Hypernetwork loss sample data train export objective processes hypernetwork test_package numpy np math "
    "os sys"
).split()
ODD = (
    "0 1st -1 a-b a.b_ \xfcn\xefcode \u65e5\u672c \uff45\uff58\uff45\uff43 \ufb01 \u210c \u0430 \u0435 __class__ "
    "__init__ __getattr__ __file__ _ __ ___ x\u200dy \u202eevil None True print len self super type id input"
).split()
COLLIDING = (
    "a b", "a-b", "a_b", "A_B", "a__b", " a b ", "a\tb", "\xe4_b", "at + b", "tensors[at + ", "fc_weight", "fc-weight",
)  # fmt: skip
WRAPPED = (
    "{0}", '"""\n{0}\n"""', "'''\n{0}\n'''", '"); {0}; ("', "'); {0}; ('", "x\n{0}\n", "x\r{0}", "x\u2028{0}",
    "x\x0c{0}", "{{{{ {0} }}}}", "{{% set x = {0} %}}{{{{ x }}}}", "{{# {0} #}}", "f'{{{0}}}'", "{{{0}}}", "#\n{0}",
    "\\\n{0}", "]; {0} #", '\\"""\n{0}\n"""', "lambda: {0}", "${{{0}}}", "%({0})s", "x = 1; {0}", "*/ {0}",
    "<script>{0}</script>", "`{0}`", "\x00{0}", "\x1b[31m{0}", "]]>{0}", "x:\n    {0}", "@{0}\ndef f(): pass",
    "\ud800{0}", "# -*- coding: utf-7 -*-\n{0}",
)  # fmt: skip


@dataclass(frozen=True)
class HostileModel:
    """A model, its entry points and what it is said to be made by; `texts` are the hostile ones in it."""

    model: nn.Module
    entries: Mapping[str, Callable[..., Any]]
    description: str
    texts: tuple[str, ...]


def example(n: int) -> tuple[torch.Tensor]:
    """A batch of what every hostile model takes."""
    return (torch.randn(n, 4),)


def hostile_names(mark: str) -> list[str]:
    """Names that are keywords, builtins, the package's own, odd, colliding, or code that makes the folder `mark`."""
    payloads = [f'__import__("os").mkdir("{mark}")', f"__import__('os').mkdir('{mark}')"]
    code = [text.format(payload) for text in WRAPPED for payload in payloads]
    return [*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *PACKAGE, *ODD, *COLLIDING, *code]


def hostile_model(seed: int, mark: str) -> HostileModel:
    """A model of a handful of such names; equal seeds give equal models."""
    chance = random.Random(seed)
    names = hostile_names(mark)
    torch.manual_seed(seed)
    used: list[str] = []

    def name(usable: Callable[[str], bool] = lambda text: True) -> str:
        group = chance.choice([names, names[-2 * len(WRAPPED) :], PACKAGE, ODD, COLLIDING])
        found = chance.choice([text for text in group if usable(text)] or [text for text in names if usable(text)])
        used.append(found)
        return found

    root = hostile_class(name(is_class_name), name(), chance)()
    for owner in [root, *(grown(root, hostile_class(name(is_class_name), name(), chance)(), name) for _ in range(2))]:
        fill_module(owner, chance, name)
    forward = hostile_function(chance, name)
    keys, container = [name(), name(), name()], type(name(is_class_name), (dict,), {})
    entries = {
        "forward": forward,
        "results": lambda model, x: container(zip(keys, (forward(model, x), x * 2, model.gain * x), strict=True)),
        "loss": lambda model, x: (forward(model, x) - x).square().mean(),
    }
    return HostileModel(root, entries, name(), tuple(used))


def is_class_name(text: str) -> bool:
    return "\x00" not in text and "\ud800" not in text  # Python takes no others, for files and functions neither


def hostile_class(name: str, docstring: str, chance: random.Random) -> type[nn.Module]:
    made = type(name, (nn.Module,), {"__doc__": docstring if is_class_name(docstring) else None})
    made.__module__, made.__qualname__ = name, docstring if is_class_name(docstring) else name
    return made


def grown(root: nn.Module, child: nn.Module, name: Callable[..., str]) -> nn.Module:
    root.add_module(name(lambda text: is_free(root, text)), child)
    return child


def is_free(module: nn.Module, text: str) -> bool:
    return text != "" and "." not in text and not hasattr(module, text)


def fill_module(module: nn.Module, chance: random.Random, name: Callable[..., str]) -> None:
    for _ in range(chance.randint(1, 3)):
        module.register_parameter(name(lambda text: is_free(module, text)), nn.Parameter(torch.randn(4)))
    for _ in range(chance.randint(0, 2)):
        module.register_buffer(name(lambda text: is_free(module, text)), torch.rand(*chance.choice([(4,), (3, 4)])))
    for _ in range(chance.randint(0, 2)):
        layer = chance.choice([lambda: nn.Linear(4, 4), lambda: nn.LayerNorm(4), lambda: nn.BatchNorm1d(4)])()
        module.add_module(name(lambda text: is_free(module, text)), layer)
    module.gain = nn.Parameter(torch.tensor(1.5))


def compute(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Uses every tensor and module of a model, in order."""
    for parameter in model._parameters.values():
        x = torch.tanh(x * parameter)
    for buffer in model._buffers.values():
        buffer.mul_(0.9).add_(0.1)
        x = x + buffer.sum(0) * 0.5
    for child in model._modules.values():
        inner = compute(child, x) if hasattr(child, "gain") else child(x)
        x = torch.sin(inner) + x
    return x


def hostile_function(chance: random.Random, name: Callable[..., str]) -> Callable[..., Any]:
    """`compute` under another name, with other variables, in a file of another name."""
    code = compute.__code__
    variables = tuple(
        f"{name(is_class_name)}{number}" if number > 1 and chance.random() < 0.5 else variable
        for number, variable in enumerate(code.co_varnames)
    )
    renamed = code.replace(co_name=name(is_class_name), co_filename=name(is_class_name), co_varnames=variables)
    function = FunctionType(renamed, {**compute.__globals__}, renamed.co_name)
    function.__globals__["compute"] = function
    return function
