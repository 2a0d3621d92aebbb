from __future__ import annotations

import re
from pathlib import Path

import pytest

from hypergen_compiler import documentation
from hypergen_compiler.errors import CODES
from hypergen_compiler.ops import registered

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_error_table_is_fresh():
    assert (ROOT / "docs" / "errors.md").read_text() == documentation.error_table(), "run `make docs`"


def test_the_operator_table_is_fresh():
    assert (ROOT / "docs" / "operators.md").read_text() == documentation.operator_table(), "run `make docs`"


def test_every_printer_is_in_the_operator_table_once():
    table = documentation.operator_table()
    assert all(table.count(f"| `{name}` |") == 1 for name in registered())


def test_every_code_is_in_the_error_table_once():
    table = documentation.error_table()
    assert all(table.count(f"| {code} |") == 1 for code in CODES)


def test_every_code_raised_is_in_the_table():
    sources = (ROOT / "hypergen_compiler").rglob("*.py")
    raised = {code for source in sources for code in re.findall(r'"(HG\d{3})"', source.read_text())}
    assert raised <= set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z]+)", page.read_text())) <= set(targets)


def test_the_developers_page_names_every_folder_and_stage():
    page = (ROOT / "docs" / "developing.md").read_text()
    sources = ROOT / "hypergen_compiler"
    folders = {path.parent.name for path in sources.glob("*/__init__.py")}
    assert {name for name in folders if f"`{name}/`" not in page} == set()
    named = set(re.findall(r"`([a-z]+/(?:[a-z_]+\.py)?|[a-z]+\.py)`", page))
    gone = {name for name in named if not any((root / name).exists() for root in (ROOT, sources))}
    assert gone <= {"heads/", "penalties/", "layers/"}
