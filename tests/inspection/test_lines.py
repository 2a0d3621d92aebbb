from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hypergen_compiler.cli import app
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
SOURCE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def unpack(self, x):
        a = torch.tanh(x)
        b = torch.sigmoid(a) + a
        c = a * b
        d = self.linear(c)
        return d - c, d + c

    def forward(self, x):
        one, two = self.unpack(x)
        three, four = self.unpack(one + two)
        return three * four
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


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> tuple[Path, str]:
    """A package of one file, in which one of the model's functions has another name, and its page."""
    folder = tmp_path_factory.mktemp("single")
    (folder / "net.py").write_text(SOURCE)
    runner = CliRunner()
    target = ["--out", "one", "--loss", "none", "--sample", "none", "--entry", "forward", "--single-file"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (
            ["compile", "net.py:Net", "--example", "4", *target],
            ["inspect", "one", "--html", "page.html"],
        ):
            result = runner.invoke(app, command)
            assert result.exit_code == 0, result.output
    return folder / "one" / "one.py", (folder / "page.html").read_text()


def test_the_lines_of_a_single_file_lead_to_the_users(single):
    file, page = single
    lines = file.read_text().splitlines()
    assert "def model_unpack(" in file.read_text()
    for emitted, own in (("a = torch.tanh(x)", "a = torch.tanh(x)"), ("model_unpack(", "self.unpack(")):
        number = next(number for number, line in enumerate(lines, start=1) if emitted in line and "def " not in line)
        at = next(number for number, line in enumerate(SOURCE.splitlines(), start=1) if own in line)
        assert re.search(rf'data-from="[^"]*net\.py:{at}[^"]*"><span class="at">{number}</span>', page)
    assert 'id="model.py-forward"' in page


def test_only_the_models_part_of_a_single_file_is_its_model(single):
    file, _ = single
    assert set(functions(file.read_text())) == {"model_unpack", "forward"}
