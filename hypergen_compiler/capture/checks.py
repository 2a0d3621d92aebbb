"""What an entry point must be for a later stage to use it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.tape import Escape, Tape
from hypergen_compiler.capture.warm import changing_decisions
from hypergen_compiler.errors import HyperGenError, HyperGenWarning
from hypergen_compiler.program import Affine, Dimension, Entry

__all__ = ["check_critic", "check_escapes", "check_loss", "check_samples"]

SOURCE_WORDS = {
    "parameter": "the weights",
    "buffer": "the state",
    "input": "the data",
    "constant": "a constant tensor",
    "random": "random numbers",
}


def check_escapes(tapes: Sequence[Tape], point: EntryPoint, *, allow_frozen: bool = False) -> list[str]:
    """Values that left the graph: refused when they come from weights, warned of when from data or state.

    Returns a sentence for each that is allowed, as those are that only decide whether an error is raised. Raises HG205
    for weights and HG204 for random numbers unless `allow_frozen`, and HG204 for state that the entry point changes.
    """
    changing = [escape for tape in tapes for escape in changing_decisions(tape)]
    if changing:
        raise HyperGenError(
            "HG204",
            f"{point.name} takes a decision from state that it changes itself (`{changing[0].call.strip('_')}`)",
            where=changing[0].where or point.origin,
            remedy="The next call would decide otherwise. Use torch.where or tensor arithmetic; give BatchNorm a "
            "momentum; finish initialising the model before compiling it.",
        )
    sentences = []
    for escape in (escape for tape in tapes for escape in tape.escapes):
        place = escape.where or point.origin
        sources = " and ".join(SOURCE_WORDS[source] for source in sorted(escape.sources))
        if escape.guard:
            sentences.append(f"{point.name} checks {sources} at {place}; the package leaves the check out")
            continue
        if not allow_frozen:
            refuse_decision(escape, point, place)
        sentences.append(
            f"{point.name} takes a decision from {sources} at {place} (`{escape.call.strip('_')}`); "
            "the package keeps what the example decided"
        )
    sentences = list(dict.fromkeys(sentences))
    for sentence in sentences:
        warnings.warn(sentence, HyperGenWarning, stacklevel=2)
    return sentences


def refuse_decision(escape: Escape, point: EntryPoint, place: str | None) -> None:
    """Raises HG204 for a decision from random numbers, HG205 for one from weights."""
    if "random" in escape.sources:
        raise HyperGenError(
            "HG204",
            f"{point.name} takes a decision from random numbers (`{escape.call.strip('_')}`)",
            where=place,
            remedy="The package could only repeat the one that was drawn. Use torch.where or a mask, or "
            "pass allow_frozen=True (`--allow-frozen`) to keep it.",
        )
    if "parameter" in escape.sources:
        raise HyperGenError(
            "HG205",
            f"{point.name} reads a value computed from weights into Python (`{escape.call.strip('_')}`)",
            where=place,
            remedy="A hypernetwork's weights may decide otherwise. Use torch.where or tensor arithmetic, or "
            "pass allow_frozen=True (`--allow-frozen`) to keep what the model's own weights decide.",
        )


def check_loss(entry: Entry) -> None:
    """Raises HG207 for a loss that is not a scalar or [n], HG208 for one without gradient."""
    output = entry.output
    if not isinstance(output, torch.fx.Node) or not output.meta["dtype"].is_floating_point or not one_number(entry):
        raise HyperGenError(
            "HG207",
            f"{entry.name} returns {returned(entry)}, not a scalar or one number per item",
            where=entry.origin,
            remedy="Return the mean loss, or a tensor [n] of losses.",
        )
    if not entry.differentiable:
        raise HyperGenError(
            "HG208",
            f"{entry.name} has no gradient to the weights",
            where=entry.origin,
            remedy="Check for torch.no_grad(), detach() and integer arithmetic between the weights and the loss.",
        )


def check_critic(entry: Entry, module: str) -> None:
    """Raises HG207 or HG208 as for a loss, and HG208 where it reads no weights of that submodule, its critic."""
    check_loss(entry)
    read = [node.target for graph in entry.graphs for node in graph.nodes if node.op == "get_attr"]
    if not any(name.startswith(f"{module}.") for name in read):
        raise HyperGenError(
            "HG208",
            f"{entry.name} reads no weights of the critic",
            where=entry.origin,
            remedy=f"Let it call `model.{module}` on the data and on samples.",
        )


def one_number(entry: Entry) -> bool:
    shape = entry.shapes[0]
    return shape in ((), (1,), (Affine(1),))  # [1] where a model adds a number that it holds as a tensor


def check_samples(entry: Entry, loss: Entry) -> None:
    """Raises HG210 unless the samples have the shape and type of the loss's first input."""
    data = next((item for item in loss.inputs if item.is_tensor), None)
    if data is None or not entry.shapes or entry.shapes[0] != data.shape:
        raise HyperGenError(
            "HG210",
            f"{entry.name}(n) returns {shapes(entry)}, the data are {show(data.shape) if data else 'missing'}",
            where=entry.origin,
            remedy="Return samples shaped like the loss's first input, or pass sample=None to leave the penalty out.",
        )


def shapes(entry: Entry) -> str:
    return ", ".join(show(shape) for shape in entry.shapes) or "no tensor"


def returned(entry: Entry) -> str:
    """What a loss returns, where that is none."""
    if entry.shapes and not isinstance(entry.output, torch.fx.Node):
        return f"a {type(entry.output).__name__} of {shapes(entry)}"
    integers = entry.shapes and not entry.output.meta["dtype"].is_floating_point
    return f"{shapes(entry)} of {entry.output.meta['dtype']}" if integers else shapes(entry)


def show(shape: tuple[Dimension, ...]) -> str:
    return f"[{', '.join(map(show_size, shape))}]"


def show_size(size: Dimension) -> str:
    if not isinstance(size, Affine):
        return str(size)
    return ("n" if size.slope == 1 else f"{size.slope}n") + (f"+{size.offset}" if size.offset else "")
