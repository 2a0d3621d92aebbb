from __future__ import annotations

import pytest
import torch
from torch import nn

import hypergen_compiler as hypergen
from hypergen_compiler.capture.steps import current_iteration, shortened, steps

from ..programs import calls, captured, definition, emitted_model


def test_steps_are_a_range_outside_of_a_recording():
    assert list(steps(7)) == list(range(7))
    assert current_iteration() is None


def test_a_recording_runs_three_steps_and_knows_which():
    seen = []
    with shortened():
        for i in steps(100):
            seen.append((i, current_iteration().number, current_iteration().repetition.count))
        assert current_iteration() is None
    assert seen == [(0, 0, 100), (1, 1, 100), (2, 2, 100)]


def test_few_steps_are_all_recorded():
    with shortened():
        assert [(i, current_iteration()) for i in steps(3)] == [(0, None), (1, None), (2, None)]


def test_loops_inside_loops_know_the_inner_one():
    with shortened():
        found = [current_iteration().repetition.count for _ in steps(50) for _ in steps(20)]
    assert found == [20] * 9


def test_a_recording_that_fails_leaves_no_iteration_behind():
    with pytest.raises(ZeroDivisionError), shortened():
        for _ in steps(9):
            raise ZeroDivisionError
    assert current_iteration() is None
    assert list(steps(5)) == [0, 1, 2, 3, 4]


class Sampler(nn.Module):
    """Euler steps along a learned direction."""

    def __init__(self, count: int = 1000):
        super().__init__()
        self.count = count
        self.linear = nn.Linear(4, 4)
        self.register_buffer("times", torch.linspace(0, 1, count))

    def sample(self, n):
        x = torch.randn(n, 4)
        for i in hypergen.steps(self.count):
            x = x + torch.tanh(self.linear(x)) * self.times[i]
        return x


def test_a_long_sampler_is_recorded_by_three_steps_and_printed_as_a_loop():
    program = captured(Sampler(), torch.rand(2, 4), entries={"sample": ("sample", lambda n: (n,))})
    assert calls(program).count("Tensor.add") == 3
    assert definition(emitted_model(program), "sample").splitlines()[1:] == [
        "    x = torch.randn(n, 4, device=w.linear_weight.device)",
        "    for i in range(1000):",
        "        x = x + torch.tanh(F.linear(x, w.linear_weight, w.linear_bias)) * state.times[i]",
        "    return x",
    ]


class Unlike(Sampler):
    def sample(self, n):
        x = torch.randn(n, 4)
        for i in hypergen.steps(self.count):
            x = self.linear(x) if i % 2 else torch.tanh(x)
        return x


class Quadratic(Sampler):
    def sample(self, n):
        x = torch.randn(n, 4)
        for i in hypergen.steps(self.count):
            x = self.linear(x) * (i * i + 1)
        return x


@pytest.mark.parametrize("model", [Unlike(), Quadratic()])
def test_steps_that_are_not_alike_are_refused(model):
    with pytest.raises(hypergen.HyperGenError) as caught:
        emitted_model(captured(model, torch.rand(2, 4), entries={"sample": ("sample", lambda n: (n,))}))
    assert caught.value.code == "HG204"
    assert caught.value.where.startswith("test_steps.py:")
    assert "hypergen.steps" in caught.value.what


def test_few_steps_may_be_unlike():
    program = captured(Unlike(3), torch.rand(2, 4), entries={"sample": ("sample", lambda n: (n,))})
    assert calls(program) == ["torch.randn", "torch.tanh", "torch.nn.functional.linear", "torch.tanh"]
