"""The page and the picture, from rows that were never measured."""

from __future__ import annotations

import dataclasses

from benchmarks.bandwidth import Emission, copy_step, emission_bytes
from benchmarks.cells import Cell
from benchmarks.measure import Row
from benchmarks.plot import plot
from benchmarks.report import Machine, page
from benchmarks.steps import Ratio
from benchmarks.targets import TARGETS

CELL = Cell(TARGETS["conv_vae"], 8, 8, penalty=True)
ROWS = [
    Row(CELL, "plain", Ratio(1.0, 1.0, 1.0), 0.05, 0, 1.0, 14_500_000, 1.0),
    Row(CELL, "low rank 8", Ratio(1.234, 1.1, 1.5), 0.0617, 9, 9.0, 58_000_000, 4.0),
    Row(CELL, "dense", skipped="this HyperGen has low-rank heads alone"),
    Row(CELL, "factors", skipped="this HyperGen has low-rank heads alone"),
]
EMISSIONS = [Emission("default", 10_010_000, 170_170_000, 8.0, 6.0, 10.0, 0.09, 0.3)]
HERE = Machine("AMD EPYC", 2, 24 * 2**30, 0.1)


def test_page_holds_every_row_and_groups_what_was_skipped():
    text = page(ROWS, EMISSIONS, HERE)
    assert "## conv VAE, 8 x 8 with penalty\n" in text
    assert "| low rank 8 | 9.00 | 61.7 ms | 1.23 | 1.10 to 1.50 | 58.0 MB | 4.00 |" in text
    assert "| plain | 1.00 | 50.0 ms | 1.00 |  | 14.5 MB | 1.00 |" in text
    assert "- not timed: dense, factors (this HyperGen has low-rank heads alone)" in text
    assert "| 10.0 M | default | 170.2 M | 90.00 ms | 8.0 | 0.80 | 300.00 ms | 6.0 | 0.60 |" in text
    assert "No GPU could be had" in text


def test_page_names_the_machine_and_says_when_it_was_shared():
    assert "AMD EPYC, 2 cores, of which one was used, 24 GiB. Load when the run began: 0.1 (nothing else ran)" in page(
        ROWS, [], HERE
    )
    busy = page(ROWS, [], dataclasses.replace(HERE, load=3.0))
    assert "3.0 (other work ran on it" in busy
    assert "Emission alone" not in busy


def test_tables_keep_their_columns():
    tables = [line for line in page(ROWS, EMISSIONS, HERE).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {8, 10}


def test_plot_is_written_and_is_the_same_every_time(tmp_path):
    other = [dataclasses.replace(row, cell=Cell(TARGETS["gpt"], 1, 16)) for row in ROWS]
    for name in ("one.png", "two.png"):
        plot([*ROWS, *other], tmp_path / name)
    content = (tmp_path / "one.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert content == (tmp_path / "two.png").read_bytes()


def test_emission_moves_parameters_once_forward_and_twice_backward():
    forward, both = emission_bytes(parameters=170, constants=10, emitted=10)
    assert forward == 4 * (170 + 10 + 10)
    assert both - forward == 4 * (10 + 10 + 2 * 170)


def test_copy_moves_what_it_says():
    copy_step(10)()
