"""Small models of every kind of data, with their packages and data that fits them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.files import emit
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import Plan, plan

__all__ = ["CASES", "LabelledVAE", "TokenModel", "VectorModel", "importable", "module", "publish", "write_data"]


class LabelledVAE(nn.Module):
    """Pictures and labels; BatchNorm, a frozen table, a tied layer, a fixed value and a loss per item."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 8).requires_grad_(False)
        self.encoder, self.norm, self.to_latent = nn.Linear(72, 32), nn.BatchNorm1d(32), nn.Linear(32, 16)
        self.decoder = nn.Linear(16, 64)
        self.again = self.decoder

    def loss(self, x: Tensor, labels: Tensor, beta: float) -> Tensor:
        known = self.table(labels)
        h = F.silu(self.norm(self.encoder(torch.cat([x.flatten(1), known], 1))))
        mean, log_var = self.to_latent(h).chunk(2, 1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        logits = self.again(torch.cat([z, known], 1))
        reconstruction = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
        return reconstruction - 0.5 * beta * (1 + log_var - mean.square() - log_var.exp()).sum(1)

    def sample(self, n: int) -> Tensor:
        known = self.table(torch.randint(10, (n,)))
        return torch.sigmoid(self.decoder(torch.cat([torch.randn(n, 8), known], 1))).view(n, 1, 8, 8)


class VectorModel(nn.Module):
    """A Gaussian over vectors; it is compiled without a sampler."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_scale = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))

    def loss(self, x: Tensor) -> Tensor:
        return (0.5 * ((x - self.mean) * torch.exp(-self.log_scale)).square() + self.log_scale).sum(1).mean()


class TokenModel(nn.Module):
    """A Markov chain over tokens; its samples carry no gradient and come with their scores."""

    def __init__(self, vocabulary: int = 5):
        super().__init__()
        self.first, self.next = nn.Parameter(torch.zeros(vocabulary)), nn.Embedding(vocabulary, vocabulary)

    def loss(self, tokens: Tensor) -> Tensor:
        start = F.cross_entropy(self.first.expand(len(tokens), -1), tokens[:, 0])
        return start + 5 * F.cross_entropy(self.next(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        drawn = [torch.multinomial(self.first.softmax(0), n, replacement=True)]
        for _ in range(5):
            drawn.append(torch.multinomial(self.next(drawn[-1]).softmax(1), 1).squeeze(1))
        return torch.stack(drawn, 1), self.first.log_softmax(0)[drawn[0]]


CASES = {
    "labelled": (LabelledVAE, lambda n: (torch.rand(n, 1, 8, 8), torch.randint(10, (n,)), 0.5), "sample"),
    "vectors": (VectorModel, lambda n: (torch.randn(n, 4),), None),
    "tokens": (TokenModel, lambda n: (torch.randint(5, (n, 6)),), "sample"),
}


def publish(case: str, path: Path, budget: str | None = "5x") -> Plan:
    """Writes the package of a case to the folder `path`, which gives it its name."""
    make, example, sample = CASES[case]
    torch.manual_seed(0)
    model = make()
    points = entry_points(model, example, loss="loss", sample=sample)
    program = capture(model, points, name=path.name, source=f"{make.__name__}()", loss="loss", sample=sample)
    layout = lay_out(program)
    chosen = plan(program, layout, budget)
    path.mkdir()
    for name, content in emit(program, layout, chosen).items():
        (path / name).write_bytes(content)
    return chosen


def module(case: str, name: str) -> ModuleType:
    return importlib.import_module(f"{case}.{name}")


@contextmanager
def importable(path: Path) -> Iterator[Path]:
    """Packages in the folder `path` can be imported, and are forgotten behind it."""
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))
    packages = {folder.name for folder in path.iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def write_data(case: str, path) -> None:
    """A .npz of 96 items in 4 groups that differ."""
    generator = np.random.default_rng(0)
    labels = np.arange(96) % 4
    if case == "labelled":
        images = generator.integers(0, 64, (96, 8, 8)) + 60 * labels[:, None, None]
        np.savez(path, images=images.astype(np.uint8), labels=labels)
    elif case == "vectors":
        np.savez(path, x=(generator.normal(size=(96, 4)) + labels[:, None]).astype(np.float32), y=labels)
    else:
        np.savez(path, tokens=(generator.integers(0, 2, (96, 6)) + labels[:, None]).astype(np.int32), labels=labels)
