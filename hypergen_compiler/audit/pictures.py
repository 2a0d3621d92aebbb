"""Grids of pictures as PNG, to stand in a page."""

from __future__ import annotations

import base64
import struct
import zlib

import torch.nn.functional as F
from torch import Tensor

__all__ = ["are_pictures", "image"]

COLUMNS = 8
SMALLEST = 32  # pixels that a picture is wide on the page


def are_pictures(x: Tensor) -> bool:
    """[n, 1 or 3, height, width] of numbers"""
    return x.is_floating_point() and x.ndim == 4 and x.shape[1] in (1, 3) and min(x.shape[2:]) > 1


def image(x: Tensor, low: float, high: float, alternative: str) -> str:
    """An <img> of whole rows of pictures, `low` black and `high` white."""
    data = base64.b64encode(png(x[: len(x) // COLUMNS * COLUMNS], low, high)).decode()
    return f'<img alt="{alternative}" src="data:image/png;base64,{data}">'


def png(x: Tensor, low: float, high: float) -> bytes:
    """[n, 1 or 3, height, width], n a multiple of COLUMNS, as the bytes of a file"""
    zoom = max(1, SMALLEST // x.shape[-1])
    levels = ((x.float() - low) / max(high - low, 1e-12)).clamp(0, 1).mul(255).round().byte()
    levels = F.pad(levels.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3), (0, 2, 0, 2))
    _, channels, height, width = levels.shape
    grid = levels.view(-1, COLUMNS, channels, height, width).permute(0, 3, 1, 4, 2).contiguous()
    rows = F.pad(grid.view(-1, COLUMNS * width * channels), (1, 0))  # each starts with its filter, none
    header = struct.pack(">IIBBBBB", COLUMNS * width, len(rows), 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.numpy().tobytes())), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content
