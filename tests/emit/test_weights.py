from __future__ import annotations

import ast

import pytest
import torch
from torch import nn

from hypergen_compiler.emit.layout_rows import layout_rows
from hypergen_compiler.emit.stored import needs_file
from hypergen_compiler.layout import ParameterLayout, lay_out
from hypergen_compiler.program import Parameter, Program

from ..programs import captured, emitted_weights


def laid_out(*shapes: tuple[str, tuple[int, ...]]) -> ParameterLayout:
    parameters = tuple(Parameter(name, torch.zeros(shape)) for name, shape in shapes)
    return lay_out(Program("package", "Model", "", (), parameters, ()))


def table(rows: list[str]) -> list[tuple[str, tuple[int, ...], int]]:
    return list(eval("(" + "\n".join(rows) + ")"))


def blocks(count: int, first: int = 0, prefix: str = "blocks", width: int = 3):
    return [
        (f"{prefix}.{number}.{name}", shape)
        for number in range(first, first + count)
        for name, shape in (("conv.weight", (width, 1)), ("conv.bias", (width,)))
    ]


LAYOUTS = {
    "one": [("weight", (2,))],
    "scalar": [("scale", ())],
    "blocks": [("stem", (4,)), *blocks(3), ("head", (2, 2))],
    "starting later": blocks(3, first=2),
    "two lists": [*blocks(2), *blocks(3, prefix="decoder.layers")],
    "unlike": [*blocks(2), *blocks(1, first=2, width=40)],
    "nested": [(f"a.{i}.b.{j}.w{k}", (2,)) for i in range(2) for j in range(2) for k in range(2)],
    "many digits": blocks(12),
    "hostile": [(f'bl"ocks{{x}}.{i}.{name}', (1,)) for i in range(3) for name in ("we{ight", "b'ias")],
    "gap": [*blocks(2), *blocks(2, first=5)],
}


@pytest.mark.parametrize("shapes", LAYOUTS.values(), ids=LAYOUTS)
def test_the_printed_table_is_the_layout(shapes):
    layout = laid_out(*shapes)
    assert table(layout_rows(layout)) == [(slot.name, slot.shape, slot.offset) for slot in layout.slots]


def test_equal_blocks_are_a_comprehension():
    assert layout_rows(laid_out(("stem", (4,)), *blocks(3), ("head", (2, 2)))) == [
        '    ("stem", (4,), 0),',
        "    *(",
        '        (f"blocks.{i}.{name}", shape, 16 + 32 * i + offset)',
        "        for i in range(3)",
        "        for name, shape, offset in (",
        '            ("conv.weight", (3, 1), 0),',
        '            ("conv.bias", (3,), 16),',
        "        )",
        "    ),",
        '    ("head", (2, 2), 112),',
    ]


def test_unlike_blocks_are_rows():
    assert len(layout_rows(laid_out(*blocks(1), *blocks(1, first=1, width=40)))) == 4


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.frozen = nn.Parameter(torch.rand(3), requires_grad=False)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("mask", torch.tensor([True, False, True, True]), persistent=False)
        self.register_buffer("table", torch.rand(20))

    def forward(self, tokens):
        h = self.norm(self.embedding(tokens) * self.mask)
        return self.head(h).sum() * self.frozen.sum() * self.table.sum()


@pytest.fixture(scope="module")
def text() -> str:
    return emitted_weights(captured(Model(), lambda n: torch.arange(n) % 5))


def constants(text: str) -> dict[str, object]:
    """Top-level assignments of a module that are plain literals."""
    found = {}
    for statement in ast.parse(text).body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [None])[0]
        if isinstance(target, ast.Name):
            try:
                found[target.id] = ast.literal_eval(statement.value)
            except ValueError:
                continue
    return found


def test_tied_frozen_and_emitted_parameters(text):
    found = constants(text)
    assert [row[0] for row in found["LAYOUT"]] == ["embedding.weight", "norm.weight", "norm.bias", "frozen"]
    assert found["TIED"] == {"head.weight": "embedding.weight"}
    assert (found["EMITTED"], found["SIZE"]) == (64, 80)


def test_what_no_parameter_shares_is_not_told_of():
    assert "TIED" not in emitted_weights(captured(nn.Linear(4, 4), torch.rand(3, 4)))


def test_buffers_are_small_literals_or_in_the_file(text):
    assert 'self.register_buffer("norm_running_var", torch.ones((4,)))' in text
    assert 'self.register_buffer("mask", torch.tensor([True, False, True, True]))' in text
    assert 'self.register_buffer("table", stored["table"])' in text
    assert constants(text)["BUFFERS"]["norm.running_mean"] == "norm_running_mean"


def test_a_buffer_that_is_not_saved_may_be_missing(text):
    assert constants(text)["TRANSIENT"] == ("mask",)


@pytest.mark.parametrize(
    ("value", "in_file"),
    [
        (torch.zeros(1000), False),
        (torch.rand(8), False),
        (torch.rand(9), True),
        (torch.zeros(2, dtype=torch.complex64), True),
        (torch.zeros(2, dtype=torch.float16), True),
        (torch.arange(8), False),
        (torch.zeros(0), False),
    ],
)
def test_what_is_stored_beside_the_code(value, in_file):
    assert needs_file(value) is in_file
