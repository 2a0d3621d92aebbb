from __future__ import annotations

import ast

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypergen_compiler.emit import text
from hypergen_compiler.emit.text import Code, prose, render


@given(st.text(st.characters(exclude_categories=["Cc"])))
def test_prose_is_one_line_that_ends_no_docstring(words):
    line = prose(words)
    assert isinstance(line, Code)
    assert "\n" not in line and line.isascii()
    tree = ast.parse(f'def f():\n    """{line}"""\n    # {line}\n')
    (function,) = tree.body
    (docstring,) = function.body
    assert docstring.value.value == line


@pytest.mark.parametrize("words", ["\0", "Model\0Name"])
def test_control_characters_are_no_prose(words):
    ast.parse(f'"""{prose(words)}"""')


def test_a_docstring_may_not_be_left():
    assert prose('""" + evil() + """') == "''' + evil() + '''"
    assert prose("a\\") == "a/"
    assert prose("a\nb\t c") == "a b c"


@pytest.fixture
def template(monkeypatch):
    """Renders a template's text with HyperGen's environment."""

    def render_text(source: str, **values):
        loader = jinja2.DictLoader({"page": source})
        monkeypatch.setattr(text.environment(), "loader", loader)
        text.environment().cache.clear()
        return render("page", **values)

    yield render_text
    text.environment().cache.clear()


def test_code_integers_and_none_enter_a_template(template):
    assert template("{{ a }} {{ b }} {{ c }}", a=Code("x + 1"), b=3, c=None) == "x + 1 3 None"


@pytest.mark.parametrize("value", ["text", "Code", b"x", 1.5, ["x"], object(), ("a",)])
def test_nothing_else_enters_a_template(template, value):
    with pytest.raises(TypeError, match=r"may not enter a template: use names, literals or prose$"):
        template("{{ value }}", value=value)


def test_what_is_derived_from_code_is_no_code(template):
    with pytest.raises(TypeError):
        template("{{ value }}", value=Code("x").replace("x", "y"))
    with pytest.raises(TypeError):
        template("{{ value ~ 'y' }}", value=Code("x"))


def test_elements_of_a_list_are_held_to_the_same(template):
    assert template("{% for v in values %}{{ v }}{% endfor %}", values=[Code("a"), Code("b")]) == "ab"
    with pytest.raises(TypeError):
        template("{% for v in values %}{{ v }}{% endfor %}", values=[Code("a"), "b"])


def test_template_syntax_in_a_value_stays_text(template):
    assert template("{{ value }}", value=Code("{{ 7 * 7 }}")) == "{{ 7 * 7 }}"


def test_a_missing_value_is_an_error(template):
    with pytest.raises((TypeError, jinja2.UndefinedError)):
        template("{{ absent }}")
    with pytest.raises(jinja2.UndefinedError):
        template("{% if absent %}a{% endif %}")


def test_every_template_has_a_file_with_a_final_newline():
    found = list(text.template_folder().glob("*.j2"))
    assert len(found) > 5
    assert all(path.read_text().endswith("\n") for path in found)
