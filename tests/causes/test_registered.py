"""What models register that no package can hold, or that one can hold though it looks odd."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from hypergen_compiler.capture import entry_points
from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.checker import check_layout
from hypergen_compiler.emit.files import stored_tensors
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import lay_out

from ..programs import captured


def vectors(n):
    return torch.randn(n, 4)


class Net(nn.Module):
    """A layer, and one more tensor that it is multiplied by: a parameter, a buffer or a plain attribute."""

    def __init__(self, parameter=None, buffer=None, attribute=None):
        super().__init__()
        self.l = nn.Linear(4, 4)
        if parameter is not None:
            self.extra = nn.Parameter(parameter)
        elif buffer is not None:
            self.register_buffer("extra", buffer)
        else:
            self.extra = attribute

    def forward(self, x):
        extra = self.extra.dequantize() if self.extra.is_quantized else self.extra
        return (extra @ self.l(x).T.to(extra.dtype)).T.abs()


def sparse():
    return torch.eye(4).to_sparse()


def quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.eye(4), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("code", "model", "said"),
    [
        ("HG301", lambda: Net(parameter=sparse()), "'extra' is laid out as torch.sparse_coo"),
        ("HG301", lambda: Net(parameter=torch.ones(1, 4).expand(4, 4)), "'extra' holds several elements in one place"),
        ("HG301", lambda: Net(parameter=torch.eye(4, dtype=torch.complex64)), "'extra' is complex"),
        ("HG402", lambda: Net(buffer=sparse()), "'extra' is laid out as torch.sparse_coo"),
        ("HG402", lambda: Net(buffer=quantized()), "'extra' is quantized"),
        ("HG402", lambda: Net(attribute=sparse()), "laid out as torch.sparse_coo"),
        ("HG402", lambda: nn.Linear(4, 4, device="meta"), "'weight' is on the meta device"),
        ("HG302", lambda: Empty(linear=False), "no parameter with elements"),
    ],
)
def test_tensors_that_no_package_can_hold(code, model, said):
    with pytest.raises(HyperGenError) as caught:
        program = captured(model(), vectors)
        stored_tensors(program, lay_out(program))
    assert caught.value.code == code and said in caught.value.what


class Empty(nn.Module):
    """A parameter without elements, in front of those that have some."""

    def __init__(self, linear=True):
        super().__init__()
        self.none = nn.Parameter(torch.zeros(0, 4))
        self.l = nn.Linear(4, 4) if linear else nn.Identity()

    def forward(self, x):
        return self.l(torch.cat([x, self.none]))


def test_a_parameter_without_elements_may_lie_at_the_end_of_any_part(check):
    check(Empty(), vectors)
    program = captured(Empty(), vectors)
    for kept in ({"none"}, {"l.weight"}, {"none", "l.weight"}):
        assert check_layout(program, lay_out(program, kept)) == []


class Twice(nn.Module):
    """A weight that is registered as a buffer too, and so has two names in the state_dict."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("again", self.l.weight)

    def forward(self, x):
        return self.l(x) @ self.again


def test_a_parameter_that_is_a_buffer_too_is_tied():
    (weight, _), buffers = (program := captured(Twice(), vectors)).parameters, program.buffers
    assert (weight.name, weight.aliases, weight.trained, buffers) == ("l.weight", ("again",), True, ())


class Cyclic(nn.Module):
    """A module that is a part of its own part."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.l.owner = self

    def forward(self, x):
        return self.l(x)


class Uncopyable(Empty):
    def __deepcopy__(self, memo):
        raise KeyError("copy")


def points(model):
    return entry_points(model, vectors, loss=None, sample=None, entries=("forward",))


def test_a_model_whose_mode_cannot_be_set_is_refused():
    with pytest.raises(HyperGenError, match=r"Cyclic fails in train\(\): RecursionError") as caught:
        warmed(Cyclic(), points(Cyclic()))
    assert caught.value.code == "HG202" and caught.value.where.startswith("test_registered.py:")


def test_a_model_that_cannot_be_copied_is_used_itself():
    model = Uncopyable()
    assert warmed(model, points(model)) is model


def doubled(module, into, out):
    return tuple(gradient * 2 for gradient in into)


class Hooked(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.l, self.kind = nn.Linear(4, 4), kind
        if kind == "parameter":
            self.l.weight.register_hook(lambda gradient: gradient * 2)
        elif kind == "module":
            self.l.register_full_backward_hook(doubled)

    def forward(self, x):
        h = self.l(x)
        if self.kind == "value":
            h.register_hook(lambda gradient: gradient * 2)  # here
        return h


@pytest.mark.parametrize(("kind", "said"), [("parameter", "parameter 'l.weight'"), ("module", "module 'l'")])
def test_hooks_that_change_gradients_are_refused(refused, kind, said):
    assert said in refused("HG401", Hooked(kind), vectors).what


def test_a_hook_of_the_entry_points_own_is_refused_at_its_line(refused):
    refused("HG401", Hooked("value"), vectors, where="test_registered.py")


class OtherDefault(Net):
    def forward(self, x):
        torch.set_default_dtype(torch.float64)
        return self.l(x)


class WithoutGradient(Net):
    def forward(self, x):
        torch.set_grad_enabled(False)
        return self.l(x)


def test_what_a_model_sets_for_the_process_is_put_back(refused):
    refused("HG401", OtherDefault(), vectors, where="test_registered.py")
    assert torch.get_default_dtype() == torch.float32
    captured(WithoutGradient(), vectors)
    assert torch.is_grad_enabled()
