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
    apart = differences(model, path, datasets[0], kind)
    fused = {"lr": PLAIN_RATE, "fused": True, "capturable": device.type == "cuda"}
    plain = step_of(lambda: model.loss(batch), torch.optim.Adam(model.parameters(), **fused), kind, device)
    optimizer = load_part(path, "optimizer").make_optimizer(hypernetwork, RATE)
    for group in optimizer.param_groups:
        group["capturable"] = device.type == "cuda"
    own = step_of(lambda: objective(hypernetwork, state, *datasets, strength=0.0).total, optimizer, kind, device)
    return Pair(plain, own, *apart)


def differences(model: nn.Module, path: Path, batch: Tensor, kind: str) -> tuple[float, float]:
    """Of the emitted loss and its gradient from the model's own, with the same weights and random numbers."""
    weights = load_part(path, "weights")
    flat = weights.pack(model.state_dict()).requires_grad_()
    w, state = weights.unpack(flat), weights.State().to(batch.device)
    emitted = load_part(path, "model").loss
    own = observed(lambda: emitted(w, state, batch, training=True), kind, batch.device)
    expected = observed(lambda: model.loss(batch), kind, batch.device)
    found = weights.to_state_dict(flat.grad)
    pairs = [(found[name], parameter.grad) for name, parameter in model.named_parameters()]
    model.zero_grad(set_to_none=True)
    scale = max(float(gradient.abs().max()) for _, gradient in pairs)
    apart = max(float((one - other).abs().max()) for one, other in pairs)
    return abs(own - expected) / max(abs(expected), 1e-12), apart / max(scale, 1e-12)


def observed(loss: Callable[[], Tensor], kind: str, device: torch.device) -> float:
    """The value of a loss, whose backward pass has then run."""
    torch.manual_seed(0)
    value = total(loss, kind, device)
    value.backward()
    return float(value.detach())


def total(loss: Callable[[], Tensor], kind: str, device: torch.device) -> Tensor:
    with torch.autocast(device.type, torch.bfloat16, enabled=kind == "bfloat16"):
        return loss()


def step_of(
    loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer, kind: str, device: torch.device
) -> Callable[[], None]:
    """zero_grad, forward, backward and the optimizer, in one of KINDS."""
    if kind == "compiled":
        backend = "inductor" if device.type == "cuda" else "aot_eager"
        loss = torch.compile(loss, fullgraph=True, backend=backend)

    def body() -> None:
        total(loss, kind, device).backward()
        optimizer.step()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        body()

    return finished(replayed(step, body, optimizer) if kind == "graph" else step, device)


def replayed(
    step: Callable[[], None], body: Callable[[], None], optimizer: torch.optim.Optimizer
) -> Callable[[], None]:
    """A whole step captured as one CUDA graph. A transfer that waits for the device is an error in here.

    Captured without gradients from before, the backward pass writes them anew at every replay: nothing is to be zeroed.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with no_waiting(), torch.cuda.graph(graph):
        body()
    return graph.replay


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
