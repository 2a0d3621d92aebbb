"""From what a person types to example batches: a shape, tokens, a data file or a function."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.datafile import read_arrays
from hypergen_compiler.request.references import import_named, is_reference

__all__ = ["Example", "count_inputs", "resolve_example"]

Example = Callable[[int], tuple[Any, ...]]
FILES = (".npz", ".pt", ".pth", ".safetensors")


def resolve_example(text: str, inputs: int | None = None) -> Example:
    """A function from n to a batch of n, the same for the same n.

    `1x28x28` is a data item's shape, its numbers uniform between 0 and 1; `tokens:LENGTH:VOCABULARY` whole numbers;
    a file gives rows of its first `inputs` arrays, of all if None; `module:function` calls the user's function of n.
    Raises HG104 for anything else, HG101 and HG102 for a function that cannot be found.
    """
    if re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
        return uniform(tuple(map(int, text.split("x"))))
    if found := re.fullmatch(r"tokens:([1-9]\d*):([1-9]\d*)", text):
        return tokens(int(found[1]), int(found[2]))
    if text.endswith(FILES):
        return rows(read_arrays(Path(text))[:inputs], text)
    if is_reference(text):
        return called(import_named(text), text)
    raise HyperGenError(
        "HG104",
        f"{text!r} is no example",
        remedy="Write the shape of one data item (1x28x28, or 16), tokens:LENGTH:VOCABULARY, a .npz, .pt or "
        ".safetensors file, or module:function for a function of n that returns a batch of n.",
    )


def count_inputs(call: Callable[..., Any]) -> int | None:
    """How many positional arguments a bound method must be given, or None if that cannot be told."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = sum(parameter.kind in positional and parameter.default is parameter.empty for parameter in parameters)
    return needed or None


def uniform(shape: tuple[int, ...]) -> Example:
    return lambda n: (torch.rand(n, *shape, generator=torch.Generator().manual_seed(n)),)


def tokens(length: int, vocabulary: int) -> Example:
    """Sequences of this length; the recorder asks for others, to see whether the model takes them."""

    def batch(n: int, length: int = length) -> tuple[Tensor, ...]:
        return (torch.randint(vocabulary, (n, length), generator=torch.Generator().manual_seed(n)),)

    return batch


def rows(arrays: list[Tensor], text: str) -> Example:
    """Rows drawn with replacement, the same of every array."""
    if len({len(array) for array in arrays}) > 1:
        raise HyperGenError(
            "HG104",
            f"the arrays of {Path(text).name} have {', '.join(str(len(array)) for array in arrays)} rows",
            remedy="Arrays of one example share their first dimension, the data items.",
        )

    def batch(n: int) -> tuple[Tensor, ...]:
        chosen = torch.randint(len(arrays[0]), (n,), generator=torch.Generator().manual_seed(n))
        return tuple(array[chosen] for array in arrays)

    return batch


def called(function: Any, text: str) -> Example:
    """The user's function under a generator seeded by n."""
    if not callable(function):
        raise HyperGenError("HG104", f"{text} is no function", remedy="Name a function of n that returns a batch of n.")

    @functools.wraps(function)  # the recorder reads from the signature whether there is a second size
    def batch(n: int, *size: int) -> tuple[Any, ...]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(n)
            made = function(n, *size)
        return tuple(made) if isinstance(made, tuple | list) else (made,)

    return batch
