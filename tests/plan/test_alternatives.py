"""What `hypergen plan` shows of the heads that were not taken, and what a machine is measured by."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from hypergen_compiler.capture import entry_points
from hypergen_compiler.layout import ParameterLayout, Slot
from hypergen_compiler.plan import plan
from hypergen_compiler.plan.alternatives import reason, weigh
from hypergen_compiler.plan.machine import Machine, measure, median_seconds
from hypergen_compiler.plan.together import Together

from ..programs import captured

LAYOUT = ParameterLayout((Slot("a", (4, 4), 0, gain=0), Slot("b", (4,), 16)), 32, 32, 32)
MACHINE = Machine(bandwidth=1e6, plain=2.0, together=1.0, passes=3.0, call=1e-3)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.rand(4, 4)), nn.Parameter(torch.rand(4))

    def loss(self, x):
        return (x @ self.a + self.b).square().sum(1).mean()


def program(loss="loss"):
    return captured(Small(), lambda n: (torch.randn(n, 4),), () if loss else ("loss",), loss=loss)


def table(machine=MACHINE, budget=None, head=None, together=None):
    chosen = plan(program(), LAYOUT, budget, head)
    return {(row.head, row.rank): row for row in weigh(program(), LAYOUT, chosen, machine, together)}


def test_every_head_is_shown_in_a_few_sizes_and_the_chosen_one():
    found = table()
    low_rank = [("low-rank", rank) for rank in (32, 16, 8, 4, 1)]
    small = [(head, 16) for head in ("factors", "biases", "gains", "chunked", "chunked-alone")]
    assert list(found) == [("dense", 128), *low_rank, *small, ("base", 128)]
    assert [key for key, row in found.items() if row.chosen] == [("low-rank", 16)]
    assert ("low-rank", 7) in table(budget="8x") and table(budget="8x")["low-rank", 7].chosen


def test_seconds_are_the_models_own_and_what_is_moved_and_called():
    row = table()["low-rank", 16]
    parameters = 32 + 16 * 32 + 128 * 16
    moved = 60 * parameters + 40 * 4 * 32
    assert (row.parameters, row.per_weight) == (parameters, parameters / 32)
    assert row.seconds == pytest.approx(3.0 + moved / 1e6 + (90 + 12 * 2) * 1e-3)
    assert row.over_plain == pytest.approx(row.seconds / 2.0)
    assert row.fits is None and row.memory > 20 * parameters


def test_heads_that_share_a_pass_do_so_where_the_model_can():
    shared = Together({}, frozenset({"b"}), {}, None)
    alone, beside = table()["biases", 16], table(together=shared)["biases", 16]
    assert beside.seconds - 1.0 < alone.seconds - 3.0 + 0.2 and beside.memory <= alone.memory
    for without in (replace(shared, obstacle="there is one"), replace(shared, tensors=frozenset())):
        assert table(together=without)["biases", 16] == alone
    assert table(together=shared)["low-rank", 16] == table()["low-rank", 16]


def test_without_the_models_time_there_is_no_time():
    row = table(replace(MACHINE, passes=None))["dense", 128]
    assert row.seconds is None and row.over_plain is None
    assert table(replace(MACHINE, plain=None))["dense", 128].over_plain is None


def test_what_fits_is_within_the_budget_to_the_byte():
    bytes_of_four = 16 * (32 + 4 * 32)
    rows = table(budget=bytes_of_four)
    assert [rows["low-rank", rank].fits for rank in (8, 4, 1)] == [False, True, True]
    assert table(budget=bytes_of_four + 16 * 32 - 1)["low-rank", 4].chosen


def words(**options):
    return reason(replace(plan(program(), LAYOUT), **options))


def test_the_reason():
    assert words() == "Without a budget the head is low-rank, of rank 16."
    assert words(together=True).startswith("Small tensors can differ")
    assert words(together=True, asked="gains") == words(asked="gains") == "The head gains was asked for."
    within = "The head gains was asked for, and this is the largest within 2x."
    assert words(asked="gains", budget="2x") == within
    assert words(head="base") == "All weights are kept, so nothing is left that could depend on the dataset."
    assert words(budget="9x") == "Rank 16 is the largest, up to 32, that fits into the budget of 9x."
    assert words(spared=("a",), budget="9x").startswith("a is larger than all other tensors together")
    assert words(spared=("a",), budget="9x").endswith("so rank 16 for the others fits into 9x.")
    chunked = "A low-rank head of rank 4 does not fit into the budget of 2x; a chunked one with a base does."
    assert words(head="chunked", budget="2x") == chunked
    assert "4 GiB, which is the most without a budget;" in words(head="chunked")
    assert words(head="chunked-alone", budget="1x") == "No head with a base fits into the budget of 1x."


class Watched(Small):
    """Keeps the sizes of the batches that its loss was run on, and whether it was in training."""

    seen: ClassVar[list[tuple[int, bool]]] = []

    def loss(self, x):
        self.seen.append((len(x), self.training))
        return super().loss(x)


@pytest.fixture
def watched():
    Watched.seen = []
    model = Watched().eval()
    (point,) = entry_points(model, lambda n: (torch.randn(n, 4),), sample=None)
    return model, point


def ticking(step):
    """A clock on which every run takes `step` seconds."""
    count = itertools.count()
    return lambda: next(count) * step


def test_a_machine_is_measured_by_a_copy_small_calls_and_the_models_step(watched):
    before = torch.get_rng_state()
    found = measure(*watched, ticking(0.5))
    copied = 2 * 16 * 2**20 * 4  # read and written
    assert found == Machine(copied / 0.5, plain=0.5, together=0.5, passes=4 * 0.5, call=0.5 / 200)
    assert Watched.seen == [(8, True)] * 2 + [(256, True)] * 12 + [(64, True)] * 6
    assert torch.equal(before, torch.get_rng_state()) and not watched[0].training


@pytest.mark.parametrize(("seconds", "runs"), [(1.0, 20), (1.5, 2)])
def test_a_slow_model_is_tried_on_a_few_items(watched, seconds, runs):
    found = measure(*watched, ticking(seconds))
    assert len(Watched.seen) == runs and (found.plain is None) == (runs == 2) and found.call == seconds / 200


def test_what_is_not_here_is_not_run(watched):
    model, point = watched
    assert measure(model, None, ticking(1)).plain is None
    model.register_buffer("elsewhere", torch.empty(2, device="meta"))
    assert measure(model, point, ticking(1)).plain is None and not Watched.seen


def test_the_median_of_a_few_runs_after_one_that_is_not_timed():
    times = iter([0, 1, 10, 15, 20, 22, 30, 39, 40, 44])
    runs = []
    assert median_seconds(lambda: runs.append(1), clock=lambda: next(times)) == 4
    assert len(runs) == 6
