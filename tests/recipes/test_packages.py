"""One small model per recipe: compiled, verified, rebuilt, trained for a few hundred steps, and sampled."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import hypergen_compiler as hypergen
from hypergen_compiler.cli import app
from hypergen_compiler.publishing.package import Package

from .networks import Causal, Denoiser, Flow, LabelledDenoiser, MixtureParameters, SmallVAE

STEPS = 200


@dataclass(frozen=True)
class Case:
    """A network and its recipe; `data(n)` is what it learns, and the loss must fall below `share` of what it was."""

    network: Callable[[], nn.Module]
    data: Callable[[int], tuple[Tensor, ...]]
    recipe: Any
    share: float
    lr: float = 1e-2


def generator(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)


def ring(n: int) -> tuple[Tensor]:
    """Points around four centres."""
    g = generator(n)
    angle = torch.randint(4, (n,), generator=g) * (torch.pi / 2)
    return (2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2, generator=g),)


def near(n: int) -> tuple[Tensor]:
    """Points around one centre."""
    return (torch.tensor([2.0, -1.0]) + 0.3 * torch.randn(n, 2, generator=generator(n)),)


def labelled(n: int) -> tuple[Tensor, Tensor]:
    g = generator(n)
    labels = torch.randint(3, (n,), generator=g)
    return torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])[labels] + 0.1 * torch.randn(n, 2, generator=g), labels


def counting(n: int) -> tuple[Tensor]:
    """Tokens that go up by one, from anywhere."""
    return ((torch.randint(5, (n, 1), generator=generator(n)) + torch.arange(7)) % 5,)


def stripes(n: int) -> tuple[Tensor]:
    """Two patterns of six numbers in [0, 1]."""
    g = generator(n)
    side = torch.randint(2, (n, 1), generator=g)
    pattern = (torch.arange(6) % 2 == side).float()
    return (0.9 * pattern + 0.1 * torch.rand(n, 6, generator=g),)


ANCESTRAL = {"timesteps": 40, "steps": 10, "sampler": "ddpm", "schedule": "cosine", "predicts": "v"}
CASES = {
    "ddpm": Case(LabelledDenoiser, labelled, {"name": "ddpm", "timesteps": 50, "steps": 5, "classes": 3}, 0.7),
    "ancestral": Case(Denoiser, near, {"name": "ddpm", **ANCESTRAL}, 0.5),
    "flow": Case(Denoiser, near, {"name": "flow-matching", "steps": 4, "solver": "heun", "time_scale": 100.0}, 0.5),
    "autoregressive": Case(Causal, counting, {"name": "autoregressive", "top_k": 3, "temperature": 0.9}, 0.5),
    "vae": Case(SmallVAE, stripes, "vae", 0.95),
    "nll": Case(Flow, near, None, 0.5),
    "mixture": Case(MixtureParameters, ring, "mixture", 0.9, lr=3e-2),
}


@pytest.fixture(scope="module", params=CASES)
def compiled(request, tmp_path_factory) -> tuple[Case, Package]:
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp("recipes") / f"recipe_{request.param}"
    return case, hypergen.compile(made(case), case.data, out=folder, recipe=case.recipe)


def made(case: Case) -> nn.Module:
    torch.manual_seed(0)
    return case.network()


def test_it_is_rebuilt_from_the_manifest_and_agrees(compiled):
    case, package = compiled
    assert package.manifest["recipe"]["entries"] == {"loss": "loss", "sample": "sample"}
    found = hypergen.verify(package.path, made(case))
    assert found.ok and found.exact and not found.notes
    assert {check.entry for check in found.checks if check.what == "output"} == {"loss", "sample"}
    assert any(check.what == "gradients" for check in found.checks)


def test_it_trains_and_samples(compiled):
    case, package = compiled
    loaded = package.load()
    data, weights = loaded.data, loaded.weights
    settings = loaded.training.Settings(steps=STEPS, batch=32, episodes=2, lr=case.lr, strength=0.1)
    training = loaded.training.Trainer(data.Data(case.data(1000)), settings)
    losses = [training.advance().loss.item() for _ in range(STEPS)]
    first, last = sum(losses[:20]) / 20, sum(losses[-40:]) / 40
    assert last < case.share * first, (first, last)
    with torch.no_grad():
        emitted = training.hypernetwork(case.data(100))
        drawn = loaded.model.sample(weights.unpack(emitted), training.state, 9)
    for sample, item in zip(drawn if isinstance(drawn, tuple) else (drawn,), case.data(9), strict=True):
        assert sample.shape == item.shape and sample.dtype == item.dtype and sample.isfinite().all()


def test_long_samplers_print_as_loops(compiled):
    _, package = compiled
    settings = package.manifest["recipe"]["settings"]
    text = package.files["model.py"].decode()
    count = settings.get("steps") or (7 if package.manifest["recipe"]["name"] == "autoregressive" else None)
    assert count is None or f"for i in range({count}):" in text
    assert len(text.splitlines()) < 150


def test_the_loss_names_its_inputs(compiled):
    case, package = compiled
    names = [item["name"] for item in package.manifest["entries"]["loss"]["inputs"]]
    assert names == (["x", "labels"] if len(case.data(2)) == 2 else ["x"])


def test_a_given_loss_or_sampler_is_kept(tmp_path):
    package = hypergen.compile(
        made(CASES["ancestral"]),
        ring,
        out=tmp_path / "own_sampler",
        recipe={"name": "ddpm", "timesteps": 20, "steps": 2},
        sample=lambda network, n: network(torch.zeros(n, 2), torch.zeros(n)),
    )
    assert package.manifest["recipe"]["entries"] == {"loss": "loss"}
    assert "def generate" not in package.files["model.py"].decode()


SOURCE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, width), nn.Linear(width, 2)

    def forward(self, x, t):
        return self.out(torch.tanh(self.hidden(torch.cat([x, t[:, None]], dim=1))))
"""


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(SOURCE)
    words = "compile net.py:Net --example 2 --out small --recipe flow-matching --recipe-set steps=3 --json".split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    recipe = json.loads((tmp_path / "small" / "hypergen.json").read_text())["recipe"]
    assert recipe["name"] == "flow-matching" and recipe["settings"]["steps"] == 3 and recipe["recognised"] is None
    result = CliRunner().invoke(app, ["verify", "small"])
    assert result.exit_code == 0 and "equal bit for bit" in result.output
    assert "flow-matching" in CliRunner().invoke(app, ["inspect", "small"]).output
    wrong = CliRunner().invoke(app, [*words[:-3], "--recipe-set", "stps=3"])
    assert wrong.exit_code == 2 and "HG107" in wrong.output
