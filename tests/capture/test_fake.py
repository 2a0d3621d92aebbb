from __future__ import annotations

import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.capture import fake
from hypergen_compiler.capture.fake import fake_copy, faking, needs_faking
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import plan

from ..programs import captured, emitted_model

GIGABYTE = 1 << 30


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (
            self.attention(self.norm1(x)).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, length, width)
        x = x + F.dropout(self.projection(y), 0.1, self.training)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, width: int = 2048, depth: int = 20, vocabulary: int = 8000):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def loss(self, tokens):
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def tokens(n):
    return torch.randint(0, 30, (n, 12), generator=torch.Generator().manual_seed(n))


def peak_memory() -> int:
    """Bytes; kilobytes are what Linux counts in."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_a_model_of_a_billion_parameters_is_planned_in_seconds_and_without_memory():
    with torch.device("meta"):
        model = Transformer()
    started, before = time.monotonic(), peak_memory()
    program = captured(model, tokens, (), loss="loss")
    layout = lay_out(program)
    chosen = plan(program, layout, None)
    assert layout.weights > 10**9
    assert chosen is not None
    assert not program.recorded_values
    assert peak_memory() - before < GIGABYTE
    assert time.monotonic() - started < 40


def test_a_model_without_values_gives_the_text_of_one_with_values():
    torch.manual_seed(0)
    real = Transformer(8, 2, 30)
    with torch.device("meta"):
        empty = Transformer(8, 2, 30)
    recorded, faked = captured(real, tokens, (), loss="loss"), captured(empty, tokens, (), loss="loss")
    assert (recorded.recorded_values, faked.recorded_values) == (True, False)
    assert emitted_model(recorded) == emitted_model(faked)
    assert all(program.entries[0].draws_random_numbers for program in (recorded, faked))


def test_models_on_meta_and_those_that_leave_no_memory_are_recorded_without_values(monkeypatch):
    model = nn.Linear(4, 4)
    assert not needs_faking(model)
    assert needs_faking(nn.Linear(4, 4, device="meta"))
    monkeypatch.setattr(fake, "physical_memory", lambda: 4 * 20 / 0.25 - 1)
    assert needs_faking(model)
    monkeypatch.setattr(fake, "physical_memory", lambda: float("inf"))
    assert not needs_faking(model)


def test_a_fake_copy_keeps_structure_and_ties_and_leaves_the_model_alone():
    model = nn.ModuleDict({"one": nn.Linear(4, 4), "norm": nn.BatchNorm1d(4)})
    model["one"].weight.requires_grad_(False)
    model["two"] = nn.Linear(4, 4, bias=False)
    model["two"].weight = model["one"].weight
    before = model["one"].weight.clone()
    with faking(model) as copy:
        assert copy["two"].weight is copy["one"].weight
        assert not copy["one"].weight.requires_grad
        assert [name for name, _ in copy.named_buffers()] == [name for name, _ in model.named_buffers()]
        copy["norm"](copy["one"](torch.ones(3, 4)))
    assert torch.equal(model["one"].weight, before)
    assert model["norm"].num_batches_tracked == 0


def test_a_fake_copy_reads_no_value():
    with torch._subclasses.FakeTensorMode() as mode:
        copy = fake_copy(nn.Linear(3, 2, device="meta"), mode)
    assert copy.weight.shape == (2, 3)
    assert copy.weight.device.type == "cpu"
