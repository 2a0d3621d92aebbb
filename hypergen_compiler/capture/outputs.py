"""What an entry point returns, as a structure that can be printed and compared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from hypergen_compiler.errors import HyperGenError, HyperGenWarning
from hypergen_compiler.program import Container

__all__ = ["describe"]


def describe(output: Any, leaf: Callable[[torch.Tensor], Any], entry: str, where: str | None) -> Any:
    """The returned structure with `leaf(tensor)` for tensors and a `Container` for another library's class.

    Plain values stay. Raises HG206 for an object that holds tensors in no way that can be seen.
    """

    def inside(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            return leaf(item)
        if item is None or isinstance(item, bool | int | float | str):
            return item
        if type(item) in (tuple, list):
            return type(item)(map(inside, item))
        if type(item) is dict:
            return {key: inside(value) for key, value in item.items()}
        named = named_fields(item)
        if named is not None:
            name = type(item).__name__
            if type(item).__module__ == "torch.return_types":
                name = name.title()
            return Container(name, tuple(named), tuple(field(*pair) for pair in named.items()))
        if isinstance(item, tuple | list):
            return tuple(map(inside, item))
        raise HyperGenError(
            "HG206",
            f"{entry} returns a {type(item).__name__}, which is not a tensor or a container of tensors",
            where=where,
            remedy="Return tensors, or tuples, lists, dicts, NamedTuples or dataclasses of them.",
        )

    def field(name: str, value: Any) -> Any:
        try:
            return inside(value)
        except HyperGenError:
            kind = type(value).__name__
            warnings.warn(
                f"{entry} returns a {kind} as {name}, which is no container of tensors: the package returns None there",
                HyperGenWarning,
                stacklevel=2,
            )
            return None

    return inside(output)


def named_fields(item: Any) -> dict[str, Any] | None:
    """The fields of a dataclass, a NamedTuple or a mapping of a class of its own, in order."""
    if is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in fields(item)}
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return {name: getattr(item, name) for name in item._fields}
    if isinstance(item, tuple) and type(item).__module__ == "torch.return_types":
        return {name: getattr(item, name) for name in type(item).__match_args__}
    if isinstance(item, Mapping):
        return {str(key): value for key, value in item.items()}
    return None
