"""Arrays from a data file, without ever running what it holds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypergen_compiler.errors import HyperGenError

__all__ = ["read_arrays"]

SAFETENSORS_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def read_arrays(path: Path) -> list[Tensor]:
    """Every array of a `.npz`, `.pt` or `.safetensors` file, in order, as a model takes them: bytes become images with
    values between 0 and 1 and the channel first, other floats float32, other whole numbers int64.

    Raises HG104 for a file that is missing, unreadable, empty, or would have to be unpickled.
    """
    readers = {".npz": read_npz, ".safetensors": read_safetensors}
    try:
        arrays = [as_input(array) for array in readers.get(path.suffix, read_pt)(path) if array.ndim]
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HyperGenError(
            "HG104",
            f"{path.name} cannot be read: {reason}",
            remedy="Give a file that holds plain arrays whose first dimension counts the data items; objects that "
            "would have to be unpickled are never loaded.",
        ) from error
    if not arrays or not all(len(array) for array in arrays):
        raise HyperGenError(
            "HG104", f"{path.name} holds no data", remedy="Give arrays whose first dimension counts the data items."
        )
    return arrays


def as_input(array: Tensor) -> Tensor:
    if array.dtype == torch.uint8 and array.ndim >= 3:
        images = array.unsqueeze(1) if array.ndim == 3 else array
        if images.ndim == 4 and images.shape[3] in (1, 3, 4) and images.shape[1] not in (1, 3, 4):
            images = images.permute(0, 3, 1, 2)
        return images.float().div(255).contiguous()
    if array.is_floating_point():
        return array.float()
    return array if array.dtype == torch.bool or array.is_complex() else array.long()


def read_npz(path: Path) -> Iterable[Tensor]:
    with np.load(path, allow_pickle=False) as file:
        return [torch.from_numpy(file[name]) for name in file.files]


def read_pt(path: Path) -> Iterable[Tensor]:
    return tensors_in(torch.load(path, weights_only=True, map_location="cpu"))


def tensors_in(content: Any) -> list[Tensor]:
    if isinstance(content, Tensor):
        return [content]
    items = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return [tensor for item in items for tensor in tensors_in(item)]


def read_safetensors(path: Path) -> Iterable[Tensor]:
    """The format is a length, a JSON header and the bytes (github.com/huggingface/safetensors)."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    arrays = []
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        dtype, shape = SAFETENSORS_TYPES[entry["dtype"]], entry["shape"]
        if not 0 <= first <= last <= len(content) - start or last - first != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name!r} does not fit into the file")
        part = bytearray(content[start + first : start + last])
        arrays.append(torch.frombuffer(part, dtype=dtype).view(shape) if part else torch.empty(shape, dtype=dtype))
    return arrays
