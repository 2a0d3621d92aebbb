"""Names for a function's arguments, values and loop variables; one name serves values whose lives do not overlap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count
from typing import Any

import torch.fx

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.layer_names import is_layer, layer_name
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.origins import copy_of, given_name, helper_name, written_name
from hypergen_compiler.emit.parameter_names import inner_name, parameter_name
from hypergen_compiler.emit.wishes import (
    column_name,
    name_of_chain,
    name_of_operand,
    name_of_reader,
    name_when_handed,
    others,
)
from hypergen_compiler.fold import Part, Weight

__all__ = ["Locals"]

BANNED = frozenset({"w", "state", "training", "device", "n", "F", "torch", "math", "Tensor", "_"})
SHORT_FORMS = {"self_": "x", "input_": "x"}
Span = tuple[float, float]


class Locals:
    """`names` maps tensors to variables, `arguments` and `numbers` are the parameter names of the function.

    `copied` are arguments that get a second name first of all, as in `residual = x`.
    """

    def __init__(self, flow: Flow, taken: set[str]):
        self.flow, self.function = flow, flow.function
        self.taken = taken | BANNED
        self.used: dict[str, list[Span]] = defaultdict(list)
        self.names: dict[Any, str] = {}
        self.lists: dict[Any, str] = {}
        self.copied: dict[Any, str] = {}
        self.wanted = {out: self.own_name(out) for out in flow.definitions if out not in flow.inlined}
        self.name_arguments()
        self.numbers = self.name_numbers()
        self.name_values()
        self.name_lists()
        self.name_columns()

    def claim(self, wanted: str, spans: list[Span], others: Sequence[str] = ()) -> str:
        """The wanted name, where that is taken the first free of the others, where all are a numbered one."""
        base = identifier(wanted or "x", "x")
        base = SHORT_FORMS.get(base, base)
        numbered = (f"{base.rstrip('_')}_{number}" for number in count(2))
        wishes = chain([str(base)], map(str, map(identifier, others)), numbered)
        name = next(wish for wish in wishes if self.is_free(wish, spans))
        self.used[name] += spans
        return name

    def is_free(self, name: str, spans: list[Span]) -> bool:
        taken = self.used.get(name, ())
        return name not in self.taken and not any(
            start < end2 and start2 < end for start, end in spans for start2, end2 in taken
        )

    def name_arguments(self) -> None:
        region = self.flow.region
        names = dict(region.names) if region.is_entry else region.scope.arguments
        for leaf in self.flow.region.arguments:
            is_input = self.function.entry is not None and isinstance(leaf, torch.fx.Node)
            given = leaf.meta.get("input") if is_input else None
            if given is not None and given.is_batch:
                self.names[leaf] = given.name
                continue
            wanted = given.name if given is not None else None
            if wanted is None:
                wanted = names.get(leaf)
            if wanted is None and isinstance(leaf, Weight | Part):
                wanted = "_".join(part for part in leaf[1].split(".")[-2:] if not part.isdigit())
            if wanted is None and isinstance(leaf, torch.fx.Node):
                wanted = name_of_operand(self.flow, leaf) or leaf.meta.get("hint") or given_name(leaf)
                wanted = wanted if wanted is None or self.is_free(wanted, [(-1, AFTER)]) else None
            copied = self.kept_copy(leaf, wanted)
            life = (-1, self.flow.last_use(leaf, -1))
            self.names[leaf] = self.claim(wanted or "x", [] if copied else [life])
            self.used[self.names[leaf]].append((-1, -0.5))  # parameters differ even where their lives do not overlap
            if copied:
                self.copied[leaf] = self.claim(copied, [life])
        self.arguments = [self.names[leaf] for leaf in self.flow.region.arguments]
        self.names |= self.copied

    def kept_copy(self, leaf: Any, name: str | None) -> str | None:
        """A second name that the user gives to an argument whose own goes to other values while it is needed."""
        if name is None or not isinstance(leaf, torch.fx.Node):
            return None
        taken = [out for out, other in self.wanted.items() if other == name]
        born = sorted(self.flow.root[self.flow.definitions[out]] for out in taken)
        if len(born) < 2 or born[1] >= self.flow.last_use(leaf, -1):
            return None
        return copy_of(self.flow.region, name)

    def name_numbers(self) -> dict[tuple[int, int], str]:
        """A parameter for every group of numbers that differ between members, named after what they fill."""
        result = {}
        for places in self.function.parameters:
            i, j = places[0]
            name = self.claim(parameter_name(self.flow.body[i], j), [(-1, AFTER + 1)])
            for place in places:
                result[place] = name
        return result

    def name_values(self) -> None:
        flow = self.flow
        for out, position in sorted(flow.definitions.items(), key=lambda pair: pair[1]):
            if out in flow.inlined:
                continue
            if not flow.uses[out] and out not in flow.carried:
                self.names[out] = "_"
                continue
            item, name = flow.body[position], self.wanted[out]
            loop = flow.carried.get(out)
            if name is None and loop is not None:
                name = self.names.get(flow.alias(loop.carried[out]))
            if name is None and len(item.outs) > 1:
                name = inner_name(item, out) or name_of_reader(flow, self.wanted, out)
            name = name or helper_name(flow.region, item, out)
            chained = name_of_chain(flow, self.wanted, out, position) if name is None else None
            if chained is not None and self.is_free(chained, flow.spans(out, position)):
                name = chained
            if name is None and not is_layer(flow.region, item):
                name = name_when_handed(flow, out)
            wishes = [name or layer_name(flow.region, item), *others(flow, self.names, name, item)]
            if len(wishes) > 1 and self.is_outlived(out, position):
                copied = copy_of(flow.region, wishes[0])
                wishes = [*([copied] if copied else []), *wishes[1:], wishes[0]]
            self.names[out] = self.kept_name(out, position) or self.claim(
                wishes[0], flow.spans(out, position), wishes[1:]
            )
            out.meta.setdefault("hint", self.names[out])

    def kept_name(self, out: Any, position: int) -> str | None:
        """The name of what an option replaces, where nothing needs that any more: the value is then replaced in it."""
        option = self.flow.function.option_at(position)
        if option is None or out is not option.out:
            return None
        name = self.names.get(self.flow.alias(option.instead))
        life = [(self.flow.root[position], self.flow.last_use(out, position))]
        if name is None or self.wanted[out] not in (None, name) or not self.is_free(name, life):
            return None
        self.used[name] += life
        return name

    def own_name(self, out: Any) -> str | None:
        """What the user calls a value, or that which a loop makes of it first."""
        flow = self.flow
        name = written_name(flow.region, flow.body[flow.definitions[out]], out)
        follower = flow.starts.get(out)
        if name is None and follower is not None:
            name = written_name(flow.region, flow.body[flow.definitions[follower]], follower)
        return name

    def is_outlived(self, out: Any, position: int) -> bool:
        """Whether the user gives the name of a value to another while it is still needed, as of a skip connection."""
        if out in self.flow.carried or out in self.flow.starts or self.wanted[out] is None:
            return False
        born, end = self.flow.root[position], self.flow.last_use(out, position)
        return any(
            name == self.wanted[out] and born < self.flow.root[self.flow.definitions[other]] < end
            for other, name in self.wanted.items()
        )

    def name_lists(self) -> None:
        for loop in self.flow.loops:
            for value in loop.gathered:
                base = self.names[value]
                plural = base if base.endswith("s") else base + "s"
                self.lists[value] = self.claim(
                    plural if plural != base else base + "_list", [(loop.start - 0.6, AFTER)]
                )

    def name_columns(self) -> None:
        for loop in self.flow.loops:
            span = (loop.start - 0.4, loop.start + loop.period - 0.25)
            for column in loop.columns:
                name = column_name(self.flow, self.names, loop, column)
                if name in self.taken and column.kind == "w":
                    name += "_weights"  # `block` is the function that it is handed to
                column.variable = self.claim(name, [span])
