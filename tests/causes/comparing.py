"""Runs an emitted package and the model side by side, and finds what differs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hypergen_compiler.verification.compare import compare_gradients, compare_outputs

__all__ = ["compare_names", "compare_runs"]


@dataclass
class Observed:
    """What one call did: outputs, gradients by name, buffers, inputs afterwards and torch's generator."""

    outputs: Any
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]
    inputs: list[Tensor]
    generator: Tensor


def compare_runs(emitted, model, call, name, given, training, size, moved, exact, calls, label) -> None:
    model = copy.deepcopy(model)
    model.train(training)
    if moved:
        move(model)
    torch.manual_seed(size)
    inputs = given(size)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    leaf = emitted.weights.pack(parameters).requires_grad_()
    state = emitted.weights.State()
    for turn in range(calls):
        try:
            theirs = observe(lambda *x: call(model, *x), inputs, dict(model.named_parameters()))
        except (ValueError, RuntimeError):
            if size == 1:  # BatchNorm, say
                return
            raise
        theirs.buffers = {k: v.detach().clone() for k, v in model.named_buffers(remove_duplicate=False)}
        ours = observe(
            lambda *x: getattr(emitted.model, name)(emitted.weights.unpack(leaf * 1), state, *x, training=training),
            inputs,
            {"": leaf},
        )
        ours.buffers = {k: v.detach().clone() for k, v in state.tensors().items()} if theirs.buffers else {}
        if "" in ours.gradients:
            ours.gradients |= emitted.weights.to_state_dict(ours.gradients.pop(""))
        compare(ours, theirs, exact, f"{label}, call {turn + 1}")


def observe(call: Callable[..., Any], inputs: tuple[Any, ...], parameters: dict[str, Tensor]) -> Observed:
    sources = [x.clone().requires_grad_() if is_real(x) else x.clone() if isinstance(x, Tensor) else x for x in inputs]
    given = [x * 1 if is_real(x) else x for x in sources]
    torch.manual_seed(5)
    output = describe(call(*given))
    generator = torch.get_rng_state()
    made = [tensor for tensor in tensors(output) if tensor.requires_grad]
    wanted = {name: p for name, p in parameters.items() if p.requires_grad}
    wanted |= {f"input {k}": x for k, x in enumerate(sources) if is_real(x)}
    gradients: dict[str, Tensor] = {}
    if made and wanted:
        total = sum(((torch.view_as_real(t) if t.is_complex() else t) * weights_like(t)).sum() for t in made)
        found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
        gradients = {
            name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(wanted.items(), found, strict=True)
        }
    return Observed(output, gradients, {}, [x for x in given if isinstance(x, Tensor)], generator)


def weights_like(tensor: Tensor) -> Tensor:
    shape = torch.view_as_real(tensor).shape if tensor.is_complex() else tensor.shape
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=tensor.real.dtype) + 0.5


def is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def move(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.mul_(1 + 0.05 * torch.randn(parameter.shape, generator=generator).to(parameter))
                parameter.add_(0.01 * torch.rand(parameter.shape, generator=generator).to(parameter))


def describe(value: Any) -> Any:
    """Structures in plain terms: a dataclass, a NamedTuple and another library's mapping are all records."""
    if isinstance(value, tuple) and type(value).__module__ == "torch.return_types":
        return "record", {name: describe(item) for name, item in zip(type(value).__match_args__, value, strict=True)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return "record", {name: describe(getattr(value, name)) for name in value._fields}
    if hasattr(value, "__dataclass_fields__"):
        return "record", {name: describe(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return "dict" if type(value) is dict else "record", {key: describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return "list" if isinstance(value, list) else "tuple", dict(enumerate(map(describe, value)))  # torch.Size too
    return value


def tensors(described: Any) -> list[Tensor]:
    if isinstance(described, tuple):
        return [tensor for item in described[1].values() for tensor in tensors(item)]
    return [described] if isinstance(described, Tensor) else []


def compare(ours: Observed, theirs: Observed, exact: bool, label: str) -> None:
    compare_structures(ours.outputs, theirs.outputs, exact, f"{label}: output")
    assert ours.buffers.keys() == theirs.buffers.keys(), label
    for name, buffer in theirs.buffers.items():
        compare_tensors(ours.buffers[name], buffer, exact, f"{label}: buffer {name}")
    for place, (one, other) in enumerate(zip(ours.inputs, theirs.inputs, strict=True)):
        compare_tensors(one, other, exact, f"{label}: input {place} afterwards")
    assert torch.equal(ours.generator, theirs.generator), f"{label}: other random numbers were drawn"
    assert theirs.gradients.keys() <= ours.gradients.keys(), f"{label}: {theirs.gradients.keys()}"
    found = compare_gradients(theirs.gradients, ours.gradients)
    assert found.ok, f"{label}: {found.detail}"


def compare_structures(ours: Any, theirs: Any, exact: bool, label: str) -> None:
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple) and ours[0] == theirs[0], f"{label}: {ours} for {theirs}"
        assert list(ours[1]) == list(theirs[1]), f"{label}: {list(ours[1])} for {list(theirs[1])}"
        for key, item in theirs[1].items():
            compare_structures(ours[1][key], item, exact, f"{label} {key}")
    elif isinstance(theirs, Tensor):
        compare_tensors(ours, theirs, exact, label)
        assert ours.requires_grad == theirs.requires_grad, f"{label}: requires_grad is {ours.requires_grad}"
    else:
        assert type(ours) is type(theirs) and ours == theirs, f"{label}: {ours!r} for {theirs!r}"


def compare_tensors(ours: Any, theirs: Tensor, exact: bool, label: str) -> None:
    assert isinstance(ours, Tensor), f"{label}: {ours!r} for a tensor"
    found = compare_outputs(theirs, ours)
    assert found.ok and (found.exact or not exact), f"{label}: {found.detail}"


def compare_names(emitted: Any, model: nn.Module) -> None:
    """Weights and state together are the model's own state_dict again."""
    weights = emitted.weights
    flat = weights.initial_weights()
    ours = weights.to_state_dict(flat) | weights.State().to_state_dict()
    for name, value in model.state_dict().items():
        compare_tensors(ours[name], value, True, f"state_dict {name}")
    weights.State().load_state_dict(model.state_dict())
    assert torch.equal(weights.pack(model.state_dict()), flat)
