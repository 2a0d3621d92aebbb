"""Which memory a call changes: measured by tensors' version counters and, where no version tells, by their values."""

from __future__ import annotations

import torch

from hypergen_compiler.capture.seen import Seen
from hypergen_compiler.capture.tape import Call

__all__ = ["Before"]

UNCOUNTED = frozenset({"batch_norm", "instance_norm"})  # these update running statistics, and no version tells of it


class Before:
    """The tensors that a call takes, as they were before it; `fake` ones have no values."""

    def __init__(self, seen: Seen, used: list[torch.Tensor], function: str, *, fake: bool):
        self.seen, self.used, self.fake = seen, used, fake
        self.versions = [version_of(tensor) for tensor in used]
        self.values = [tensor.detach().clone() for tensor in used] if function in UNCOUNTED else []

    def written_storages(self, call: Call) -> frozenset[int]:
        """The storages that a call has changed by now."""
        name = call.name.rpartition(".")[2]
        pairs = zip(self.used, self.versions, strict=True)
        changed = [tensor for tensor, before in pairs if version_of(tensor) != before]
        marks = call.name.endswith((".requires_grad_", ".retain_grad", ".__set__"))
        in_place = (name.endswith("_") and not name.endswith("__")) or name in ("__setitem__", "__iadd__", "__imul__")
        if self.used and (marks or (in_place and torch.is_inference_mode_enabled())):
            changed.append(self.used[0])
        return self.storages(changed) | self.storages(self.updated_buffers())

    def updated_buffers(self) -> list[torch.Tensor]:
        """Those whose values have changed; all that were taken where there are no values."""
        pairs = zip(self.used, self.values, strict=False)
        buffers = [pair for pair in pairs if self.seen.refs[id(pair[0])].kind == "buffer"]
        return [tensor for tensor, value in buffers if self.fake or not torch.equal(tensor, value)]

    def storages(self, tensors: list[torch.Tensor]) -> frozenset[int]:
        known = (self.seen.refs[id(tensor)] for tensor in tensors if id(tensor) in self.seen.refs)
        return frozenset(self.seen.tape.storages[ref] for ref in known)


def version_of(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
