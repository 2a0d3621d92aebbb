"""What a step holds at its peak."""

from __future__ import annotations

import torch

from benchmarks.memory import available_bytes, held_bytes, peak_bytes

COUNT = 10_000


def test_peak_counts_what_is_alive_together():
    weight = torch.zeros(COUNT, requires_grad=True)
    weight.grad = torch.ones(COUNT)

    def step() -> None:
        first = torch.ones(COUNT)
        del first
        torch.ones(2 * COUNT)

    assert peak_bytes(step, [weight]) == 4 * (COUNT + 2 * COUNT)
    assert weight.grad is None


def test_gradients_are_part_of_the_peak():
    weight = torch.zeros(COUNT, requires_grad=True)
    peak = peak_bytes(lambda: (weight * 2.0).sum().backward(), [weight])
    assert 4 * 2 * COUNT <= peak < 4 * 4 * COUNT


def test_shared_storage_counts_once():
    flat = torch.zeros(COUNT)
    assert held_bytes([flat, flat[:10], torch.zeros(5)]) == 4 * (COUNT + 5)


def test_available_memory_is_a_number_of_bytes():
    assert available_bytes() > 10**8
