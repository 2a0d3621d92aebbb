"""The registry of printers, and the rule for every operator that needs none of its own.

An operator without a printer prints as a plain call when it is a public function of torch or a method of Tensor;
arguments equal to the signature's default are left out. Anything else is HG401.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.ops.custom import print_apply
from hypergen_compiler.ops.expression import ATOM, UNKNOWN, Expression, literal_expression, parenthesized
from hypergen_compiler.ops.signatures import REQUIRED, positional, signature

__all__ = ["Invocation", "call_text", "print_call", "prints", "receiver", "registered"]

PRINTERS: dict[str, Callable[[Invocation], Expression]] = {}
FUNCTIONAL = "torch.nn.functional."
ONE_FOR_ALL = frozenset({"stride", "padding", "dilation", "output_padding", "kernel_size"})  # (2, 2) may be written 2


@dataclass(frozen=True)
class Invocation:
    """One recorded call with its arguments as expressions; `device` is an expression for where new tensors belong."""

    name: str
    function: Any
    args: list[Expression]
    kwargs: dict[str, Expression]
    where: str | None = None
    device: str | None = None
    takes_tensors: bool = True
    reflected: bool = False

    @property
    def short(self) -> str:
        return self.name.removeprefix("Tensor.")


def prints(*names: str) -> Callable[[Callable[[Invocation], Expression]], Callable[[Invocation], Expression]]:
    """Registers a printer for operators."""

    def register(printer: Callable[[Invocation], Expression]) -> Callable[[Invocation], Expression]:
        for name in names:
            PRINTERS[name] = printer
        return printer

    return register


def registered() -> tuple[str, ...]:
    """The operators with a printer of their own, sorted."""
    return tuple(sorted(PRINTERS))


def print_call(invocation: Invocation) -> Expression:
    """The expression for a call, or the statement where it writes."""
    if hasattr(invocation.function, "autograd_function"):
        return print_apply(invocation.function, invocation.args)
    printer = PRINTERS.get(invocation.name)
    return printer(invocation) if printer else print_plain(invocation)


def print_plain(invocation: Invocation) -> Expression:
    name = invocation.name
    if name.startswith("Tensor."):
        method = invocation.short
        if method.startswith("_") or not method.isidentifier() or not callable(getattr(torch.Tensor, method, None)):
            raise unprintable(invocation)
        return call_text(invocation, f"{receiver(invocation.args[0])}.{method}", skip_first=True)
    if not is_public(name):
        raise unprintable(invocation)
    head = f"F.{name.removeprefix(FUNCTIONAL)}" if name.startswith(FUNCTIONAL) else name
    return call_text(invocation, head)


def receiver(expression: Expression) -> str:
    text = parenthesized(expression, ATOM)
    return f"({text})" if text[0].isdigit() else text


def is_public(name: str) -> bool:
    """Whether a dotted name of torch is one that a user may write."""
    parts = name.split(".")
    item: Any = torch
    for part in parts[1:]:
        if part.startswith("_") or not part.isidentifier():
            return False
        item = getattr(item, part, None)
    return parts[0] == "torch" and len(parts) > 1 and callable(item)


def unprintable(invocation: Invocation) -> HyperGenError:
    return HyperGenError(
        "HG401",
        f"the operator {invocation.name} has no printed form",
        where=invocation.where,
        remedy="Write it with public functions of torch or methods of Tensor, or register a printer for it "
        "(hypergen_compiler/ops).",
    )


def call_text(
    invocation: Invocation, head: str, *, skip_first: bool = False, extra: tuple[str, ...] = ()
) -> Expression:
    """`head(...)` with defaults left out, further flags by keyword, and the device left to the caller's `extra`."""
    parameters = signature(invocation.name, invocation.function)
    args = invocation.args[1:] if skip_first else invocation.args
    if skip_first and parameters and parameters[0][0] == "self":
        parameters = parameters[1:]
    defaults = dict(parameters or ())
    names = list(defaults)
    last = positional(invocation.name, invocation.function)
    fits = len(args) <= len(names)
    parts: list[str] = []
    left_out = False
    for position, argument in enumerate(args):
        name = names[position] if fits and position < len(names) else None
        default = defaults.get(name, REQUIRED) if name else REQUIRED
        argument = simplified(name, argument)
        if name and is_default(argument, default):
            left_out = True
        elif name and (left_out or (default is not REQUIRED and by_keyword(position, argument, skip_first))):
            parts.append(f"{name}={argument.text}")
            left_out = True
        else:
            parts.append(argument.text)
    for name, argument in invocation.kwargs.items():
        argument = simplified(name, argument)
        if argument.tensor and not left_out and fits and names[len(parts) : last][:1] == [name]:
            parts.append(argument.text)
            continue
        left_out = True
        if name != "device" and not is_default(argument, defaults.get(name, REQUIRED)):
            parts.append(f"{name}={argument.text}")
    return Expression(f"{head}({', '.join([*parts, *extra])})")


def by_keyword(position: int, argument: Expression, is_method: bool) -> bool:
    return position >= 2 and not is_method and argument.value is not UNKNOWN


def is_default(argument: Expression, default: Any) -> bool:
    known = default is not REQUIRED and argument.value is not UNKNOWN
    return known and type(argument.value) is type(default) and argument.value == default


def simplified(name: str | None, argument: Expression) -> Expression:
    value = argument.value
    if name in ONE_FOR_ALL and isinstance(value, tuple | list) and len(set(value)) == 1 and isinstance(value[0], int):
        return literal_expression(value[0])
    return argument
