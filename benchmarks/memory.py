"""The most memory that a training step holds, by torch's own account of what it allocates and frees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.profiler import ProfilerActivity, profile

__all__ = ["available_bytes", "held_bytes", "peak_bytes", "planned"]

ALLOCATION = "[memory]"  # the profiler's name of an allocation or, with a negative size, of its end


def peak_bytes(step: Callable[[], None], tensors: Iterable[Tensor]) -> int:
    """The peak within a step that begins without gradients, with the bytes of `tensors`, which outlive it.

    Workspaces that a kernel allocates past torch are not counted. The step must have run before, so that the
    optimizer's moments are among `tensors`.
    """
    tensors = list(tensors)
    for tensor in tensors:
        tensor.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == ALLOCATION]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return held_bytes(tensors) + peak


def held_bytes(tensors: Iterable[Tensor]) -> int:
    """The bytes behind tensors, those that share a storage counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def available_bytes() -> int:
    """What the machine can still give without swapping; a terabyte where it does not say."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return 10**12
    fields = dict(line.split(":") for line in path.read_text().splitlines())
    return 1024 * int(fields["MemAvailable"].split()[0])


def planned(path: Path) -> dict[str, Any]:
    """A package's own plan: `head`, and in `bytes` what training its hypernetwork takes."""
    return json.loads((path / "hypergen.json").read_text())["plan"]
