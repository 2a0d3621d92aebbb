"""Runs the model itself the way an emitted package is run, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hypergen_compiler.capture.prepare import put_back, seeded
from hypergen_compiler.capture.state import named_state, named_weights
from hypergen_compiler.capture.steps import shortened
from hypergen_compiler.verification.worker import describe, gradients_of, observe, weighted_sum

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["buffers_of", "observe_model", "parameters_of", "perturb", "preserved", "preserved_buffers"]

PERTURBATION = 0.05  # of each element: a parameter that must be positive stays so
RUN_BATCH = 5  # of a call that only shows whether the model takes its weights
FROM_ZERO = 0.01  # for elements that are zero, such as fresh biases, whose absence would not show


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Puts back parameters, buffers, training modes and torch's random state, whatever happens inside."""
    modes = [(module, module.training) for module in model.modules()]
    values = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), preserved_buffers(model):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for parameter, value in values:
                parameter.copy_(value)


@contextmanager
def preserved_buffers(model: nn.Module) -> Iterator[None]:
    """Puts back every buffer, also one that the model replaced by another tensor."""
    kept = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in kept:
                module._buffers[name] = buffer
                if buffer is not None and value is not None:
                    put_back(buffer, value)


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """Every weight by name, a tied one under each of its names."""
    return named_weights(model, every_name=True)


def buffers_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in named_state(model, every_name=True).items()}


def perturb(model: nn.Module, points: Sequence[EntryPoint], seed: int) -> None:
    """Moves every trained number by a few percent, in place.

    Where that leaves weights which the model refuses, such as a covariance that is no longer symmetric, each parameter
    is scaled as a whole instead.
    """
    own = [parameter.detach().clone() for parameter in model.parameters()]
    perturb_elements(model, seed)
    if all(runs(model, point) for point in points):
        return
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), own, strict=True):
            parameter.copy_(value * (1 + PERTURBATION) if parameter.requires_grad else value)


def runs(model: nn.Module, point: EntryPoint) -> bool:
    """Whether an entry point takes the model's weights; of a long loop, three iterations show it."""
    try:
        with seeded(), torch.no_grad(), preserved_buffers(model), shortened():
            point.call(model, *point.example(RUN_BATCH))
    except Exception:
        return False
    return True


def perturb_elements(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter)
                parameter.add_(noise * torch.where(parameter == 0, FROM_ZERO, PERTURBATION * parameter))


def observe_model(
    model: nn.Module, point: EntryPoint, inputs: tuple[Any, ...], training: bool, seed: int
) -> dict[str, Any]:
    """Output, parameter gradients and state of one call; gradients are None where no output has one that can be had.

    Buffers change as the call changes them; parameters' `.grad` is left alone.
    """
    model.train(training)
    torch.manual_seed(seed)
    output = describe(point.call(model, *inputs))
    generator = torch.get_rng_state()
    total = weighted_sum(output, seed)
    gradients = None
    if total is not None:
        trained = {name: parameter for name, parameter in parameters_of(model).items() if parameter.requires_grad}
        found = gradients_of(total, list(trained.values()))
        gradients = dict(zip(trained, found, strict=True)) if found else None
    return {
        "output": observe(output),
        "gradients": gradients,
        "state": buffers_of(model),
        "inputs": observe(describe(list(inputs))),
        "generator": generator,
    }
