"""Checks of a model's values that only raise an error: left out of the package, with a warning."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hypergen_compiler.errors import HyperGenWarning


def vectors(n):
    return torch.randn(n, 4)


class Guarded(nn.Module):
    """A layer whose result is checked in every way that people check."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        h = torch.tanh(self.l(x))
        assert torch.isfinite(h).all(), "not finite"
        if torch.min(h) < -1 or torch.max(h) > 1:
            message = f"out of its range: {h}"
            raise ValueError(message)
        if h.abs().max().item() <= 1:
            h = h * 2
        else:
            raise ValueError("too large")
        if not torch.allclose(
            h,
            h.clone(),
        ):
            raise AssertionError
        return h


def test_checks_that_only_raise_are_left_out(check):
    with pytest.warns(HyperGenWarning, match=r"forward checks .*the weights at test_guards.py:\d+; the package leaves"):
        emitted = check(Guarded(), vectors)
    assert "raise" not in emitted.text


class InRandomNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        noise = torch.rand_like(x)
        if not ((noise >= 0) & (noise <= 1)).all():
            raise ValueError("no probabilities")
        return self.l(x) * noise


def test_a_check_of_random_numbers_is_left_out(check):
    with pytest.warns(HyperGenWarning, match="forward checks random numbers"):
        check(InRandomNumbers(), vectors)
