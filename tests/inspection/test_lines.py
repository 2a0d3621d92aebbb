from __future__ import annotations

from hypergen_compiler.inspection.functions import functions
from hypergen_compiler.inspection.lines import lines_behind

TEXT = """
def loss(w, x):
    h = F.linear(
        x, w.weight
    )
    for block in w.blocks:
        h = block(h)
    return h.mean()
"""
RECORDED = {"loss": [("net.py:4",), (), ("net.py:6", "net.py:2"), ("net.py:7",)]}


def test_each_line_of_a_statement_has_the_users_lines():
    known = functions(TEXT)
    expected = dict.fromkeys((3, 4, 5), ("net.py:4",)) | {7: ("net.py:6", "net.py:2"), 8: ("net.py:7",)}
    assert lines_behind(known, known, RECORDED) == expected


def test_an_edited_statement_has_none_and_the_others_keep_theirs():
    edited = functions(
        TEXT.replace("    return h.mean()", "    h = h * 2\n    return h.mean()").replace("(h)", "(h, 1)")
    )
    found = lines_behind(edited, functions(TEXT), RECORDED)
    assert found == dict.fromkeys((3, 4, 5), ("net.py:4",)) | {9: ("net.py:7",)}


def test_a_function_that_is_no_longer_emitted_has_none():
    assert lines_behind(functions(TEXT.replace("def loss", "def own")), functions(TEXT), RECORDED) == {}
