"""The scorecard: what commands print becomes numbers, and a line that is measured anew leaves the others alone."""

from __future__ import annotations

import importlib
import json
import sys
import types

import pytest

from benchmarks import scorecard
from benchmarks.forks import forked
from benchmarks.mutants import count, mutant
from benchmarks.mutation import met
from benchmarks.reached import Ran, quickest
from benchmarks.scorecard import Line, fuzzed, missed, noticed, passed
from benchmarks.swapped import Mutated, forget_results, swap_function
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
    assert fuzzed("{'accepted': 30}\n", "models") == "30 models: 100.0% accepted, 0 refused, 0 wrong or crashed"


def test_mistakes_are_counted():
    output = "noticed a.py:3: x\nMISSED  b.py:12: < -> <=\nplan: 1 of 2 noticed\nlayout: 2 of 2 noticed\n"
    assert noticed(output) == "3 of 4 noticed (75%): plan 1 of 2; layout 2 of 2" and noticed("") == ""
    assert missed(output) == ["b.py:12 `< -> <=`: not looked into further"]
    assert missed("MISSED  x/emit/numbers.py:37: 0 -> 1 in x\n")[0].endswith(": no whole number lies between")


def test_a_mutant_meets_the_tests_that_run_its_lines_the_quickest_first():
    tests = {
        "slow": Ran(5.0, {("a.py", 1), ("a.py", 2)}),
        "quick": Ran(1.0, {("a.py", 2)}),
        "other": Ran(0.1, {("b.py", 2)}),
        "slower": Ran(6.0, {("a.py", 2)}),
    }
    assert quickest(tests, {("a.py", 2)}, 6.5) == ["quick", "slow"]
    assert quickest(tests, {("a.py", 1)}, 0.5) == ["slow"] and quickest(tests, {("a.py", 7)}, 9) == []


def test_every_mutant_meets_all_texts_that_are_kept():
    tests = {
        "tests/printed/test_printed.py::words": Ran(50.0, {("a.py", 2)}),
        "long": Ran(19.0, {("a.py", 2)}),
        "longer": Ran(25.0, {("a.py", 2)}),
        "tests/printed/test_printed.py::others": Ran(1.0, {("b.py", 2)}),
    }
    assert met(tests, {("a.py", 2)}) == ["long", "tests/printed/test_printed.py::words"]


def test_forks_answer_in_order():
    jobs = [lambda number=number: 1 / number if number < 1 else number for number in (3, 0, 2, 0, 5, 1)]
    assert list(forked(jobs)) == [3, 1, 2, 1, 5, 1]


def test_a_function_becomes_its_mutant(monkeypatch):
    module = types.ModuleType("mutated")
    module.__file__ = "mutated.py"
    text = """
import functools
class A:
    @property
    def one(self):
        return 1
    @functools.cached_property
    def two(self):
        return 1
    @classmethod
    def three(cls):
        return 1
@functools.cache
def four():
    def inner():
        return 1
    return inner()
"""
    exec(compile(text, "mutated.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "mutated", module)
    assert module.four() == 1
    changed = text.replace("return 1", "return 2")
    for path in (("A", "one"), ("A", "two"), ("A", "three"), ("four",)):
        swap_function(module, changed, path)
    forget_results("mutated")
    made = module.A()
    assert (made.one, made.two, made.three(), module.four()) == (2, 2, 2, 2)


def test_a_module_is_imported_as_its_mutant(tmp_path, monkeypatch):
    (tmp_path / "mutated_module.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [Mutated("mutated_module", tmp_path / "m.py", "X = 2\n"), *sys.meta_path])
    assert importlib.import_module("mutated_module").X == 2
    monkeypatch.delitem(sys.modules, "mutated_module")


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
        "3 -> 4 in if x < 3 and x:",
        "return x + 1 -> return None",
        "x + 1 -> x - 1",
        "1 -> 2 in return x + 1",
        "return 0 -> return None",
        "0 -> 1 in return 0",
    ]
    assert len({each.text for each in found}) == len(found)
    assert [list(each.statement) for each in found[:5]] == [[5]] * 4 + [[6]]
    assert {each.function for each in found} == {("f",)}
    assert mutant("class A:\n    x = 1\n    def f(self, y=1):\n        return 2\n", 0).function == ()
    assert [mutant("class A:\n    def f(self, y=1):\n        return 2\n", n).function for n in range(3)] == [
        (),
        ("A", "f"),
        ("A", "f"),
    ]
    assert count("def f():\n    return None\n") == 0
