"""The scorecard: what commands print becomes numbers, and a line that is measured anew leaves the others alone."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import scorecard
from benchmarks.mutants import count, mutant
from benchmarks.scorecard import Line, fuzzed, passed
from hypergen_compiler.errors import CODES


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("....\n12 passed in 3.1s\n", "12 of 12 tests pass"),
        ("2 failed, 10 passed, 1 error in 3.1s", "10 of 13 tests pass"),
        ("ERROR: file or directory not found", "0 of 0 tests pass"),
    ],
)
def test_tests_are_counted(output, said):
    assert passed(output) == said


def test_programs_are_counted():
    said = fuzzed("7 refused HG401\n{'accepted': 190, 'refused': 6, 'wrong': 3, 'crashed': 1, 'invalid': 5}\n")
    assert said == "200 programs: 95.0% accepted, 6 refused, 4 wrong or crashed"


def test_one_line_is_measured_anew(tmp_path, monkeypatch):
    lines = [
        Line(name, f"{name} holds", ("python", "-c", f"print('{n} passed')"), passed) for n, name in enumerate("ab")
    ]
    monkeypatch.setattr(scorecard, "LINES", lines)
    for arguments in ([], ["--only", "a"]):
        monkeypatch.setattr(sys, "argv", ["scorecard", "--out", str(tmp_path), *arguments])
        scorecard.main()
        kept = json.loads((tmp_path / "hardness.json").read_text())
        assert [kept[name]["number"] for name in "ab"] == ["0 of 0 tests pass", "1 of 1 tests pass"]
    text = (tmp_path / "hardness.md").read_text()
    assert "| b holds | 1 of 1 tests pass |" in text and "`python -c print('1 passed')`" in text
    assert {"HG507"} <= set(CODES) and "HG507" in text


def test_a_mutant_has_one_mistake():
    text = '''"""Words."""

def f(x: "text") -> int:
    """More."""
    if x < 3 and x:
        return x + 1
    return 0
'''
    found = [mutant(text, number) for number in range(count(text))]
    assert [each.what for each in found] == [
        "if x < 3 and x: return x + 1 -> if not (x < 3 and x): return x + 1",
        "x < 3 and x -> x < 3 or x",
        "x < 3 -> x <= 3",
        "3 -> 4",
        "return x + 1 -> return None",
        "x + 1 -> x - 1",
        "1 -> 2",
        "return 0 -> return None",
        "0 -> 1",
    ]
    assert len({each.text for each in found}) == len(found)
