from __future__ import annotations

import pytest
import torch
from torch import nn

from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.fold import Loop, fold, plan_loops

from ..programs import captured, definition, emitted_model


class Layer(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x, scale=1.0):
        h = torch.tanh(self.linear(x))
        return x + h * scale


class Model(nn.Module):
    """A forward that is the given function of (self, x); `blocks` are equal layers."""

    def __init__(self, function, depth=4):
        super().__init__()
        self.function = function
        self.blocks = nn.ModuleList(Layer() for _ in range(depth))
        self.register_buffer("table", torch.arange(8.0))

    def forward(self, x):
        return self.function(self, x)


def program_of(function, depth=4):
    return captured(Model(function, depth), torch.rand(3, 4))


def body(function, depth=4) -> list[str]:
    """The lines of the printed forward without its signature."""
    lines = definition(emitted_model(program_of(function, depth)), "forward").splitlines()
    return [line[4:] for line in lines[1:] if line.startswith("    ")]


def loops(function, depth=4) -> list[Loop]:
    program = program_of(function, depth)
    records = all_records(program)
    region = fold(program, records).entries[0].function.model
    return [part for part in plan_loops(region, records) if isinstance(part, Loop)]


def in_order(self, x):
    for block in self.blocks:
        x = block(x)
    return x


def test_a_list_of_blocks_is_a_loop_over_weights_with_a_carried_value():
    (loop,) = loops(in_order)
    assert (loop.start, loop.period, loop.count) == (0, 1, 4)
    assert [(column.kind, column.values, column.prefix) for column in loop.columns] == [
        ("w", [0, 1, 2, 3], ("blocks",))
    ]
    assert len(loop.carried) == 1
    assert body(in_order) == ["for block in w.blocks:", "    x = layer(block, x)", "return x"]


@pytest.mark.parametrize(
    ("select", "printed"),
    [
        (lambda blocks: blocks[::-1], "w.blocks[::-1]"),
        (lambda blocks: blocks[1:], "w.blocks[1:]"),
        (lambda blocks: blocks[:3], "w.blocks[:3]"),
        (lambda blocks: blocks[1:3], "w.blocks[1:3]"),
        (lambda blocks: blocks[2:0:-1], "w.blocks[2:0:-1]"),
        (lambda blocks: blocks[::2], "w.blocks[::2]"),
        (lambda blocks: [blocks[0], blocks[1], blocks[3]], "(w.blocks[0], w.blocks[1], w.blocks[3])"),
    ],
)
def test_other_orders_of_blocks(select, printed):
    def forward(self, x):
        for block in select(list(self.blocks)):
            x = block(x)
        return x

    assert body(forward)[0] == f"for block in {printed}:"


def test_one_block_again_and_again_is_a_loop_without_a_column():
    def forward(self, x):
        for _ in range(5):
            x = self.blocks[0](x)
        return x

    assert body(forward) == ["for _ in range(5):", "    x = layer(w.blocks[0], x)", "return x"]


def test_numbers_in_arithmetic_progression_become_the_index():
    def forward(self, x):
        for i, block in enumerate(self.blocks):
            x = block(x, 3 * i + 2)
        return x

    assert body(forward)[:2] == [
        "for block, i in zip(w.blocks, range(4), strict=True):",
        "    x = layer(block, x, 3 * i + 2)",
    ]


def test_descending_numbers_too():
    def forward(self, x):
        for i in range(3, 0, -1):
            x = self.blocks[0](x, i)
        return x

    assert body(forward) == ["for i in range(3, 0, -1):", "    x = layer(w.blocks[0], x, i)", "return x"]


def test_a_loop_goes_backwards_where_all_its_numbers_do():
    def backwards(self, x):
        for i in reversed(range(4)):
            x = self.blocks[0](x, i) * i
        return x

    def both_ways(self, x):
        for i in range(4):
            x = self.blocks[0](x, 3 - i) * i
        return x

    assert body(backwards)[:2] == ["for i in reversed(range(4)):", "    x = layer(w.blocks[0], x, i) * i"]
    assert body(both_ways)[:2] == ["for i in range(4):", "    x = layer(w.blocks[0], x, 3 - i) * i"]


def test_other_numbers_are_listed():
    def forward(self, x):
        for scale in (0.5, 0.1, 0.7):
            x = self.blocks[0](x, scale)
        return x

    lines = body(forward)
    assert lines[0].endswith(" in (0.5, 0.1, 0.7):")
    assert len(lines) == 3


def test_a_long_run_of_plain_calls_is_a_loop_with_an_index():
    def forward(self, x):
        x = self.blocks[0](x)
        for i in range(6):
            x = torch.tanh(x * self.table[i])
        return x

    assert body(forward)[-3:] == ["for i in range(6):", "    x = torch.tanh(x * state.table[i])", "return x"]


def test_a_short_run_of_plain_calls_is_none():
    def forward(self, x):
        x = self.blocks[0](x)
        for _ in range(3):
            x = torch.tanh(x)
        return x

    assert loops(forward) == []


def test_results_used_together_later_are_gathered_in_a_list():
    def forward(self, x):
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return torch.cat(found, 1)

    (loop,) = loops(forward)
    assert [len(every) for every in loop.gathered.values()] == [4]
    lines = body(forward)
    assert lines[0].endswith(" = []")
    assert lines[1] == "for block in w.blocks:"
    assert lines[-1] == f"return torch.cat({lines[0].split()[0]}, 1)"


def test_results_used_apart_are_no_loop():
    def forward(self, x):
        a = self.blocks[0](x)
        b = self.blocks[1](a)
        c = self.blocks[2](b)
        return a * c - b

    assert loops(forward) == []


def test_what_stays_the_same_is_read_from_outside():
    def forward(self, x):
        start = torch.tanh(x)
        for block in self.blocks:
            x = block(x) * start
        return x

    (loop,) = loops(forward)
    assert (loop.period, loop.count) == (2, 4)
    assert body(forward)[-2:] == ["    x = layer(block, x) * start", "return x"]


def test_two_carried_values():
    def forward(self, x):
        a, b = x.chunk(2, 1)
        for block in self.blocks:
            a = block(torch.cat([a, b], 1))[:, :2]
            b = (b * a).exp()
        return a + b

    (loop,) = loops(forward)
    assert len(loop.carried) == 2


def test_one_iteration_is_no_loop():
    assert loops(in_order, depth=1) == []


@pytest.mark.parametrize(
    "function",
    [
        in_order,
        lambda self, x: torch.stack([block(x, i) for i, block in enumerate(self.blocks)]),
        lambda self, x: [block(x) for block in reversed(self.blocks)][1],
    ],
)
def test_loops_compute_what_the_model_computes(function, tmp_path):
    """The printed text, run, gives the model's output."""
    torch.manual_seed(0)
    model = Model(function)
    program = captured(model, torch.rand(3, 4))
    text = emitted_model(program).replace("from .weights import", "from weights_stand_in import")
    code = text.partition('"""\n\nimport')[2]
    values = {name.replace(".", "_"): value for name, value in model.named_parameters()}
    layer = type("Layer", (), {})
    weights = type("Weights", (), {})()
    weights.blocks = []
    for k in range(4):
        block = layer()
        block.linear_weight, block.linear_bias = values[f"blocks_{k}_linear_weight"], values[f"blocks_{k}_linear_bias"]
        weights.blocks.append(block)
    lines = [line for line in ("import" + code).splitlines() if "weights_stand_in" not in line]
    scope: dict = {"Layer": layer, "State": object, "Weights": object}
    exec("\n".join(lines), scope)
    x = torch.rand(5, 4)
    assert torch.equal(scope["forward"](weights, type("State", (), {"table": model.table})(), x), model(x))
