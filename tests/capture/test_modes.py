from __future__ import annotations

import pytest
import torch
from torch import nn

from hypergen_compiler.capture import entry_points
from hypergen_compiler.capture.modes import merge_modes
from hypergen_compiler.capture.record import record_mode
from hypergen_compiler.program import Choice

from ..programs import captured

SIZES = (11, 5, 7)


def tapes(model):
    (point,) = entry_points(model, torch.rand(3, 4), loss=None, sample=None, entries="forward")
    return [record_mode(model, point, SIZES, training=training) for training in (True, False)]


class Module(nn.Module):
    """A module whose forward is the given function of (self, x)."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def test_flags_become_choices():
    merged = merge_modes(*tapes(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3))))
    assert [call.name.rpartition(".")[2] for call in merged.calls] == ["linear", "dropout"]
    assert merged.calls[1].kwargs["training"] == Choice(True, False)
    assert merged.calls[1].kwargs["p"] == 0.3


def test_numbers_and_nones_become_choices():
    def forward(self, x):
        return x.clamp(0.1 if self.training else 0.2, max=1.0 if self.training else None)

    (clamp,) = merge_modes(*tapes(Module(forward))).calls
    assert clamp.args[1] == Choice(0.1, 0.2)
    assert clamp.kwargs == {"max": Choice(1.0, None)}


@pytest.mark.parametrize(
    ("model", "knows"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), False),
        (nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3)), True),
        (nn.BatchNorm1d(4, affine=False, track_running_stats=False), False),
        (Module(lambda self, x: self.norm(x).detach() * 0 + x, norm=nn.BatchNorm1d(4)), True),
        (Module(lambda self, x: x.sin() if self.training else x.cos()), True),
        (Module(lambda self, x: (x.sin(), 1.0 if self.training else 2.0)), True),
    ],
    ids=["no layer of it", "dropout", "BatchNorm without state", "BatchNorm", "two programs", "a returned number"],
)
def test_whether_a_program_knows_the_mode(model, knows):
    assert captured(model, torch.rand(3, 4)).entries[0].knows_mode is knows


def test_what_training_alone_counts_is_kept_and_marked():
    merged = merge_modes(*tapes(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))))
    assert [(call.name.rpartition(".")[2], call.mode) for call in merged.calls] == [
        ("linear", None),
        ("add_", "training"),
        ("batch_norm", None),
    ]


def test_a_copy_that_training_alone_makes_is_taken_as_it_is():
    model = Module(lambda self, x: (x.T.contiguous() if self.training else x.T).exp())
    merged = merge_modes(*tapes(model))
    assert [call.name for call in merged.calls if call.mode] == []


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: x.exp() if self.training else x.tanh(),
        lambda self, x: x.exp().tanh() if self.training else x.exp(),
        lambda self, x: x.exp() if self.training else x.exp().tanh(),
        lambda self, x: x * torch.rand_like(x) if self.training else x * 1.0,
        lambda self, x: x.sum(0 if self.training else (0, 1)),
        lambda self, x: (x, x.exp()) if self.training else (x.exp(), x),
    ],
    ids=["another-call", "training-goes-on", "evaluation-goes-on", "random", "structure", "results"],
)
def test_different_programs_are_none(function):
    assert merge_modes(*tapes(Module(function))) is None


def test_random_numbers_that_only_training_draws_and_drops_are_another_program():
    def forward(self, x):
        if self.training:
            torch.rand(3)
        return x.exp()

    assert merge_modes(*tapes(Module(forward))) is None


def test_another_constant_is_another_program():
    model = Module(lambda self, x: x + (self.first if self.training else self.second))
    model.first, model.second = torch.ones(4), torch.zeros(4)
    assert merge_modes(*tapes(model)) is None
    model.second = torch.ones(4)
    assert merge_modes(*tapes(model)) is not None


def test_without_a_difference_the_program_is_the_training_one():
    training, evaluation = tapes(nn.Linear(4, 4))
    assert merge_modes(training, evaluation) is training
    assert [call.mode for call in training.calls] == [None]


def test_different_programs_leave_the_training_tape_without_marks():
    def forward(self, x):
        x = self.norm(x)
        return x.exp() if self.training else x.tanh()

    training, evaluation = tapes(Module(forward, norm=nn.BatchNorm1d(4)))
    assert merge_modes(training, evaluation) is None
    assert [call.mode for call in training.calls] == [None] * len(training.calls)
