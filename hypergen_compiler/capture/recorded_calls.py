"""What a recorded call was given, for those that ask which argument means what."""

from __future__ import annotations

from typing import Any

import torch.fx

from hypergen_compiler.ops.signatures import signature
from hypergen_compiler.program import Affine, Extent

__all__ = ["arguments", "leads_with_batch"]


def arguments(node: torch.fx.Node, name: str) -> dict[str, Any]:
    """A recorded call's arguments by parameter name."""
    known = [parameter for parameter, _ in signature(name, node.target) or ()]
    return {**dict(zip(known, node.args, strict=False)), **node.kwargs}


def leads_with_batch(value: Any) -> bool:
    """Whether a tensor's first dimension counts items, or rows of items: a multiple of the batch size."""
    if not isinstance(value, torch.fx.Node) or not value.meta.get("shape"):
        return False
    first = value.meta["shape"][0]
    if isinstance(first, Extent):
        return all(power == 1 for (power, _), _ in first.terms)
    return isinstance(first, Affine) and first.slope > 0 and first.offset == 0
