"""Gradients through an emitted package, for datasets in one pass and for weights emitted for each."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from .packages import Quiet, publish


class Normed(nn.Module):
    """Its sampler reads what its loss writes: the running statistics of a BatchNorm."""

    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.tanh(self.norm(self.up(x))))

    def loss(self, x: Tensor) -> Tensor:
        return (self(x) - x).square().sum(1).mean()

    def sample(self, n: int) -> Tensor:
        return self((torch.arange(n) % 2).float().unsqueeze(1).expand(-1, 5))


CASES = {
    "quiet_biases": (Quiet, "biases"),
    "quiet_low_rank": (Quiet, "low-rank"),
    "normed_biases": (Normed, "biases"),
    "normed_low_rank": (Normed, "low-rank"),
}


class Setting(NamedTuple):
    """A package with a hypernetwork whose weights depend on the dataset, and four datasets."""

    objective: Callable[..., Any]
    hypernetwork: nn.Module
    state: nn.Module
    datasets: list[Tensor]
    weights: Any

    def total(self, *which: int, strength: float = 1.0) -> Tensor:
        datasets = [self.datasets[i] for i in which]
        return self.objective(self.hypernetwork, self.state, *datasets, strength=strength).total

    def gradients(self) -> dict[str, Tensor]:
        found = {name: parameter.grad.clone() for name, parameter in self.hypernetwork.named_parameters()}
        self.hypernetwork.zero_grad(set_to_none=True)
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("packages")
    for name, (make, head) in CASES.items():
        torch.manual_seed(0)
        publish(make(), path / name, head)
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


@pytest.fixture(params=CASES)
def setting(request, folder) -> Setting:
    modules = {
        name: importlib.import_module(f"{request.param}.{name}") for name in ("hypernetwork", "weights", "objective")
    }
    torch.manual_seed(0)
    hypernetwork = modules["hypernetwork"].Hypernetwork()
    datasets = [torch.randn(6, 5) + shift for shift in (0.0, 0.5, 1.0, -0.5)]
    hypernetwork.encoder.calibrate(datasets)
    with torch.no_grad():
        for parameter in hypernetwork.groups()[1]:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return Setting(
        modules["objective"].objective, hypernetwork, modules["weights"].State(), datasets, modules["weights"]
    )


def assert_alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and any(value.any() for value in one.values())
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=2e-5)  # a bias before a norm has none but noise


def test_gradients_accumulate_over_objectives(setting):
    setting.total(0, 1, strength=0).backward()
    together = setting.gradients()
    for i in (0, 1):
        (setting.total(i, strength=0) / 2).backward()
    assert_alike(together, setting.gradients())


def test_a_second_objective_leaves_the_first_as_it_was(setting):
    undisturbed = copy.deepcopy((setting.hypernetwork, setting.state))
    setting.total(0, 1).backward()
    expected = setting.gradients()
    disturbed = setting._replace(hypernetwork=undisturbed[0], state=undisturbed[1])
    first = disturbed.total(0, 1)
    disturbed.total(2, 3)
    first.backward()
    assert_alike(expected, disturbed.gradients())


def test_autograd_grad_gives_what_backward_does(setting):
    total = setting.total(0, 1)
    parameters = dict(setting.hypernetwork.named_parameters())
    found = torch.autograd.grad(total, list(parameters.values()), retain_graph=True)
    expected = dict(zip(parameters, found, strict=True))
    total.backward()
    assert_alike(expected, setting.gradients())


def test_a_graph_that_is_kept_gives_the_same_again(setting):
    total = setting.total(0, 1)
    total.backward(retain_graph=True)
    first = setting.gradients()
    total.backward()
    second = setting.gradients()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_hooks_see_the_gradients(setting):
    seen = {}
    for name, parameter in setting.hypernetwork.named_parameters():
        parameter.register_hook(lambda gradient, name=name: seen.__setitem__(name, gradient.clone()))
        parameter.register_post_accumulate_grad_hook(lambda p, name=name: seen.__setitem__(f"{name} whole", p.grad))
    setting.total(0, 1).backward()
    for name, gradient in setting.gradients().items():
        assert torch.equal(seen[name], gradient) and torch.equal(seen[f"{name} whole"], gradient)


def test_hooks_on_emitted_weights_change_what_flows(setting):
    hypernetwork, seen = setting.hypernetwork, []
    embeddings = torch.stack([hypernetwork.embed(dataset) for dataset in setting.datasets[:2]])
    kinds = [lambda: setting.weights.unpack(hypernetwork.emit(embeddings)[0]).down_bias]
    if hasattr(hypernetwork, "emit_together"):
        kinds.append(lambda: hypernetwork.emit_together(embeddings).down_bias)
    for emitted in kinds:
        gradients = []
        for factor in (1, 3):
            bias = emitted()
            bias.register_hook(lambda gradient, factor=factor: seen.append(gradient) or factor * gradient)
            gradients.append(torch.autograd.grad(bias.square().sum(), hypernetwork.head, retain_graph=True)[0])
        torch.testing.assert_close(gradients[1], 3 * gradients[0])
        assert gradients[0].any()
    assert len(seen) == 2 * len(kinds)


def test_the_gradient_of_a_gradient_is_right(setting):
    direction = torch.randn_like(setting.hypernetwork.base)

    def squared_gradient(step: float) -> tuple[Tensor, nn.Parameter]:
        """Of copies, since an objective moves what it keeps: the spread of embeddings and running statistics."""
        hypernetwork, state = copy.deepcopy((setting.hypernetwork, setting.state))
        hypernetwork.base.data.add_(direction, alpha=step)
        total = setting._replace(hypernetwork=hypernetwork, state=state).total(0, 1)
        found = torch.autograd.grad(total, list(hypernetwork.parameters()), create_graph=True)
        return sum(gradient.square().sum() for gradient in found), hypernetwork.base

    value, base = squared_gradient(0.0)
    analytic = (torch.autograd.grad(value, base)[0] * direction).sum()
    step = 1e-3
    numeric = (squared_gradient(step)[0] - squared_gradient(-step)[0]).detach() / (2 * step)
    torch.testing.assert_close(analytic, numeric, rtol=3e-2, atol=1e-2)


def test_a_step_compiles_whole_with_its_gradients(setting):
    plain = copy.deepcopy((setting.hypernetwork, setting.state))
    setting._replace(hypernetwork=plain[0], state=plain[1]).total(0, 1).backward()
    expected = {name: parameter.grad for name, parameter in plain[0].named_parameters()}
    torch._dynamo.reset()
    compiled = torch.compile(setting.objective, fullgraph=True, backend="aot_eager")
    setting._replace(objective=compiled).total(0, 1).backward()
    assert_alike(expected, setting.gradients())


def test_a_step_runs_under_autocast(setting):
    with torch.autocast("cpu", torch.bfloat16):
        total = setting.total(0, 1)
    total.backward()
    assert total.isfinite() and all(gradient.isfinite().all() for gradient in setting.gradients().values())
