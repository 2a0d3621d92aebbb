"""Adversarial training: both games and the penalty against formulas, and a package that trains generator and critic."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

import hypergen_compiler as hypergen
from hypergen_compiler.cli import app
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.publishing.package import Package
from hypergen_compiler.recipes import Adversarial, Gan, Vae, with_critic
from hypergen_compiler.recipes.entries import chosen_recipe
from hypergen_compiler.recipes.gan import squared_slope

MODES = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])


class Generator(nn.Module):
    """Latents [n, 4] -> [n, 2], under a scale that nobody trains"""

    def __init__(self, width: int = 32):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2), requires_grad=False)
        self.net = nn.Sequential(nn.Linear(4, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.norm = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, 2)

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * self.out(self.norm(self.net(z)))


class Discriminator(nn.Module):
    """[n, 2] -> [n, 1], with spectral normalisation in its first layer"""

    def __init__(self, width: int = 32):
        super().__init__()
        self.first = nn.utils.parametrizations.spectral_norm(nn.Linear(2, width))
        self.second, self.out = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.leaky_relu(self.second(F.leaky_relu(self.first(2 * x), 0.2)), 0.2))


def ring(n: int) -> tuple[Tensor]:
    g = torch.Generator().manual_seed(n)
    return (MODES[torch.randint(4, (n,), generator=g)] + 0.1 * torch.randn(n, 2, generator=g),)


def pair(seed: int = 0) -> tuple[Generator, Discriminator]:
    torch.manual_seed(seed)
    return Generator(), Discriminator()


class Quadratic(nn.Module):
    """score(x) = x A x / 2, whose slope is (A + A') x / 2"""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1.0, 0.5], [0.5, -2.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * ((x @ self.matrix) * x).sum(1)


def scores(recipe: Gan, x: Tensor) -> tuple[Adversarial, Tensor, Tensor]:
    """The model, and its critic's scores of the data and of the samples that seed 3 draws."""
    model = recipe.around(nn.Linear(4, 2))
    torch.manual_seed(3)
    drawn = model.generator(torch.randn(len(x), 4))
    return model, model.critic(x), model.critic(drawn)


@pytest.mark.parametrize("objective", ["non-saturating", "hinge"])
def test_both_players_lower_the_formulas(objective):
    x = torch.randn(6, 2)
    recipe = Gan(critic=Quadratic(), objective=objective, r1=0.0, latent=4, shape=(2,))
    model, real, drawn = scores(recipe, x)
    if objective == "hinge":
        generator, critic = -drawn.mean(), (1 - real).clamp_min(0).mean() + (1 + drawn).clamp_min(0).mean()
    else:
        generator = -drawn.sigmoid().log().mean()
        critic = -real.sigmoid().log().mean() - (1 - drawn.sigmoid()).log().mean()
    for loss, expected in ((recipe.loss, generator), (recipe.critic_loss, critic)):
        torch.manual_seed(3)
        torch.testing.assert_close(loss(model, x), expected)


def test_the_penalty_is_the_squared_slope():
    x = torch.randn(6, 2)
    critic = Quadratic()
    by_hand = (x @ (critic.matrix + critic.matrix.T) / 2).square().sum(1).mean()
    leaf = x.clone().requires_grad_()
    torch.testing.assert_close(squared_slope(critic(leaf), leaf), by_hand)
    losses = []
    for r1 in (0.0, 3.0):
        recipe = Gan(critic=critic, r1=r1, latent=4, shape=(2,))
        torch.manual_seed(1)
        losses.append(recipe.critic_loss(recipe.around(nn.Linear(4, 2)), x))
    torch.testing.assert_close(losses[1] - losses[0], 1.5 * by_hand)
    (gradient,) = torch.autograd.grad(losses[1] - losses[0], critic.matrix)
    (expected,) = torch.autograd.grad(1.5 * by_hand, critic.matrix)
    torch.testing.assert_close(gradient, expected)  # the penalty reaches the critic's weights


def test_a_generator_learns_nothing_from_the_critics_loss():
    generator, critic = pair()
    recipe = Gan(critic=critic, latent=4, shape=(2,))
    recipe.critic_loss(recipe.around(generator), *ring(5)).backward()
    assert all(parameter.grad is None for parameter in generator.parameters())
    assert all(parameter.grad is not None for parameter in critic.parameters())


def test_both_read_the_labels():
    class Labelled(nn.Module):
        def __init__(self, size: int):
            super().__init__()
            self.table, self.out = nn.Embedding(3, size), nn.Linear(size, 2)

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return self.out(x + self.table(labels))

    recipe = Gan(critic=Labelled(2), classes=3, latent=(4,))
    labels = torch.arange(6) % 3
    found = chosen_recipe(Labelled(4), (torch.randn(6, 2), labels), recipe, "loss", lambda message: None)
    assert list(found.loss.__signature__.parameters) == ["network", "x", "labels"]
    drawn, drawn_labels = found.sample(found.model, 5)
    assert drawn.shape == (5, 2) and drawn_labels.max() < 3
    found.critic_loss(found.model, torch.randn(6, 2), labels).backward()


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Package:
    generator, critic = pair()
    recipe = {"name": "gan", "latent": 4, "r1": 0.1}
    folder = tmp_path_factory.mktemp("gan") / "ring_gan"
    return hypergen.compile(generator, ring, out=folder, recipe=recipe, critic=critic)


def test_the_package_agrees_with_both(package):
    found = hypergen.verify(package.path, pair()[0], critic=pair()[1])
    assert found.ok and found.exact
    assert all("at a batch of 1 the model itself fails" in note for note in found.notes)  # its BatchNorm does
    compared = {(check.entry, check.what) for check in found.checks}
    assert {(entry, "gradients") for entry in ("loss", "critic_loss", "sample")} <= compared


def test_a_wrong_gradient_to_the_critic_is_found(package, tmp_path):
    changed = tmp_path / "changed"
    changed.mkdir()
    for name, content in package.files.items():
        (changed / name).write_bytes(content)
    text = (changed / "model.py").read_text()
    assert "squared_slope(score, x) *" in text
    (changed / "model.py").write_text(text.replace("squared_slope(score, x)", "squared_slope(score, x).detach()"))
    found = hypergen.verify(changed, pair()[0], critic=pair()[1])
    failed = {(check.entry, check.what) for check in found.failures}
    assert failed == {("critic_loss", "gradients")}


def test_the_critic_lies_last_and_is_not_emitted(package):
    weights = package.load().weights
    starts = {name: offset for name, _, offset in weights.LAYOUT}
    assert all((offset >= weights.CRITIC) == name.startswith("critic.") for name, offset in starts.items())
    assert weights.EMITTED <= starts["generator.scale"] < weights.CRITIC < weights.SIZE


def distance(samples: Tensor) -> float:
    """Of the samples to the nearest mode, on average."""
    return torch.cdist(samples, MODES).min(1).values.mean().item()


def new_training(package: Package, steps: int):
    loaded = package.load()
    settings = loaded.training.Settings(steps=steps, batch=32, episodes=2, lr=1e-2, strength=0.1)
    return loaded.training.Trainer(loaded.data.Data(ring(2000)), settings)


@torch.no_grad()
def samples(package: Package, training) -> Tensor:
    loaded = package.load()
    torch.manual_seed(0)
    return loaded.model.sample(loaded.weights.unpack(training.hypernetwork(ring(200))), training.state, 1000)


def test_samples_move_to_every_mode(package):
    training = new_training(package, 200)
    before = distance(samples(package, training))
    for _ in range(200):
        training.advance()
    drawn = samples(package, training)
    near = torch.cdist(drawn, MODES) < 0.7
    assert distance(drawn) < 0.5 * before, (before, distance(drawn))
    assert (near.float().mean(0) > 0.05).all(), near.float().mean(0)


def test_a_resumed_run_is_the_uninterrupted_one(package):
    whole = new_training(package, 20)
    for step in range(12):
        if step == 6:
            content = copy.deepcopy(whole.content())
        whole.advance()
    resumed = new_training(package, 20)
    resumed.restore(content)
    for _ in range(6):
        resumed.advance()
    assert torch.equal(whole.critic, resumed.critic)
    for part in ("hypernetwork", "state"):
        expected, got = getattr(whole, part).state_dict(), getattr(resumed, part).state_dict()
        assert all(torch.equal(expected[name], got[name]) for name in expected), part
    moments = [run.critic_optimizer.state_dict()["state"][0] for run in (whole, resumed)]
    assert all(torch.equal(moments[0][name], moments[1][name]) for name in moments[0])
    assert torch.equal(whole.sums, resumed.sums)


def test_both_are_exported_under_their_own_names(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=ring(200)[0].numpy())
    for words in (
        "train data.npz --out run --steps 10 --batch 16 --episodes 2",
        "export run data.npz --out generator.pt --critic critic.safetensors",
    ):
        monkeypatch.setattr(sys, "argv", words.split())
        getattr(package.load(), sys.argv[0]).main()
    rows = Path("run/log.csv").read_text().splitlines()
    assert rows[0] == "step,loss,penalty,critic,seconds" and rows[-1].count(",") == 4 and len(rows) == 11
    generator, critic = pair(seed=1)
    generator.load_state_dict(torch.load("generator.pt", weights_only=True))
    safetensors = pytest.importorskip("safetensors.torch")
    critic.load_state_dict(safetensors.load_file("critic.safetensors"))
    assert torch.equal(generator.scale, torch.ones(2))
    loaded, training = package.load(), new_training(package, 10)
    training.settings = loaded.settings.Settings(steps=10, batch=16, episodes=2)
    training.restore(loaded.checkpoint.read_checkpoint(Path("run")))
    flat = loaded.weights.pack(Adversarial(generator, critic).state_dict())
    assert torch.equal(flat[loaded.weights.CRITIC :], training.critic)
    assert not torch.equal(flat[: loaded.weights.EMITTED], loaded.weights.initial_weights()[: loaded.weights.EMITTED])


def test_the_package_passes_its_own_tests(package):
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package.path)]
    done = subprocess.run(line, cwd=package.path.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


SOURCE = """
from torch import nn


class Generator(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))


def make_critic():
    return nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 1))
"""


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "players.py").write_text(SOURCE)
    words = "compile players.py:Generator --example 2 --out small --recipe gan --recipe-set latent=3 --set width=6"
    missing = CliRunner().invoke(app, words.split())
    assert missing.exit_code == 2 and "HG107" in missing.output and "--recipe-set critic=" in missing.output
    done = CliRunner().invoke(app, [*words.split(), "--recipe-set", "critic=players.py:make_critic"])
    assert done.exit_code == 0, done.output
    recipe = json.loads((tmp_path / "small" / "hypergen.json").read_text())["recipe"]
    assert recipe["settings"]["critic"] == "players.py:make_critic"
    assert recipe["entries"] == {"loss": "loss", "sample": "sample", "critic_loss": "critic_loss"}
    result = CliRunner().invoke(app, ["verify", "small"])
    assert result.exit_code == 0 and "equal bit for bit" in result.output and "note" not in result.output
    assert "trained beside" in CliRunner().invoke(app, ["inspect", "small"]).output


def test_another_game_can_be_given(tmp_path):
    def wasserstein(model: Adversarial, x: Tensor) -> Tensor:
        with torch.no_grad():
            drawn = model(torch.randn(len(x), 4))
        return model.critic(drawn).squeeze(1) - model.critic(x).squeeze(1)

    package = hypergen.compile(
        *(nn.Linear(4, 2), ring),
        out=tmp_path / "own_game",
        loss=lambda model, x: -model.critic(model(torch.randn(len(x), 4))).mean(),
        entries={"critic_loss": wasserstein},
        critic=nn.Linear(2, 1),
        recipe=Gan(latent=4),
    )
    assert package.manifest["recipe"]["entries"] == {"sample": "sample"}
    training = new_training(package, 4)
    before = training.critic.clone()
    training.advance()
    assert not torch.equal(before, training.critic)


def test_the_models_own_stay_as_they_were():
    generator, critic = pair()
    kept = copy.deepcopy((generator.state_dict(), critic.state_dict()))
    hypergen.plan(generator, ring, recipe={"name": "gan", "latent": 4}, critic=critic)
    for module, state in zip((generator, critic), kept, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in critic.parameters())


@pytest.mark.parametrize(
    ("recipe", "critic", "code", "said"),
    [
        ("gan", None, "HG107", "there is no critic"),
        ("gan", nn.Linear, "HG107", "is no nn.Module"),
        ("gan", nn.Linear(2, 1).requires_grad_(False), "HG107", "no weights to train"),
        ("gan", "nowhere.py:Critic", "HG101", "cannot be imported"),
        ({"name": "gan", "objective": "least-squares"}, nn.Linear(2, 1), "HG107", "non-saturating or hinge"),
        ({"name": "gan", "r1": -1.0}, nn.Linear(2, 1), "HG107", "r1=-1.0"),
        ("gan", nn.Linear(2, 1), "HG202", r"latents \[16, 64\], which follow the setting `latent`"),
        ("vae", nn.Linear(2, 1), "HG107", "vae has no setting 'critic'"),
        (Vae(), nn.Linear(2, 1), "HG107", "vae has no setting 'critic'"),
    ],
    ids=str,
)
def test_refusals(recipe, critic, code, said):
    with pytest.raises(HyperGenError, match=said) as caught:
        hypergen.plan(Generator(), ring, recipe=recipe, critic=critic)
    assert caught.value.code == code


def test_a_critic_that_is_not_used_is_refused():
    with pytest.raises(HyperGenError, match="reads no weights of the critic") as caught:
        hypergen.plan(
            *(nn.Linear(4, 2), ring),
            recipe={"name": "gan", "latent": 4},
            critic=nn.Linear(2, 1),
            entries={"critic_loss": lambda model, x: model(torch.randn(len(x), 4)).mean()},
        )
    assert caught.value.code == "HG208"


def test_a_critic_alone_asks_for_the_recipe():
    critic = nn.Linear(2, 1)
    assert with_critic(None, critic) == {"name": "gan", "critic": critic}
    assert with_critic(Gan(r1=1.0), critic)["r1"] == 1.0 and with_critic("vae", None) == "vae"


def test_a_critic_without_a_name_must_be_given_again(package):
    with pytest.raises(HyperGenError, match="was an object in Python") as caught:
        hypergen.verify(package.path, pair()[0])
    assert caught.value.code == "HG603"
