"""What becomes of a statement that is too long for a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection

from hypergen_compiler.emit.expressions import Expressions
from hypergen_compiler.emit.flow import Flow
from hypergen_compiler.emit.records import one_of

__all__ = ["WIDTH", "half", "shortened"]

WIDTH = 119  # of 120 columns: the formatter may put a space around an operator
PART = re.compile(r"(?<![\w.])((\w+)(?:\.[a-zA-Z_]\w*|\[\d+\]){2,})(?=\.\w)")  # `w.blocks[0].norm` of its `.weight`


def half(flow: Flow, expressions: Expressions, position: int, text: str) -> set[int]:
    """The nested value that, with a statement of its own, leaves the longer of the two shortest."""
    nested = flow.tree[position] - {position}
    lengths = {inner: len(expressions.expression(inner).text) for inner in nested}
    longer = {inner: max(length, len(text) - length) for inner, length in lengths.items()}
    return {min(nested, key=lambda inner: (longer[inner], inner))} if nested else set()


def shortened(text: str, spaces: Collection[str], claim: Callable[[str], str]) -> list[str]:
    """`layer = w.layers[2]`, where the statement reads several tensors of it."""
    found = Counter(match[1] for match in PART.finditer(text) if match[2] in spaces)
    repeated = [part for part, count in found.items() if count > 1]
    if not repeated or '"' in text:
        return [text]
    part = max(repeated, key=len)
    wanted = next(word for word in reversed(re.findall(r"\w+", part)) if not word.isdigit())
    name = claim(one_of(wanted))
    return [f"{name} = {part}", re.sub(rf"(?<![\w.]){re.escape(part)}(?=\.)", name, text)]
