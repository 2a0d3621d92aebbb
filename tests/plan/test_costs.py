"""What a training step is said to cost: bytes that torch really keeps, and numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.layout import ParameterLayout, Slot, lay_out
from hypergen_compiler.plan.cost import activation_bytes, moved_bytes, peak_bytes, small_calls
from hypergen_compiler.plan.heads import Candidate

from ..programs import captured


class Kept(nn.Module):
    """A loss whose call `use` the test chooses."""

    def __init__(self, use):
        super().__init__()
        self.up, self.down, self.norm = nn.Linear(4, 6), nn.Linear(6, 4), nn.LayerNorm(6)
        self.scale, self.use = nn.Parameter(torch.ones(6)), use

    def loss(self, x):
        return (self.down(self.use(self, self.up(x))) - x).square().sum(1).mean()


USES = {
    "relu": lambda m, h: F.relu(h),
    "relu twice": lambda m, h: F.relu(F.relu(h)),
    "tanh": lambda m, h: torch.tanh(h),
    "exp": lambda m, h: h.exp(),
    "softmax": lambda m, h: h.softmax(-1),
    "silu": lambda m, h: F.silu(h),
    "gelu of a sum": lambda m, h: F.gelu(h + 1),
    "times a number": lambda m, h: 3 * h,
    "over a number": lambda m, h: (h / 3).sin(),
    "times a weight": lambda m, h: h * m.scale,
    "times another": lambda m, h: h * torch.sigmoid(h),
    "views": lambda m, h: h.view(-1, 2, 3).transpose(1, 2).flatten(1),
    "a sum of two": lambda m, h: torch.relu(h) + torch.tanh(h),
    "joined": lambda m, h: torch.cat([h.sin(), h], 1)[:, :6],
    "dropout": lambda m, h: F.dropout(h, 0.25, m.training).sin(),
}


def saved_bytes(model: nn.Module, x: torch.Tensor) -> int:
    """Bytes that torch keeps for the backward pass, weights and data aside, each storage once."""
    given = {t.untyped_storage().data_ptr() for t in (x, *model.parameters())}
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.loss(x)
    return sum(size for place, (size, _) in kept.items() if place not in given)


@pytest.mark.parametrize("name", USES)
def test_activations_are_what_torch_keeps(name):
    model = Kept(USES[name])
    program = captured(model, lambda n: (torch.randn(n, 4),), (), loss="loss")
    assert activation_bytes(program, 64) == saved_bytes(model, torch.randn(64, 4))


def test_cross_entropy_keeps_logarithms():
    class Classes(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 5)

        def loss(self, x):
            return F.cross_entropy(self.fc(x), x.argmax(1))

    program = captured(Classes(), lambda n: (torch.randn(n, 4),), (), loss="loss")
    assert activation_bytes(program, 10) == 4 * 5 * 10


def test_attention_with_dropout_keeps_scores():
    class Attention(nn.Module):
        def __init__(self, dropout):
            super().__init__()
            self.fc, self.dropout = nn.Linear(4, 4), dropout

        def loss(self, x):
            h = self.fc(x)
            options = {"dropout_p": 0.1} if self.dropout else {}
            return F.scaled_dot_product_attention(h, h + 1, h + 2, **options).mean()

    found = [
        activation_bytes(captured(Attention(dropout), lambda n: (torch.randn(n, 3, 4),), (), loss="loss"), 10)
        for dropout in (False, True)
    ]
    item, scores = 4 * 3 * 4, 4 * 3 * 3
    assert found == [10 * 3 * item, 10 * (3 * item + 2 * item + 3 * scores)]


def test_a_program_without_a_loss_keeps_nothing():
    program = captured(Kept(USES["silu"]), lambda n: (torch.randn(n, 4),), ("loss",))
    assert activation_bytes(program, 64) == 0


SLOTS = (Slot("a", (4, 4), 0, gain=0), Slot("b", (3,), 16), Slot("c", (2,), 32, conditioned=False))
LAYOUT = ParameterLayout(SLOTS, 32, 48, 64)


def option(head, rank=3, parameters=100, conditioned=32, **others):
    return Candidate(head, rank, parameters, conditioned, **others)


class Small(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.a, self.norm = nn.Parameter(torch.rand(4, 4)), nn.BatchNorm1d(4) if norm else nn.Identity()

    def loss(self, x):
        return self.norm(x @ self.a).sum(1).mean()


def small(norm=False):
    return captured(Small(norm), lambda n: (torch.randn(n, 4),), (), loss="loss")


def test_moved_bytes():
    """60 for each parameter of the hypernetwork, the encoder's 128 a rank included, and 40 for each emitted element."""
    assert moved_bytes(small(), LAYOUT, option("low-rank")) == 60 * (100 + 3 * 128) + 40 * 4 * 64
    assert moved_bytes(small(), LAYOUT, option("dense")) == 60 * 100 + 40 * 4 * 64
    assert moved_bytes(small(), LAYOUT, option("biases", together=True)) == 60 * (100 + 3 * 128) + 40 * 8 * 32
    gained = 8 * (256 * 4 * 4)  # 8 passes over what `a` makes of 256 items
    assert moved_bytes(small(), LAYOUT, option("gains", together=True)) == 60 * 484 + 40 * 8 * 32 + gained
    assert moved_bytes(small(), LAYOUT, option("gains")) == 60 * 484 + 40 * 4 * 64


def test_small_calls():
    assert small_calls(LAYOUT, option("low-rank")) == 90 + 12 * 3
    assert small_calls(LAYOUT, option("biases", together=True)) == 200 + 9 * 1
    assert small_calls(LAYOUT, option("gains", together=True)) == 200 + 9 * 1 + 4 * 1


def test_the_peak_is_at_the_end_of_the_forward_pass_or_in_the_backward_pass():
    """Of a parameter 16 + 4 bytes, 4 less before there are gradients; emitted elements twice with gradients."""
    program, kept = small(), activation_bytes(small(), 64)
    assert kept == 0
    emitted, fixed = 4 * 64 * 4, 4 * (32 + 64 - 48)
    assert peak_bytes(program, LAYOUT, option("dense")) == fixed + 20 * 100 + 2 * emitted
    assert peak_bytes(program, LAYOUT, option("base")) == 4 * 16 + 20 * 100 + 2 * emitted
    assert peak_bytes(program, LAYOUT, option("low-rank")) == fixed + 20 * 484 + 2 * emitted
    apart = 4 * (2 * 32 + 16)
    alone = option("chunked-alone", chunk=16, parameters=0, rank=0)
    hidden = 4 * 64 * 2 * 4
    assert peak_bytes(program, LAYOUT, alone) == apart + emitted + max(emitted, hidden)
    assert peak_bytes(program, LAYOUT, option("chunked", 0, 0, 10, chunk=16)) == 4 * (10 + 16) + emitted + emitted


def test_the_peak_holds_activations_of_all_datasets():
    wide = captured(Kept(USES["silu"]), lambda n: (torch.randn(n, 4),), (), loss="loss")
    kept = activation_bytes(wide, 64)
    fixed, emitted = 4 * (32 + 16), 4 * 64 * 4
    assert peak_bytes(wide, LAYOUT, option("dense")) == fixed + 16 * 100 + emitted + 4 * kept
    gains = option("gains", together=True)
    forward = 16 * 484 + 4 * 8 * 32 + 4 * 0
    backward = 20 * 484 + 2 * 4 * 8 * 32
    assert peak_bytes(small(), LAYOUT, gains) == fixed + max(forward + 4 * 64 * 4 * 4, backward)


def test_a_shared_pass_keeps_normalised_results_and_holds_two_more_for_a_while():
    program = small(norm=True)
    found = [peak_bytes(program, LAYOUT, option("biases", parameters=0, rank=0, together=t)) for t in (True, False)]
    kept, normed = activation_bytes(program, 64), (1 + 2) * 64 * 4 * 4
    fixed = 4 * (32 + 16)
    assert found[0] == fixed + 4 * 8 * 32 + 4 * (kept + normed)
    assert found[1] == fixed + max(4 * 4 * 64 + 4 * kept, 2 * 4 * 4 * 64)


def test_a_layout_that_the_model_has():
    """The parameters of a real layout, by hand: 6 x 4, 6, 4 x 6, 4, 6, 6 and 6 elements on boundaries of 16."""
    program = captured(Kept(USES["relu"]), lambda n: (torch.randn(n, 4),), (), loss="loss")
    layout = lay_out(program)
    read = [math.prod(slot.shape) for slot in layout.slots if slot.trained]
    assert sorted(read) == [4, 6, 24, 24] and layout.trained == 96
