from __future__ import annotations

from benchmarks.local_names import local_names, names_in
from benchmarks.readability import ReadRow
from benchmarks.readability_page import page


def written(x):
    hidden = [part for part in x.parts]
    return hidden


def test_names_are_those_that_the_functions_use():
    assert {"x", "hidden", "part", "parts"} <= names_in([written.__code__])


def test_local_names_are_counted_once_a_function():
    text = "def f(w, x):\n    hidden_2 = x\n    hidden_2 = hidden_2 + x\n\n\ndef g(x_1):\n    return x_1\n"
    found = local_names(text, frozenset({"x", "x_1"}))
    assert (found.total, found.recovered, found.numbered) == (3, 2, ("hidden_2",))


def test_the_page_sums_over_all_rows():
    names = local_names("def f(x, y_2):\n    return x\n", frozenset({"x"}))
    text = page([ReadRow("one", 10, 20, 7, names), ReadRow("two", 30, 20, 9, names)])
    assert "median | 1.00 |" in text and "largest | 1.50 |" in text and "in lines | 9 |" in text
    assert "recovered | 50% |" in text and "added | 50% |" in text
    assert "| two | 30 | 20 | 1.50 | 9 | 2 | 50% | 50% |" in text
