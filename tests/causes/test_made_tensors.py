"""Tensors made by what is no recorded function of torch: constructors, numpy's arrays, lists as long as the batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def vectors(n):
    return torch.randn(n, 4)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        return self.use(self.l(x), len(x))

    def sample(self, n):
        return self.l(torch.Tensor(n, 4).normal_())


class Constructed(Layer):
    """As written before there were torch.randn and torch.full."""

    def use(self, h, n):
        noise = torch.FloatTensor(n, 4).uniform_(-1, 1)
        weights = torch.Tensor(n, n).fill_(1 / n)
        weights.view(-1)[:: n + 1] = 0.5
        steps = torch.LongTensor(n).random_(0, 4)
        return weights @ (h + noise), nn.init.normal_(torch.Tensor(2, 4)) + h[:2].mean(), h[torch.arange(n), steps]


def test_constructed_tensors_that_are_filled(check):
    emitted = check(Constructed(), vectors, entries=("forward",), sizes=(3, 2, 17))
    assert "torch.empty(n, n, device=" in emitted.text
    check(Constructed(), vectors, entries={"sample": ("sample", lambda n: (n,))})


class Listed(Layer):
    def use(self, h, n):
        scales = torch.tensor([0.5] * n).unsqueeze(1)
        ones = torch.from_numpy(np.ones((n, 4), dtype="float32"))
        labels = torch.as_tensor(np.full(n, 3))
        places = torch.tensor(list(range(n)))
        return h * scales + ones, h[places, labels], torch.as_tensor(np.arange(n, dtype="float32")) @ h


def test_lists_and_arrays_as_long_as_the_batch(check):
    emitted = check(Listed(), vectors, exact=False)
    for made in ("torch.full((n,), 0.5", "torch.ones(n, 4", "torch.arange(n, d"):
        assert made in emitted.text


class Arrays(Layer):
    """A constant of numpy's, handed to every function that takes one."""

    def use(self, h, n):
        table = np.array([1.0, 2.0, 4.0, 8.0], dtype="float32")
        return h * torch.tensor(table) + torch.as_tensor(table, dtype=h.dtype) - torch.asarray(table)


def test_constant_arrays(check):
    check(Arrays(), vectors)


class Permuted(Layer):
    """Indices of numpy's, a short and a long one."""

    def __init__(self):
        super().__init__()
        self.order, self.places = np.array([2, 0, 3, 1]), np.arange(40) % 4

    def use(self, h, n):
        h[:, self.order[:2]] += 1
        return h[:, self.order], h[..., self.places].mean(1), h[np.array([1, 0])]


def test_arrays_as_indices(check):
    emitted = check(Permuted(), vectors, sizes=(3, 2, 17))
    assert "[2, 0, 3, 1]" in emitted.text


class Halved(Layer):
    """The batch in two halves, as FactorVAE (arXiv 1802.05983) takes it."""

    def use(self, h, n):
        first, second = h[: n // 2], h[n // 2 :]
        return first.reshape(len(first), 2, 2), second.reshape(len(second), 2, 2), second[: len(first)] * first


def test_halves_of_a_batch(check):
    check(Halved(), vectors, sizes=(3, 2, 16, 17))


class Even(Layer):
    def use(self, h, n):
        return h * 2 if n % 2 == 0 else h


def test_what_even_batches_alone_do_is_refused(refused):
    refused("HG204", Even(), vectors, where="test_made_tensors.py")


class Typed(Layer):
    """Python's types in the place of torch's."""

    def use(self, h, n):
        mask = torch.ones_like(h, dtype=bool).tril()
        return h.to(float) * mask, torch.zeros(n, dtype=int), (h > 0).type(torch.FloatTensor)


def test_python_types_as_dtypes(check):
    check(Typed(), vectors)
