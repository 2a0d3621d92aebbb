"""docs/recipes.md says what the recipes are, and its examples are understood."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
import shlex
from pathlib import Path

import pytest

from hypergen_compiler.recipes import RECIPES, make_recipe
from hypergen_compiler.request.source import parse_settings

PAGE = (Path(__file__).parent.parent.parent / "docs" / "recipes.md").read_text()
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SHARED = ("shape", "classes")


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


def test_every_recipe_has_a_section_with_both_examples():
    assert list(SECTIONS) == list(RECIPES)
    assert all("```python" in text and "```sh" in text for text in SECTIONS.values())


@pytest.mark.parametrize("name", RECIPES)
def test_the_tables_hold_every_setting_and_its_default(name):
    fields = {field.name: field.default for field in dataclasses.fields(RECIPES[name])}
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", SECTIONS[name], re.MULTILINE))
    assert rows == {key: str(default) for key, default in fields.items() if key not in SHARED}
    assert all(f"| `{key}` | `None` |" in PAGE for key in SHARED)


def test_the_python_examples_ask_for_what_there_is():
    calls = [node for node in ast.walk(ast.parse(blocks("python"))) if isinstance(node, ast.Call)]
    asked = [word.value for call in calls for word in call.keywords if word.arg == "recipe"]
    assert {make_recipe(ast.literal_eval(value)).name for value in asked} == set(RECIPES)


def test_the_commands_ask_for_what_there_is():
    found = set()
    for line in blocks("sh").splitlines():
        words = shlex.split(line)
        if "--recipe" in words:
            settings = [after for word, after in itertools.pairwise(words) if word == "--recipe-set"]
            found.add(make_recipe({"name": words[words.index("--recipe") + 1], **parse_settings(settings)}).name)
    assert found == set(RECIPES)
