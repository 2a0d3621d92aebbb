"""The data that a model is audited on: what its loss takes, and the group of each item."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.datafile import as_input, read_arrays, read_safetensors

__all__ = ["Items", "grouped", "named_arrays", "state_dict_of"]

LABEL_NAMES = ("labels", "y")
FEWEST = 6  # items of a group, of which a third judge
LARGEST = 20_000  # items that are read


@dataclass(frozen=True)
class Items:
    """`inputs`, tensors [n, ...] that the loss takes; `labels` [n], the places of the items' groups in `groups`, or
    None where the data have no groups."""

    inputs: tuple[Tensor, ...]
    labels: Tensor | None = None
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs[0])

    def rows(self, chosen: Tensor) -> Items:
        inputs = tuple(values[chosen] for values in self.inputs)
        return Items(inputs, None if self.labels is None else self.labels[chosen], self.groups)

    def shares(self) -> Tensor:
        """[groups]"""
        assert self.labels is not None
        return torch.bincount(self.labels, minlength=len(self.groups)).double() / len(self)


def named_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of a .npz, .npy or .pt file by name. Raises HG604 where there are none."""
    try:
        if path.suffix in (".npz", ".npy"):
            content = np.load(path, allow_pickle=False)
            found = {"data": content} if isinstance(content, np.ndarray) else dict(content)
            arrays = {name: torch.from_numpy(array) for name, array in found.items() if array.dtype.kind in "biuf"}
        else:
            content = torch.load(path, weights_only=True, map_location="cpu")
            found = {"data": content} if isinstance(content, Tensor) else dict(content)
            arrays = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HyperGenError(
            "HG604", f"{path} cannot be read: {reason}", remedy="Give a .npz, .npy or .pt file of plain arrays."
        ) from error
    if not arrays or not all(array.ndim and len(array) for array in arrays.values()):
        raise HyperGenError("HG604", f"{path} holds no items", remedy="Give arrays whose first dimension counts items.")
    return arrays


def labels_of(path: Path, arrays: Mapping[str, Tensor], name: str | None) -> str | None:
    """The name of the array of labels. Raises HG604 where the one that is asked for is not there or holds none."""
    found = name or next((usual for usual in LABEL_NAMES if usual in arrays), None)
    if found is None:
        return None
    if found not in arrays:
        raise HyperGenError(
            "HG604", f"{path} has no array `{found}`", remedy=f"Its arrays are {', '.join(arrays)}: name one of them."
        )
    if arrays[found].ndim != 1 or arrays[found].is_floating_point():
        raise HyperGenError(
            "HG604",
            f"`{found}` in {path} is {arrays[found].dtype} {list(arrays[found].shape)}",
            remedy="Labels are whole numbers, one for each item.",
        )
    return found


def few(n: int) -> Tensor:
    """The places of n items, or of LARGEST of them at random."""
    return torch.arange(n) if n <= LARGEST else torch.randperm(n, generator=torch.Generator().manual_seed(0))[:LARGEST]


def grouped(path: Path, inputs: tuple[Tensor, ...], labels: Tensor | None, names: Sequence[str] = ()) -> Items:
    """The items, at most LARGEST, with their groups, which are called by their labels, or by `names` of 0, 1, ...

    Raises HG604 for lengths that differ, a single group or too small a one.
    """
    lengths = {len(values) for values in (*inputs, *(() if labels is None else (labels,)))}
    if len(lengths) > 1:
        raise HyperGenError(
            "HG604", f"the arrays of {path} have {sorted(lengths)} items", remedy="Give arrays of one length."
        )
    chosen = few(lengths.pop())
    inputs = tuple(values[chosen] for values in inputs)
    if labels is None:
        return Items(inputs)
    values, places, counts = torch.unique(labels[chosen], return_inverse=True, return_counts=True)
    if len(values) < 2 or counts.min() < FEWEST:
        raise HyperGenError(
            "HG604",
            f"the smallest of {len(values)} groups in {path} has {int(counts.min())} items",
            remedy=f"Give labels of at least two groups, each with at least {FEWEST} items.",
        )
    return Items(inputs, places, tuple(names[value] if names else str(value) for value in values.tolist()))


def read_items(path: Path, name: str | None, inputs: int | None) -> Items:
    """The items of a file for a model whose loss takes `inputs` tensors: its arrays in order, labels apart.

    Where the arrays do not suffice, the labels are also an input: the model is told the group.
    """
    arrays = named_arrays(path)
    label = labels_of(path, arrays, name)
    rest = [as_input(array) for other, array in arrays.items() if other != label]
    labels = None if label is None else arrays[label].long()
    if inputs is not None and len(rest) < inputs and labels is not None:
        rest.append(labels)
    if not rest or len(rest) < (inputs or 1):
        raise HyperGenError(
            "HG604",
            f"{path} has {len(rest)} arrays beside the labels, and the loss takes {inputs or 1}",
            remedy="Give one array for each tensor that the loss takes.",
        )
    return grouped(path, tuple(rest[: inputs or 1]), labels)


def state_dict_of(path: Path) -> dict[str, Tensor]:
    """A state_dict from a .pt or .safetensors file. Raises HG604 where there is none."""
    if path.suffix != ".safetensors":
        return named_arrays(path)
    read_arrays(path)  # for its refusal of a file that is damaged
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    header.pop("__metadata__", None)
    names = sorted(header, key=lambda name: header[name]["data_offsets"])
    return dict(zip(names, read_safetensors(path), strict=True))
