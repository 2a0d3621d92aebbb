"""Datasets of pictures, labels, vectors and texts at once: the encoder reads every part of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import hypergen_compiler as hypergen
from hypergen_compiler.design import Request
from hypergen_compiler.pipeline import build

PLACES = {"picture": 0, "kind": 1, "place": 2, "text": 3}


class Catalogue(nn.Module):
    """Explains a picture by its kind, where it was taken, and what was said of it."""

    def __init__(self):
        super().__init__()
        self.kinds, self.letters = nn.Embedding(4, 8), nn.Embedding(6, 8)
        self.placed, self.drawn = nn.Linear(3, 8), nn.Linear(8, 36)

    def loss(self, picture: Tensor, kind: Tensor, place: Tensor, text: Tensor) -> Tensor:
        told = self.kinds(kind) + self.letters(text).mean(1) + self.placed(place)
        return F.mse_loss(self.drawn(torch.tanh(told)), picture.flatten(1))


def items(n: int) -> tuple[Tensor, ...]:
    kind, text = torch.arange(n) % 4, torch.arange(5 * n).reshape(n, 5) % 6
    return torch.rand(n, 1, 6, 6), kind, torch.randn(n, 3), text


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("mixed") / "mixed_catalogue"
    return hypergen.compile(Catalogue(), items, sample=None, out=folder)


def test_each_part_is_read_as_what_it_is(package):
    parts = [(part["name"], part["kind"], part["rows"]) for part in package.manifest["plan"]["encoder"]]
    assert parts == [("picture", "image", 36), ("kind", "label", 4), ("place", "vector", 3), ("text", "tokens", 6)]


@pytest.mark.parametrize("part", list(PLACES))
def test_datasets_that_differ_in_one_part_alone_are_further_apart_than_two_draws_of_one(package, part):
    torch.manual_seed(1)
    hypernetwork = package.load().hypernetwork.Hypernetwork()
    groups = [mixed(torch.rand(()).item(), part) for _ in range(48)]
    hypernetwork.encoder.calibrate(groups)
    low, again, high = (hypernetwork.embed(mixed(share, part)) for share in (0.0, 0.0, 1.0))
    assert (high - low).norm() > 2 * (again - low).norm()


def mixed(share: float, part: str, n: int = 64) -> tuple[Tensor, ...]:
    """A dataset in which one part has another distribution in a share of the items."""
    found = [torch.rand(n, 1, 6, 6), torch.randint(2, (n,)), torch.randn(n, 3), torch.randint(3, (n, 5))]
    moved = (torch.rand(n) < share).float()
    place = PLACES[part]
    if part in ("kind", "text"):
        found[place] = found[place] + (moved.long() * (2 if part == "kind" else 3)).view(-1, *[1] * (place // 3))
    else:
        found[place] = found[place] + moved.view(-1, *[1] * (found[place].ndim - 1))
    return tuple(found)


class Told(nn.Module):
    """Draws a vector and its kind; what is told of it, it is given."""

    def __init__(self):
        super().__init__()
        self.kinds, self.back = nn.Embedding(4, 3), nn.Linear(5, 3)

    def loss(self, x: Tensor, kind: Tensor, told: Tensor) -> Tensor:
        return (self.back(torch.cat([self.kinds(kind), told], 1)) - x).square().sum(1)

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        kind = torch.randint(4, (n,))
        return self.back(torch.cat([self.kinds(kind), torch.randn(n, 2)], 1)), kind


def test_of_real_items_the_penalty_takes_what_the_sampler_does_not_make():
    example = (torch.rand(8, 3), torch.arange(8) % 4, torch.rand(8, 2))
    objective = build(Request(Told(), example), "told").files["objective.py"].decode()
    assert "    x, _, told = inputs\n" in objective and "samples[0], samples[1], told" in objective
