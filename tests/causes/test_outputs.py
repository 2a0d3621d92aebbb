"""What an entry point may return: containers of every kind, and tensors that it did not make."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def vectors(n):
    return torch.randn(n, 4)


class Linear(nn.Module):
    """A layer, and what the subclass returns of its result."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("shift", torch.randn(4))

    def forward(self, x):
        return self.give(self.l(x) * self.scale + self.shift, x)


@dataclass
class Output:
    sample: Tensor
    loss: Tensor | None = None
    others: tuple[Tensor, ...] = ()
    info: dict[str, Tensor] = field(default_factory=dict)


class Pair(NamedTuple):
    mean: Tensor
    log_var: Tensor


class Keys(OrderedDict):
    """Like transformers' ModelOutput: a mapping with attributes."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class Dataclass(Linear):
    def give(self, h, x):
        return Output(h, h.mean(), (h, x), {"a": h.sum(1)})


class DataclassWithNothing(Linear):
    def give(self, h, x):
        return Output(h)


class Tuple(Linear):
    def give(self, h, x):
        return Pair(h, h * 2)


class CollectionsTuple(Linear):
    def give(self, h, x):
        return namedtuple("Found", "x y n w")(h, h * 2, 3, None)


class Dictionary(Linear):
    def give(self, h, x):
        return {"x": h, "none": None, "a b": h.sum(1), 3: x, "class": 2, "list": [h, h * 3], "flag": True, "": "text"}


class Ordered(Linear):
    def give(self, h, x):
        return OrderedDict(last=h, first=h.mean())


class Mapping(Linear):
    def give(self, h, x):
        return Keys(loss=h.mean(), logits=h, hidden_states=(x, h))


class ListOfOne(Linear):
    def give(self, h, x):
        return [h]


class TupleOfOne(Linear):
    def give(self, h, x):
        return (h,)


class Nested(Linear):
    def give(self, h, x):
        return ({"a": [h, (h * 2, [h.sum()])], "b": Pair(h[:2] * 3, Output(x))}, [], (), {})


class SameTwice(Linear):
    def give(self, h, x):
        return h, h, [h, {"h": h}]


class InputReturned(Linear):
    def give(self, h, x):
        return x, h


class InputFirst(Linear):
    def give(self, h, x):
        return x, x[:2], x.detach(), h


class ParameterReturned(Linear):
    def give(self, h, x):
        return h, self.scale, self.l.weight, self.l.bias.detach()


class BufferReturned(Linear):
    def give(self, h, x):
        return h, self.shift


class OwnWrittenBufferReturned(Linear):
    def give(self, h, x):
        before = self.shift.clone()
        self.shift.mul_(0.5)
        return h, before, self.shift


class ReplacedBufferReturned(Linear):
    def give(self, h, x):
        before = self.shift
        self.shift = self.shift * 0.5 + h.detach().mean(0)
        return h, before, self.shift


class ConstantReturned(Linear):
    def give(self, h, x):
        return h, torch.tensor([1.0, 2.0]), torch.zeros(3), torch.arange(3), torch.tensor(2.5, dtype=torch.float64)


class PythonNumbers(Linear):
    def give(self, h, x):
        return h, 3, 2.5, "text", True, None, float("inf"), -1


class Sizes(Linear):
    """Numbers that follow the batch."""

    def give(self, h, x):
        return h, len(x), x.shape[0] * 2 + 1, 1 / x.shape[0]


class Shape(Linear):
    def give(self, h, x):
        return h, x.shape, h.shape[1:], h[None].size()


class Views(Linear):
    def give(self, h, x):
        a, b = h.chunk(2, 1)
        return h.unbind(1), a, b, h.t(), h.split([1, 3], 1)


class TopK(Linear):
    """torch's own named results, given on as they are."""

    def give(self, h, x):
        return h.topk(2), h.max(1), torch.linalg.slogdet(h.t() @ h + 9 * torch.eye(4)), h.sort(1)


class Integers(Linear):
    def give(self, h, x):
        return h.argmax(1), h > 0, h.to(torch.float64), h.half(), h


class Detached(Linear):
    def give(self, h, x):
        return h.detach(), h


class WrittenAfterwards(Linear):
    """What was put into the result is changed before it is returned."""

    def give(self, h, x):
        out = [h * 1]
        view = out[0][:, :2]
        view.add_(1)
        out.append(view)
        return out


class Empty(Linear):
    def give(self, h, x):
        return h, h[:0], torch.empty(0), h.new_zeros(0, 3)


@pytest.mark.parametrize(
    "model",
    [
        Dataclass,
        DataclassWithNothing,
        Tuple,
        CollectionsTuple,
        Dictionary,
        Ordered,
        Mapping,
        ListOfOne,
        TupleOfOne,
        Nested,
        SameTwice,
        InputReturned,
        InputFirst,
        ParameterReturned,
        BufferReturned,
        OwnWrittenBufferReturned,
        ReplacedBufferReturned,
        ConstantReturned,
        PythonNumbers,
        Sizes,
        Views,
        TopK,
        Integers,
        Detached,
        WrittenAfterwards,
        Empty,
        Shape,
    ],
)
def test_outputs(check, model):
    check(model(), vectors)


class Modes(Linear):
    """Another container in evaluation than in training."""

    def give(self, h, x):
        if self.training:
            return h, h.mean()
        return h


def test_another_container_in_evaluation(check):
    check(Modes(), vectors)


class Optional(Linear):
    def give(self, h, x):
        return Output(h, h.mean() if self.training else None)


def test_a_field_in_training_alone(check):
    check(Optional(), vectors)


@dataclass
class First:
    x: Tensor


@dataclass
class Second:
    x: Tensor
    y: Tensor


def renamed(cls, name):
    return type(name, (cls,), {})


class SameClassNames(Linear):
    def give(self, h, x):
        return (
            renamed(First, "Out")(h),
            renamed(Second, "Out")(h, x * 2),
            renamed(First, "State")(x),
            renamed(First, "F")(h),
        )


def test_several_containers_of_one_name(check):
    check(SameClassNames(), vectors)


class OddFields(Linear):
    def give(self, h, x):
        return Keys([("class", h), ("a b", h * 2), ("a-b", h * 3), ("count", h + 1), ("1", x), ("_x", None), ("x", h)])


def test_odd_names_of_fields(emit):
    model = OddFields()
    emitted = emit(model, vectors)
    x = vectors(3)
    weights = emitted.weights
    ours = emitted.model.forward(weights.unpack(weights.initial_weights()), weights.State(), x)
    for one, other in zip(ours, model(x).values(), strict=True):
        assert one is other or torch.equal(one, other)


class Weird:
    def __init__(self, x):
        self.x = x


class Distribution(Linear):
    def give(self, h, x):
        return torch.distributions.Normal(h, F.softplus(h))


class Opaque(Linear):
    def give(self, h, x):
        return Weird(h)


class OpaqueField(Linear):
    def give(self, h, x):
        return h, Weird(h)


class Array(Linear):
    def give(self, h, x):
        return h.detach().numpy()


class FromArray(Linear):
    def give(self, h, x):
        return torch.from_numpy(h.detach().numpy() * 2)


class Generator(Linear):
    def give(self, h, x):
        return (h * i for i in range(3))


@pytest.mark.parametrize("model", [Distribution, Opaque, OpaqueField, Array, FromArray, Generator])
def test_what_cannot_be_returned(refused, model):
    refused("HG206", model(), vectors, where="test_outputs.py")
