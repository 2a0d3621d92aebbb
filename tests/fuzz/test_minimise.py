from __future__ import annotations

from benchmarks.fuzzing.minimise import minimised
from benchmarks.fuzzing.programs import program
from benchmarks.fuzzing.running import Outcome, outcome

TEXT = """
import torch

def unused():
    return 1

def wanted(x):
    y = x + 1
    if y > 0:
        z = torch.relu(y * 2)
    return z
"""


def test_what_does_not_matter_goes():
    small = minimised(TEXT, lambda text: "relu" in text)
    assert "unused" not in small and "relu" in small and "x + 1" not in small and "if " not in small


def test_a_program_stays_one_that_fails_in_the_same_way():
    text = program(3)
    assert outcome(text).kind == "accepted"
    small = minimised(text, lambda other: outcome(other).kind == "accepted", trials=30)
    assert outcome(small).kind == "accepted" and len(small) < len(text)


def test_causes_tell_failures_apart():
    one = Outcome("wrong", "state of forward, training mode: b differs in 1 of 4 elements")
    other = Outcome("wrong", "state of encode, evaluation mode: c differs in 2 of 4 elements")
    assert one.cause == other.cause != Outcome("wrong", "output of forward: differs").cause
    assert Outcome("crashed", "KeyError: 'x'").cause != Outcome("crashed", "ValueError: x").cause
