"""Generated programs: whatever a seed writes is compiled into something that does the same, or refused with a code."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from benchmarks.fuzzing.programs import program
from benchmarks.fuzzing.running import outcome

PROGRAMS, PER_TEST = 200, 10
FIRST = 50_000  # not where `make fuzz` starts


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("first", range(FIRST, FIRST + PROGRAMS, PER_TEST))
def test_generated_programs(first):
    found = {seed: outcome(program(seed)) for seed in range(first, first + PER_TEST)}
    bad = {seed: kind for seed, kind in found.items() if kind.kind in ("wrong", "crashed")}
    assert not bad
    counts = Counter(kind.kind for kind in found.values())
    assert counts["invalid"] <= 3, "the generator writes too much that does not run by itself"
    assert counts["refused"] <= 2, [kind.detail for kind in found.values() if kind.kind == "refused"]


def test_some_programs_are_published_as_by_the_command_line():
    assert [outcome(program(seed), whole=True).kind for seed in (50_000, 50_001)] == ["accepted"] * 2


@pytest.mark.parametrize("seed", [400_109, 400_960, 401_159])
def test_names_of_classes_outputs_and_loops_do_not_keep_a_program_from_running(seed):
    assert outcome(program(seed)).kind == "accepted"


def test_equal_seeds_write_equal_programs():
    assert program(7) == program(7) != program(8)
