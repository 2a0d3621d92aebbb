"""Calls in a simpler form: writes as new values, and those that change nothing found out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from hypergen_compiler.capture.tape import Call, Ref, Tape

__all__ = ["Form", "changes_nothing", "functional"]

KEPT_IN_PLACE = frozenset(
    "requires_grad_ normal_ uniform_ fill_ zero_ copy_ exponential_ random_ bernoulli_ geometric_ set_ resize_ "
    "retain_grad_ detach_ share_memory_".split()
)


class Form(NamedTuple):
    """A function, its name and what it is called with."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def functional(call: Call) -> Form | None:
    """A call that writes into its first argument alone, as one that makes a new value; None where torch has no such."""
    without = without_inplace(call)
    if without is not None:
        return Form(call.function, call.name, *without)
    short = call.name.rpartition(".")[2]
    if not call.name.startswith("Tensor.") or short in KEPT_IN_PLACE:
        return None
    plain = f"__{short[3:]}" if short.startswith("__i") else short[:-1]
    if not short.startswith("__i") and (not short.endswith("_") or short.endswith("__")):
        return None
    function = getattr(torch.Tensor, plain, None)
    return None if function is None else Form(function, f"Tensor.{plain}", call.args, call.kwargs)


def changes_nothing(tape: Tape, call: Call, written: frozenset[int]) -> bool:
    """Whether a call gives its own argument again: multiplied by 1, in the same shape, in the same order, all of it.

    Memory in `written` is changed by some call of the tape.
    """
    source, made = call.args[0] if call.args else None, call.out
    if not (isinstance(source, Ref) and isinstance(made, Ref)) or call.kwargs:
        return False
    if source.kind not in ("value", "input") or made.kind != "value":
        return False
    kept = tape.shapes[source] == tape.shapes[made] and tape.dtypes[source] == tape.dtypes[made]
    storages = {tape.storages[source], tape.storages[made]}
    if not kept or not call.grad or call.writes or call.random or storages & written:
        return False
    short, others = call.name.removeprefix("Tensor.").strip("_"), call.args[1:]
    if short in ("mul", "div", "truediv", "pow"):
        return source.kind == "value" and len(others) == 1 and type(others[0]) in (int, float) and others[0] == 1
    if short in ("add", "sub") and not (tape.dtypes[source].is_floating_point or tape.dtypes[source].is_complex):
        return (
            len(others) == 1 and type(others[0]) is int and others[0] == 0
        )  # that of a float may change a zero's sign
    if short == "getitem":
        index = others[0] if isinstance(others[0], tuple) else others
        return all(isinstance(part, slice) or part is Ellipsis for part in index)
    if short == "permute":
        order = others[0] if len(others) == 1 else others
        return list(order) == list(range(len(tape.shapes[source])))
    return short in ("reshape", "view", "expand") and not any(isinstance(o, torch.dtype) for o in others)


def without_inplace(call: Call) -> tuple[Any, Any] | None:
    """Arguments of an `inplace=True` call with the flag left out, or None."""
    if call.kwargs.get("inplace") is True:
        return call.args, {key: value for key, value in call.kwargs.items() if key != "inplace"}
    try:
        names = list(inspect.signature(call.function).parameters)
    except (TypeError, ValueError):
        return None
    if "inplace" in names and len(call.args) > names.index("inplace") and call.args[names.index("inplace")] is True:
        position = names.index("inplace")
        return (*call.args[:position], False, *call.args[position + 1 :]), call.kwargs
    return None
