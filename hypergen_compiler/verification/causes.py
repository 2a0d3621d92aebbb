"""What of the model itself explains that a package does not agree with it, where that can be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from hypergen_compiler.capture.prepare import clear_caches, fresh_copy, seeded
from hypergen_compiler.capture.record import batch_sizes, record_mode
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.verification.calls import agree, compare, copies
from hypergen_compiler.verification.findings import SEED, Check
from hypergen_compiler.verification.observation import (
    buffers_of,
    observe_model,
    perturb_elements,
    preserved_buffers,
)

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["Attributes", "attributes_of", "causes"]

Attributes = Mapping[tuple[str, str], Any]
OWN = frozenset(vars(nn.Module()))  # what every module has: registered tensors, parts, hooks and the mode


def attributes_of(model: nn.Module) -> Attributes:
    """What modules hold beside what they register, by module and name; lists and tables as they are now."""
    return {
        (path, name): value.copy() if type(value) in (dict, list, set) else value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if name not in OWN
    }


def causes(
    model: nn.Module, before: Attributes, points: Sequence[EntryPoint], failures: Sequence[Check]
) -> Iterator[Check]:
    """The first cause that is found in the model, where a call of it gave something else than the package's.

    `before` are its attributes before it was called.
    """
    known = {point.name: point for point in points}
    first = next((check for check in failures if check.entry in known and check.what != "together"), None)
    if first is None or any(check.what == "repeat" for check in failures):
        return
    point, training = known[first.entry], first.mode == "training"
    batches = sorted({check.batch for check in failures if (check.entry, check.mode) == (first.entry, first.mode)})

    def run(one: nn.Module, batch: int = first.batch) -> dict[str, Any]:
        with seeded():
            inputs = point.example(batch)
        with preserved_buffers(one):
            return observe_model(one, point, copies(inputs), training, SEED)

    for what, find in {
        "kept": lambda: kept(model, before, run),
        "weights": lambda: changed_weights(model, run),
        "size": lambda: decides_by_size(model, point, batches, training, run),
    }.items():
        try:
            found = find()
        except Exception:  # a model may take no other weights, or not this batch size
            continue
        if found is not None:
            detail, where = found
            yield Check(point.name, first.mode, first.batch, first.weights, what, False, False, detail, where)
            return


Run = Callable[..., dict[str, Any]]  # a call of a model, perhaps at another batch size
Cause = tuple[str, str | None]  # what the model does, and the line that does it


def kept(model: nn.Module, before: Attributes, run: Run) -> Cause | None:
    """Whether the model gives something else where it holds nothing of the calls so far, under its present weights."""
    now = attributes_of(model)
    changed = [key for key in now if key not in before or differ(before[key], now[key])]
    used, buffers = run(model), buffers_of(model)
    with put_back(model, changed, before):
        clear_caches()
        fresh = run(model)
    if agree(compare(fresh, used, buffers)):
        return None
    names = ", ".join(f"`{path}.{name}`" if path else f"`{name}`" for path, name in changed) or "a cached result"
    return f"the model keeps {names} from call to call, and gives something else without", None


def differ(one: Any, other: Any) -> bool:
    """Whether an attribute is another object now, or a list or table that holds others."""
    if type(one) is not type(other):
        return True
    if isinstance(one, dict):
        return list(map(id, one.values())) != list(map(id, other.values()))
    if isinstance(one, list):
        return list(map(id, one)) != list(map(id, other))
    if isinstance(one, bool | int | float | str | set):
        return one != other
    return one is not other


@contextmanager
def put_back(model: nn.Module, changed: Sequence[tuple[str, str]], before: Attributes) -> Iterator[None]:
    """Gives attributes the values of before, where they had some."""
    modules = dict(model.named_modules())
    now = {(path, name): vars(modules[path])[name] for path, name in changed}
    try:
        for path, name in changed:
            del vars(modules[path])[name]
            if (path, name) in before:
                vars(modules[path])[name] = before[path, name]
        yield
    finally:
        for (path, name), value in now.items():
            vars(modules[path])[name] = value


def changed_weights(model: nn.Module, run: Run) -> Cause | None:
    """Whether the model, under other weights than its own, changes them and goes on with what it has made of them."""
    other = fresh_copy(model)
    if other is model:
        return None
    perturb_elements(other, SEED + 1)
    own = {name: parameter.detach().clone() for name, parameter in other.named_parameters()}
    once, buffers = run(other), buffers_of(other)
    changed = [name for name, parameter in other.named_parameters() if not torch.equal(parameter, own[name])]
    if not changed or agree(compare(once, run(other), buffers)):
        return None
    return f"the model changes its weights `{'`, `'.join(changed)}`, and gives something else in the next call", None


def decides_by_size(
    model: nn.Module, point: EntryPoint, batches: Sequence[int], training: bool, run: Run
) -> Cause | None:
    """Whether what the model does at a batch size that failed is no case of what it does at others."""
    for batch in batches:
        run(model, batch)
        recorded = [size for size in batch_sizes(model) if size != batch][:2]
        try:
            record_mode(model, point, [*recorded, batch], training=training)
        except HyperGenError as refusal:
            sizes = f"{', '.join(map(str, recorded))} and {batch}"
            return f"the model decides by the batch's size: recorded at {sizes}, {refusal.what}", refusal.where
    return None
