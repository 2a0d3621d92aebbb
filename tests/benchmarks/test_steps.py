"""Timing by pairs, with a clock that the steps move."""

from __future__ import annotations

import pytest

from benchmarks.steps import LEAST_ROUNDS, MOST_ROUNDS, Ratio, Times, ratio, time_pairs


class Clock:
    """Time that passes only where a step says so."""

    def __init__(self):
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def step(self, name: str, *seconds: float):
        lasts = iter(seconds[:-1])

        def run() -> None:
            self.now += next(lasts, seconds[-1])
            self.order.append(name)

        return run


def test_ratio_is_the_median_of_pairs_not_the_ratio_of_medians():
    times = Times(plain=(1.0, 10.0, 2.0), own=(2.0, 40.0, 6.0))
    assert ratio(times) == Ratio(3.0, 2.5, 3.5)


def test_every_turn_follows_one_of_the_plain_model():
    clock = Clock()
    found = time_pairs(
        clock.step("plain", 1.0), {"slow": clock.step("slow", 3.0), "fast": clock.step("fast", 2.0)}, 0.0, clock
    )
    timed = clock.order[3:]  # after one run of each that is not timed
    assert timed[::2] == ["plain"] * (2 * LEAST_ROUNDS)
    assert timed[1::2] == ["slow", "fast", "fast", "slow", "slow", "fast"]
    assert found == {
        "slow": Times((1.0,) * LEAST_ROUNDS, (3.0,) * LEAST_ROUNDS),
        "fast": Times((1.0,) * LEAST_ROUNDS, (2.0,) * LEAST_ROUNDS),
    }


def test_a_machine_that_slows_down_leaves_the_ratio():
    clock = Clock()
    slowing = [float(k) for k in (1, 1, 2, 3, 4, 5, 6)]
    plain, own = clock.step("plain", *slowing), clock.step("own", *(2 * k for k in slowing))
    assert ratio(time_pairs(plain, {"own": own}, 50.0, clock)["own"]) == Ratio(2.0, 2.0, 2.0)


def test_a_contender_leaves_when_its_seconds_are_spent():
    clock = Clock()
    steps = {"slow": clock.step("slow", 9.0), "fast": clock.step("fast", 1.0)}
    found = time_pairs(clock.step("plain", 1.0), steps, 40.0, clock)
    assert (len(found["slow"].own), len(found["fast"].own)) == (4, 20)


def test_rounds_are_bounded():
    clock = Clock()
    found = time_pairs(clock.step("plain", 1.0), {"own": clock.step("own", 1.0)}, 1e9, clock)
    assert len(found["own"].own) == MOST_ROUNDS


def test_short_steps_are_averaged_over_a_turn_without_its_first():
    clock = Clock()
    plain, own = clock.step("plain", 1.0), clock.step("own", 0.0, 0.02, 0.01)
    assert time_pairs(plain, {"own": own}, 0.0, clock)["own"].own[0] == pytest.approx(0.01)
