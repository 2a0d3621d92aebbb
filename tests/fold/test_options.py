from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hypergen_compiler as hypergen
from hypergen_compiler.checker.functions import check_functions
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.fold import fold

from ..programs import captured, definition, emitted_model, emitted_weights

EXAMPLE = torch.rand(3, 6)


class Block(nn.Module):
    """A residual block whose shortcut, as in a ResNet, may be a layer and a normalisation."""

    def __init__(self, width, out, *, deep=False):
        super().__init__()
        self.inner, self.outer = nn.Linear(width, out), nn.Linear(out, out)
        layers = [nn.Linear(width, out), nn.BatchNorm1d(out)] if deep else [nn.Linear(width, out)]
        self.shortcut = nn.Sequential(*layers) if deep or width != out else None

    def forward(self, x, scale=None):
        h = torch.tanh(self.inner(x))
        if scale is not None:
            h = h * scale
        h = torch.sigmoid(self.outer(h))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return x + h


class Net(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def test_a_part_that_some_modules_lack_is_an_optional_field():
    program = captured(Net(Block(6, 6), Block(6, 4), Block(4, 4)), EXAMPLE)
    text, weights = emitted_model(program), emitted_weights(program)
    assert definition(text, "block").splitlines()[3:] == [
        "    if w.shortcut is not None:",
        "        x = F.linear(x, w.shortcut.linear0_weight, w.shortcut.linear0_bias)",
        "    return x + h",
    ]
    assert definition(text, "forward").splitlines()[1:] == [
        "    for block_weights in w.blocks:",
        "        x = block(block_weights, x)",
        "    return x",
    ]
    assert "    shortcut: Shortcut | None\n" in weights and "class Block_2(" not in weights
    assert 'if at + "shortcut.0.weight" in tensors else None' in weights


def test_an_argument_that_some_calls_lack_has_a_default():
    class Both(Net):
        def forward(self, x):
            return self.blocks[0](self.blocks[1](x, x.cos()))

    text = emitted_model(captured(Both(Block(6, 6), Block(6, 6)), EXAMPLE))
    assert "def block(w: Block, x: Tensor, scale: Tensor | None = None) -> Tensor:" in text
    assert "    if scale is not None:\n        h = h * scale\n" in text
    assert "x = block(w.blocks[1], x, x.cos())" in text or "block(w.blocks[1], x, x.cos())" in text
    assert "return block(w.blocks[0], " in text


def test_a_value_that_is_needed_again_keeps_its_name():
    class Gate(Block):
        def forward(self, x):
            h = torch.tanh(self.inner(x))
            h = torch.sigmoid(self.outer(h)) * 2
            return h + (self.shortcut(x) if self.shortcut is not None else x) + x.mean()

    text = emitted_model(captured(Net(Gate(6, 6), Gate(6, 4), Gate(4, 4)), EXAMPLE))
    expected = "F.linear(x, w.shortcut.linear0_weight, w.shortcut.linear0_bias) if w.shortcut is not None else x"
    assert f"    shortcut = {expected}\n" in text


def test_what_nothing_tells_apart_are_two_functions():
    class Flagged(Block):
        def __init__(self, flag):
            super().__init__(6, 6)
            self.flag = flag

        def forward(self, x):
            h = torch.tanh(self.inner(x)).exp()
            if self.flag:
                h = h.cos()
            return x + torch.sigmoid(self.outer(h))

    text = emitted_model(captured(Net(Flagged(True), Flagged(False)), EXAMPLE))
    assert "def flagged_2(" in text and "is not None" not in text


def test_a_part_that_is_read_elsewhere_is_a_plain_field():
    class Decayed(Net):
        def forward(self, x):
            return super().forward(x) + self.blocks[1].shortcut[0].weight.square().sum()

    program = captured(Decayed(Block(6, 6), Block(6, 4)), EXAMPLE)
    assert "is not None" not in emitted_model(program)
    assert "| None" not in emitted_weights(program)


class ResidualBlock(nn.Module):
    """As in torchvision's ResNet: the shortcut is a convolution and a normalisation, or nothing."""

    def __init__(self, channels, out):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
        self.downsample = None
        if channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        identity = x
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        return F.relu(out + identity)


def test_a_residual_network_prints_one_block_and_computes_what_the_model_does(tmp_path):
    model = Net(ResidualBlock(2, 2), ResidualBlock(2, 3), ResidualBlock(3, 3), ResidualBlock(3, 4))
    example = torch.rand(3, 2, 5, 5)
    package = hypergen.compile(model, example, loss=None, sample=None, entries=("forward",), out=tmp_path / "net")
    text = package.files["model.py"].decode()
    assert text.count("def residual_block") == 1
    assert "    if w.downsample is not None and state.downsample is not None:\n" in text
    assert "for block, block_state in zip(w.blocks, state.blocks, strict=True):" in text
    emitted = package.load()
    weights, buffers = emitted.weights.unpack(emitted.weights.pack(model.state_dict())), emitted.weights.State()
    buffers.load_state_dict(model.state_dict())
    model.eval()
    torch.testing.assert_close(emitted.model.forward(weights, buffers, example), model(example))


def test_modules_with_and_without_buffers_are_two_functions():
    """The records of one would have no place for those of the other."""
    text = emitted_model(captured(Net(Block(6, 6), Block(6, 4, deep=True), Block(4, 8)), EXAMPLE))
    assert "def block_2(w: Block_2, state: BlockState, x: Tensor, training: bool)" in text


@pytest.fixture
def parts():
    program = captured(Net(Block(6, 6), Block(6, 4), Block(4, 4)), EXAMPLE)
    records = all_records(program)
    folded = fold(program, records)
    return program, folded, records, next(function for function in folded.functions if function.options)


def test_a_sound_option_passes_the_checker(parts):
    program, folded, records, function = parts
    assert len(function.members) == 3
    assert not check_functions(program, folded, records)


def test_the_checker_finds_an_option_that_goes_on_with_another_value(parts):
    program, folded, records, function = parts
    function.options = [replace(function.options[0], instead=function.model.body[0].outs[0])]
    assert "goes on with another value" in str(check_functions(program, folded, records))


@pytest.mark.parametrize("fields", [(), (("w", "inner"),)])
def test_the_checker_finds_an_option_that_nothing_tells(parts, fields):
    program, folded, records, function = parts
    function.options = [replace(function.options[0], fields=fields)]
    assert "does not tell whether" in str(check_functions(program, folded, records))


def test_the_checker_finds_what_is_left_out_without_an_option(parts):
    program, folded, records, function = parts
    function.options = []
    assert "does not" in str(check_functions(program, folded, records))


def test_numbers_of_options_are_those_of_all_regions():
    class Scaled(Block):
        def __init__(self, width, out, scale):
            super().__init__(width, out)
            self.scale = scale

        def forward(self, x):
            h = torch.tanh(self.inner(x)).exp()
            if self.shortcut is not None:
                x = self.shortcut(x) * self.scale
            return F.relu(self.outer(h)) + x

    text = emitted_model(captured(Net(Scaled(6, 6, 1.0), Scaled(6, 4, 2.0), Scaled(4, 8, 3.0)), EXAMPLE))
    assert "is not None" not in text
