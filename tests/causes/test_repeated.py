"""Models that do something else in their second call: refused, unless nothing of it is to be seen."""

from __future__ import annotations

import torch
from torch import nn


def vectors(n):
    return torch.randn(n, 4)


class Annealed(nn.Module):
    """Beta-VAE's capacity (arXiv 1804.03599): a factor that grows with a count of Python's."""

    def __init__(self):
        super().__init__()
        self.l, self.steps = nn.Linear(4, 4), 0

    def forward(self, x):
        self.steps += 1
        return self.l(x) * min(1.0, self.steps / 100)


def test_a_count_that_changes_the_result_is_refused_by_name(refused):
    error = refused("HG204", Annealed(), vectors, where="test_repeated.py")
    assert "called again, for it changes steps" in error.what


class CountedByTheClass(Annealed):
    """The count begins as an attribute of the class."""

    steps = 0

    def __init__(self):
        super().__init__()
        del self.steps


def test_a_count_that_begins_in_the_class_is_refused(refused):
    refused("HG204", CountedByTheClass(), vectors, where="test_repeated.py")


class Counted(Annealed):
    """The same count, for nothing."""

    def forward(self, x):
        self.steps += 1
        return self.l(x)


def test_a_count_that_changes_nothing_is_ignored(check):
    check(Counted(), vectors)


class Initialised(nn.Module):
    """A first call that sets weights from the data, told from later ones by a flag of Python's."""

    def __init__(self):
        super().__init__()
        self.scale, self.is_ready = nn.Parameter(torch.ones(4)), False

    def forward(self, x):
        if not self.is_ready:
            self.scale.data = 1 / x.std(0)
            self.is_ready = True
        return x * self.scale


def test_a_model_that_initialises_itself_by_a_flag_is_refused(refused):
    refused("HG204", Initialised(), vectors, where="test_repeated.py")


def test_it_is_compiled_once_initialised(check):
    model = Initialised()
    model(torch.randn(16, 4))
    check(model, vectors)


class Normalised(nn.Module):
    """Weights of unit norm, forced in every training step: arXiv 2312.02696."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.weight.copy_(self.weight / self.weight.norm(dim=1, keepdim=True))
        return x @ self.weight


def test_weights_that_are_written_into_as_such_are_refused(refused):
    refused("HG204", Normalised(), vectors, where="test_repeated.py")
