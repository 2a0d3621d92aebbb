"""A training step of an emitted package and one of the plain model, in each of the ways that a GPU runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.contenders import PLAIN_RATE, RATE, load_part
from benchmarks.steps import finished

__all__ = ["KINDS", "Pair", "Unsupported", "prepared"]

KINDS = ("float32", "bfloat16", "compiled", "graph")
WARM_UP = 3  # steps before a capture, as torch asks for


class Unsupported(Exception):
    """A kind of step that this device does not have."""


@dataclass(frozen=True)
class Pair:
    """Steps that end when the device has done them, and how far losses and gradients are apart at the start."""

    plain: Callable[[], None]
    own: Callable[[], None]
    loss_apart: float
    gradient_apart: float


def prepared(model: nn.Module, path: Path, kind: str, datasets: Sequence[Tensor]) -> Pair:
    """A pair of steps of one kind. Raises Unsupported for a graph on anything but a GPU."""
    device = datasets[0].device
    if kind == "graph" and device.type != "cuda":
        raise Unsupported("CUDA graphs need a GPU")
    model, batch = model.to(device), torch.cat(list(datasets))
    hypernetwork = load_part(path, "hypernetwork").Hypernetwork().to(device)
    state = load_part(path, "weights").State().to(device)
    objective = load_part(path, "objective").objective
    apart = differences(model, path, datasets[0])
    fused = {"lr": PLAIN_RATE, "fused": True, "capturable": device.type == "cuda"}
    plain = step_of(lambda: model.loss(batch), torch.optim.Adam(model.parameters(), **fused), kind, device)
    optimizer = load_part(path, "train").make_optimizer(hypernetwork, RATE)
    for group in optimizer.param_groups:
        group["capturable"] = device.type == "cuda"
    own = step_of(lambda: objective(hypernetwork, state, *datasets, strength=0.0).total, optimizer, kind, device)
    return Pair(plain, own, *apart)


def differences(model: nn.Module, path: Path, batch: Tensor) -> tuple[float, float]:
    """Of the emitted loss and its gradient from the model's own, with the same weights and random numbers."""
    weights, device = load_part(path, "weights"), batch.device
    flat = weights.pack(model.state_dict()).to(device).requires_grad_()
    torch.manual_seed(0)
    own = load_part(path, "model").loss(weights.unpack(flat), weights.State().to(device), batch, training=True)
    own.backward()
    torch.manual_seed(0)
    expected = model.loss(batch)
    expected.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    found = weights.to_state_dict(flat.grad)
    model.zero_grad(set_to_none=True)
    scale = max(float(gradient.abs().max()) for gradient in gradients.values())
    apart = max(float((found[name] - gradient).abs().max()) for name, gradient in gradients.items())
    return float((own - expected).abs() / expected.abs().clamp_min(1e-12)), apart / max(scale, 1e-12)


def step_of(
    loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer, kind: str, device: torch.device
) -> Callable[[], None]:
    """zero_grad, forward, backward and the optimizer, in one of KINDS."""
    if kind == "compiled":
        backend = "inductor" if device.type == "cuda" else "aot_eager"
        loss = torch.compile(loss, fullgraph=True, backend=backend)

    def step() -> None:
        optimizer.zero_grad(set_to_none=kind != "graph")
        with torch.autocast(device.type, torch.bfloat16, enabled=kind == "bfloat16"):
            total = loss()
        total.backward()
        optimizer.step()

    return finished(replayed(step) if kind == "graph" else step, device)


def replayed(step: Callable[[], None]) -> Callable[[], None]:
    """A whole step captured as one CUDA graph. A transfer that waits for the device is an error in here."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with no_waiting(), torch.cuda.graph(graph):
        step()
    return graph.replay


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
