"""The one place where a foreign name becomes a Python identifier."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

from hypergen_compiler.emit.text import Code

__all__ = ["RESERVED", "Namespace", "identifier", "snake"]

RESERVED = frozenset(
    {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "torch", "F", "Tensor", "w", "state", "self"}
)


def identifier(name: str, fallback: str = "value") -> Code:
    """Any text to an ASCII identifier that is neither a keyword nor a builtin: `2nd-weight` to `value_2nd_weight`.

    Different texts may give the same identifier; a `Namespace` keeps them apart.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^0-9A-Za-z]+", "_", plain).strip("_") or fallback
    if cleaned[0].isdigit():
        cleaned = f"{fallback}_{cleaned}"
    if cleaned in RESERVED:
        cleaned += "_"
    return Code(cleaned)


WORD_STARTS = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z]{2})(?=[A-Z][a-z])"
    r"|(?<=[0-9])(?=(?!D)[A-Z]{2,}(?:[A-Z][a-z]|$))"  # GPT2|MLP, but no dimensions
)


def snake(name: str) -> Code:
    """A class name to a function name: `ResBlock` to `res_block`, `UNet2DModel` to `unet_2d_model`."""
    name = re.sub(r"2d|2D", "2d", name)
    words = WORD_STARTS.sub("_", name)
    return identifier(identifier(words, "function").lower(), "function")


class Namespace:
    """Hands out identifiers, each once: a taken one gets a numbered suffix."""

    def __init__(self, taken: frozenset[str] | set[str] = frozenset()):
        self.taken = set(taken)

    def claim(self, name: str, fallback: str = "value") -> Code:
        base = name = identifier(name, fallback)
        number = 2
        while name in self.taken:
            name = Code(f"{base.rstrip('_')}_{number}")
            number += 1
        self.taken.add(name)
        return name
