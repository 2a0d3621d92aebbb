"""The one rule by which a result of an emitted package is said to agree with the model's.

Two results agree if they are close for their type, or, where the model in float64 is at hand as the `reference`, if the
package's is no further from that than twice the model's own in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hypergen_compiler.emit.outputs import is_field

__all__ = ["TOLERANCES", "Comparison", "compare_gradients", "compare_outputs", "compare_states"]

# Relative and absolute, by type; whole numbers and booleans must be equal.
TOLERANCES: dict[torch.dtype, tuple[float, float]] = {
    torch.float64: (1e-9, 1e-12),
    torch.complex128: (1e-9, 1e-12),
    torch.float32: (1e-4, 1e-5),
    torch.complex64: (1e-4, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-2),
    torch.float16: (1e-2, 1e-3),
}
NO_WORSE = 2.0  # times the model's own error, as a root mean square
# A model that is further from itself in float64 does something else there: by a tenth of the result or, where all of it
# may be what rounding left of larger numbers, by this much.
SAME, LEFT = 0.1, 1e-3
# Gradients that cancel, such as a bias's before a normalisation, are rounding errors of the others.
CANCELLATION = 1e-6  # of the largest gradient of all


class Comparison(NamedTuple):
    """Whether two results agree, whether bit for bit, and in words by how much they differ."""

    ok: bool
    exact: bool
    detail: str


def compare_outputs(expected: Any, actual: Any, reference: Any = None) -> Comparison:
    """Two described structures (see `worker.describe`): containers, shapes, types and values."""
    differences: list[float] = [0.0]
    try:
        exact = same(expected, actual, "output", differences, reference)
    except Disagreement as disagreement:
        return Comparison(False, False, str(disagreement))
    return Comparison(True, exact, extent(exact, max(differences)))


def compare_states(
    expected: Mapping[str, Tensor],
    actual: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    reference: Mapping[str, Tensor] | None = None,
) -> Comparison:
    """Buffers after a call. One that the package does not keep must be as it was `before` in the model too."""
    differences: list[float] = [0.0]
    exact = True
    try:
        for name, tensor in expected.items():
            exact &= same(tensor, actual.get(name, before[name]), name, differences, (reference or {}).get(name))
    except Disagreement as disagreement:
        return Comparison(False, False, str(disagreement))
    return Comparison(True, exact, extent(exact, max(differences)))


def compare_gradients(
    expected: Mapping[str, Tensor | None],
    actual: Mapping[str, Tensor] | None,
    reference: Mapping[str, Tensor | None] | None = None,
) -> Comparison:
    """Gradients by parameter name; None stands for zero, as of a parameter that an entry point does not read."""
    sizes = [tensor.abs().max().item() for tensor in expected.values() if tensor is not None and tensor.numel()]
    largest = max(sizes, default=0.0)
    exact, worst, name_of_worst = True, 0.0, ""
    for name, wanted in expected.items():
        got = None if actual is None else actual.get(name)
        if got is None:
            if wanted is not None and wanted.any():
                return Comparison(False, False, f"{name} has no gradient in the package")
            continue
        wanted = torch.zeros_like(got) if wanted is None else wanted
        if wanted.shape != got.shape:
            return Comparison(False, False, f"the gradient of {name} is {shape(got)}, in the model {shape(wanted)}")
        if bits_equal(wanted, got):
            continue
        exact = False
        own = wanted.abs().max().item()
        difference = (wanted - got).abs().max().item()
        relative = TOLERANCES[wanted.dtype][0]
        close = difference <= relative * own + CANCELLATION * largest
        if not close and not is_no_worse(wanted, got, (reference or {}).get(name)):
            return Comparison(
                False, False, f"the gradient of {name} differs by {difference:.2e}, its largest is {own:.2e}"
            )
        if own and difference / own > worst:
            worst, name_of_worst = difference / own, name
    words = "equal bit for bit" if exact else f"largest relative difference {worst:.1e}"
    return Comparison(True, exact, words + (f", {name_of_worst}" if name_of_worst else ""))


class Disagreement(Exception):
    """Where two results differ, in words."""


def same(expected: Any, actual: Any, where: str, differences: list[float], reference: Any = None) -> bool:
    """Whether two structures are equal bit for bit; raises Disagreement where they do not even agree."""
    if isinstance(expected, Tensor) and isinstance(actual, Tensor):
        return same_tensor(expected, actual, where, differences, reference)
    if isinstance(expected, list) and isinstance(actual, list):
        found = items(expected, actual, where)
        exacts = (
            reference[2] if isinstance(reference, list) and len(reference[2]) == len(found) else [None] * len(found)
        )
        return all(
            [same(*pair, place, differences, exact) for (place, *pair), exact in zip(found, exacts, strict=True)]
        )
    if type(expected) is not type(actual) or expected != actual:
        raise Disagreement(f"{where} is {kind(actual)}, in the model {kind(expected)}")
    return True


def items(expected: list[Any], actual: list[Any], where: str) -> list[tuple[str, Any, Any]]:
    """(place, expected, actual) of every item of two containers of one kind and with the same names."""
    kinds, names, children = zip(expected, actual, strict=True)
    if kinds[0] == kinds[1] == "record":  # fields without a value of tensors may be left out
        names, children = zip(*(present(*pair) for pair in zip(names, children, strict=True)), strict=True)
    if kinds[0] == "other" or kinds[0] != kinds[1]:
        raise Disagreement(f"{where} is {kind(actual)}, in the model {kind(expected)}")
    if not same_names(kinds[0], *names) or len(children[0]) != len(children[1]):
        raise Disagreement(f"{where} holds {inventory(actual)}, in the model {inventory(expected)}")
    labels = names[0] if names[0] is not None else range(len(children[0]))
    return [(f"{where}[{label!r}]", one, other) for label, one, other in zip(labels, *children, strict=True)]


def same_names(kind: str, expected: list[Any] | None, actual: list[Any] | None) -> bool:
    """Whether two containers have the same names; a key that no NamedTuple can have is another in a package's."""
    if kind != "record" or expected is None or actual is None or len(expected) != len(actual):
        return expected == actual
    return all(one == other or not is_field(one) for one, other in zip(expected, actual, strict=True))


def is_opaque(child: Any) -> bool:
    return isinstance(child, list) and child[0] == "other"


def inventory(container: list[Any]) -> str:
    _, names, children = container
    return f"{len(children)} items" if names is None else ", ".join(map(str, names))


def present(names: list[Any], children: list[Any]) -> tuple[list[Any], list[Any]]:
    kept = [pair for pair in zip(names, children, strict=True) if not (pair[1] is None or is_opaque(pair[1]))]
    return [name for name, _ in kept], [child for _, child in kept]


def same_tensor(expected: Tensor, actual: Tensor, where: str, differences: list[float], reference: Any = None) -> bool:
    if expected.dtype != actual.dtype or expected.shape != actual.shape:
        raise Disagreement(
            f"{where} is {actual.dtype} {shape(actual)}, in the model {expected.dtype} {shape(expected)}"
        )
    if bits_equal(expected, actual):
        return True
    if expected.dtype not in TOLERANCES:
        raise Disagreement(f"{where} differs in {int((expected != actual).sum())} of {expected.numel()} elements")
    relative, absolute = TOLERANCES[expected.dtype]
    close = torch.isclose(actual, expected, rtol=relative, atol=absolute, equal_nan=True)
    distance = (expected - actual).abs().max().item()
    if not close.all() and not is_no_worse(expected, actual, reference):
        count = int((~close).sum())
        raise Disagreement(f"{where} differs in {count} of {expected.numel()} elements, by up to {distance:.2e}")
    differences.append(distance)
    return False


def is_no_worse(expected: Tensor, actual: Tensor, reference: Any) -> bool:
    """Whether a result is about as far from the float64 one as the model's own, which is near it."""
    if not isinstance(reference, Tensor) or reference.shape != expected.shape or not expected.is_floating_point():
        return False
    own, other = (size(result.double() - reference.double()) for result in (expected, actual))
    return other <= NO_WORSE * own and own <= max(SAME * size(reference), LEFT)  # False where one is not a number


def size(tensor: Tensor) -> float:
    """The root mean square of the elements."""
    return float(tensor.double().square().mean().sqrt())


def bits_equal(one: Tensor, other: Tensor) -> bool:
    if one.dtype.is_floating_point:
        return torch.equal(one, other) or bool(((one == other) | (one.isnan() & other.isnan())).all())
    return torch.equal(one, other)


def shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, list):
        return {"record": "a record of named fields", "other": f"a {value[1]}"}.get(value[0], f"a {value[0]}")
    return repr(value)


def extent(exact: bool, largest: float) -> str:
    return "equal bit for bit" if exact else f"largest difference {largest:.1e}"
