"""Where a function makes new tensors: on the device of what it works on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch.fx

from hypergen_compiler.emit.records import Records, reach
from hypergen_compiler.fold import Function, Weight
from hypergen_compiler.fold.borders import is_within, relative_steps

__all__ = ["device_of"]


def device_of(
    function: Function, names: Mapping[Any, str], rebound: Collection[str], records: dict[str, Records]
) -> str | None:
    """An expression for the device of what a function works on: of a tensor argument, else of a weight.

    The names of `rebound` are given to other values on the way.
    """
    if function.takes_device:
        return "device"
    region = function.model
    given = [
        (place, names[leaf])
        for place, leaf in enumerate(region.arguments)
        if isinstance(leaf, Weight) or (isinstance(leaf, torch.fx.Node) and "shape" in leaf.meta)
    ]
    given = [name for place, name in given if place not in function.optional_arguments]
    for name in given:
        if name not in rebound:
            return f"{name}.device"
    for position, item in enumerate(region.body):
        for leaf in item.leaves if function.option_at(position) is None else ():
            if isinstance(leaf, Weight) and is_within(leaf, region, records):
                return f"{reach(leaf[0], relative_steps(leaf, region, records))}.device"
    rebound_first = f"{given[0]}.device" if given else None  # to another tensor, on the same device
    return device_of_record(function, records) or rebound_first


def device_of_record(function: Function, records: dict[str, Records]) -> str | None:
    for space in function.spaces:
        tree = records[space]
        base = tree.nodes[function.model.bases[space]][0]
        for name, steps in tree.steps.items():
            if steps[: len(base)] == base and not tree.is_optional(name):
                return f"{reach(space, steps[len(base) :])}.device"
    return None
