from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hypergen_compiler.capture.recorder import qualified_name
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.ops import Expression, Invocation, print_call, registered
from hypergen_compiler.ops.expression import literal_expression
from hypergen_compiler.ops.registry import PRINTERS

X, Y, W = (Expression(name, tensor=True) for name in ("x", "y", "w.weight"))
SUM, POWER, NEGATIVE = Expression("x + y", 11), Expression("x ** 2", 14), Expression("-x", 13)


def argument(value):
    if isinstance(value, Expression):
        return value
    if isinstance(value, tuple) and any(isinstance(item, Expression) for item in value):
        items = tuple(map(argument, value))
        return Expression(f"({', '.join(item.text for item in items)}{',' if len(items) == 1 else ''})", items=items)
    found = literal_expression(value)
    return Expression(
        found.text, found.precedence, value, tuple(map(argument, value)) if type(value) is tuple else None
    )


def invocation(function, *args, device="x.device", reflected=False, where=None, **kwargs) -> Invocation:
    given = [argument(value) for value in args]
    named = {name: argument(value) for name, value in kwargs.items()}
    takes_tensors = any(value.tensor for value in (*given, *named.values()))
    return Invocation(
        qualified_name(function), function, given, named, where, device, takes_tensors, reflected=reflected
    )


def shown_as(function, *args, **options) -> Expression:
    return print_call(invocation(function, *args, **options))


def shown(function, *args, **options) -> str:
    return shown_as(function, *args, **options).text


T = torch.Tensor


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        (T.add, (X, Y), "x + y"),
        (T.add, (X, 1), "x + 1"),
        (T.sub, (X, SUM), "x - (x + y)"),
        (T.sub, (SUM, X), "x + y - x"),
        (T.mul, (SUM, X), "(x + y) * x"),
        (T.mul, (X, -2.0), "x * -2.0"),
        (T.div, (X, SUM), "x / (x + y)"),
        (T.matmul, (X, W), "x @ w.weight"),
        (T.__matmul__, (X, W), "x @ w.weight"),
        (T.floor_divide, (X, 2), "x // 2"),
        (T.remainder, (X, 2), "x % 2"),
        (T.pow, (X, 2), "x ** 2"),
        (T.pow, (POWER, 3), "(x ** 2) ** 3"),
        (T.pow, (X, POWER), "x ** x ** 2"),
        (T.pow, (NEGATIVE, 2), "(-x) ** 2"),
        (T.__pow__, (X, -1), "x ** -1"),
        (T.gt, (X, 0), "x > 0"),
        (T.__le__, (X, SUM), "x <= x + y"),
        (T.__and__, (Expression("x > y", 6), Expression("y > x", 6)), "(x > y) & (y > x)"),
        (T.bitwise_or, (X, Expression("x & y", 9)), "x | x & y"),
        (T.__xor__, (X, Y), "x ^ y"),
        (T.__lshift__, (X, 2), "x << 2"),
        (T.__rsub__, (X, 1), "1 - x"),
        (T.__rsub__, (SUM, 1), "1 - (x + y)"),
        (T.__rtruediv__, (SUM, 2.0), "2.0 / (x + y)"),
        (T.__rpow__, (X, 10), "10 ** x"),
        (T.__rmatmul__, (X, W), "w.weight @ x"),
        (T.__iadd__, (X, Y), "x += y"),
        (T.__imul__, (X, SUM), "x *= x + y"),
        (T.neg, (X,), "-x"),
        (T.__neg__, (SUM,), "-(x + y)"),
        (T.neg, (POWER,), "-x ** 2"),
        (T.__invert__, (X,), "~x"),
        (T.bitwise_not, (SUM,), "~(x + y)"),
        (T.__abs__, (SUM,), "(x + y).abs()"),
    ],
)
def test_arithmetic_is_infix(function, args, text):
    assert shown(function, *args) == text


@pytest.mark.parametrize("comparison", [T.eq, T.ne, T.lt, T.ge])
def test_a_comparison_of_a_comparison_is_in_parentheses(comparison):
    text = shown(comparison, shown_as(T.gt, X, 0), Y)
    assert text.startswith("(x > 0) ")


def test_a_method_with_options_stays_one():
    assert shown(T.add, X, Y, alpha=2) == "x.add(y, alpha=2)"
    assert shown(T.div, X, Y, rounding_mode="floor") == 'x.div(y, rounding_mode="floor")'


@pytest.mark.parametrize(("function", "text"), [(T.add, "1 + x"), (T.mul, "1 * x")])
def test_a_number_that_the_user_wrote_first_comes_first(function, text):
    assert shown(function, X, 1, reflected=True) == text


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        (T.T.__get__, (X,), "x.T"),
        (T.mT.__get__, (SUM,), "(x + y).mT"),
        (T.real.__get__, (X,), "x.real"),
        (T.grad.__get__, (X,), "x.grad"),
        (T.data.__set__, (X, Y), "x.data = y"),
        (T.requires_grad.__set__, (X, True), "x.requires_grad = True"),
    ],
)
def test_attributes(function, args, text):
    assert shown(function, *args) == text


@pytest.mark.parametrize(
    ("function", "args", "options", "text"),
    [
        (torch.zeros, (3,), {}, "torch.zeros(3, device=x.device)"),
        (torch.zeros, ((3, 4),), {}, "torch.zeros(3, 4, device=x.device)"),
        (torch.randn, (Expression("n"), 4), {}, "torch.randn(n, 4, device=x.device)"),
        (torch.randn, (2,), {"device": torch.device("cpu")}, "torch.randn(2, device=x.device)"),
        (torch.arange, (5,), {"dtype": torch.float64}, "torch.arange(5, dtype=torch.float64, device=x.device)"),
        (torch.tensor, ([1, 2],), {}, "torch.tensor([1, 2], device=x.device)"),
        (torch.normal, (X, Y), {}, "torch.normal(x, y)"),
        (torch.randint, (0, 5, (3,)), {"device": None}, "torch.randint(5, (3,), device=x.device)"),
        (torch.randint, (2, 5, (3,)), {}, "torch.randint(2, 5, (3,), device=x.device)"),
        (torch.arange, (), {"start": 0, "end": 4}, "torch.arange(4, device=x.device)"),
        (torch.arange, (0, 4), {}, "torch.arange(4, device=x.device)"),
        (torch.arange, (0.0, 4), {}, "torch.arange(0.0, 4, device=x.device)"),
        (torch.arange, (1, 4), {}, "torch.arange(1, 4, device=x.device)"),
        (torch.arange, (0, 4, 2), {}, "torch.arange(0, 4, step=2, device=x.device)"),
    ],
)
def test_new_tensors_are_made_where_the_function_works(function, args, options, text):
    call = invocation(function, *args, **{k: v for k, v in options.items() if k != "device"})
    if "device" in options:
        call.kwargs["device"] = literal_expression(options["device"])
    assert print_call(call).text == text


def test_new_tensors_of_a_function_without_a_device_get_none():
    call = invocation(torch.zeros, 3, device=None)
    assert print_call(call).text == "torch.zeros(3)"


@pytest.mark.parametrize(
    ("args", "options", "text"),
    [
        ((X, torch.float64), {}, "x.to(torch.float64)"),
        ((X, torch.device("cpu"), torch.float64), {}, "x.to(torch.float64)"),
        ((X, "cpu", torch.int64), {}, "x.to(torch.int64)"),
        ((SUM, torch.int64), {}, "(x + y).to(torch.int64)"),
        ((X,), {"dtype": torch.float64}, "x.to(dtype=torch.float64)"),
    ],
)
def test_where_a_tensor_lives_is_the_callers_business(args, options, text):
    assert shown(T.to, *args, **options) == text


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "x[0]"),
        (Y, "x[y]"),
        (Expression("1:n", 0), "x[1:n]"),
        ((0, Y), "x[0, y]"),
        ((Expression(":", 0), None), "x[:, None]"),
        ((..., 0), "x[..., 0]"),
        ((Y,), "x[y,]"),
        ([0, 2], "x[[0, 2]]"),
    ],
)
def test_indexing(index, text):
    assert shown(T.__getitem__, X, index) == text
    assert shown(T.__setitem__, X, index, 5.0) == f"{text} = 5.0"


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        (T.reshape, (X, (Expression("n"), 2, 3)), "x.reshape(n, 2, 3)"),
        (T.reshape, (X, Expression("n"), 2), "x.reshape(n, 2)"),
        (T.view, (SUM, (4, -1)), "(x + y).view(4, -1)"),
        (T.view, (X, torch.int32), "x.view(torch.int32)"),
        (T.permute, (X, (0, 2, 1)), "x.permute(0, 2, 1)"),
        (T.expand, (X, (-1, 4)), "x.expand(-1, 4)"),
        (T.new_zeros, (X, (2,)), "x.new_zeros(2)"),
        (T.reshape, (X, ()), "x.reshape(())"),
    ],
)
def test_sizes_stand_without_a_tuple(function, args, text):
    assert shown(function, *args) == text


def test_indexing_an_expression():
    assert shown(T.__getitem__, SUM, 0) == "(x + y)[0]"
    assert shown(T.__iter__, X) == "x.unbind()"


@pytest.mark.parametrize(
    ("function", "args", "options", "text"),
    [
        (F.linear, (X, W, Y), {}, "F.linear(x, w.weight, y)"),
        (F.linear, (X, W, None), {}, "F.linear(x, w.weight)"),
        (F.relu, (X,), {"inplace": False}, "F.relu(x)"),
        (F.conv2d, (X, W, None, (2, 2), (1, 1)), {}, "F.conv2d(x, w.weight, stride=2, padding=1)"),
        (F.conv2d, (X, W, Y, (2, 1)), {}, "F.conv2d(x, w.weight, y, stride=(2, 1))"),
        (F.conv2d, (X, W, Y, (1, 1), (0, 0), (1, 1), 1), {}, "F.conv2d(x, w.weight, y)"),
        (F.dropout, (X,), {"p": 0.5, "training": Expression("training")}, "F.dropout(x, training=training)"),
        (F.dropout, (X,), {"p": 0.1, "training": Expression("training")}, "F.dropout(x, p=0.1, training=training)"),
        (F.softmax, (X,), {"dim": -1}, "F.softmax(x, dim=-1)"),
        (F.layer_norm, (X, (4,), W, Y, 1e-5), {}, "F.layer_norm(x, (4,), w.weight, y)"),
        (torch.cat, ((X, Y),), {}, "torch.cat((x, y))"),
        (torch.cat, ((X, Y), 1), {}, "torch.cat((x, y), 1)"),
        (torch.exp, (X,), {}, "torch.exp(x)"),
        (T.exp, (SUM,), {}, "(x + y).exp()"),
        (T.view, (X, Expression("n"), -1), {}, "x.view(n, -1)"),
        (T.sum, (X, 1), {}, "x.sum(1)"),
        (T.sum, (X,), {"dim": 1, "keepdim": True}, "x.sum(dim=1, keepdim=True)"),
        (T.chunk, (X, 2), {"dim": 1}, "x.chunk(2, dim=1)"),
        (torch.fft.fft, (X,), {}, "torch.fft.fft(x)"),
        (torch.linalg.norm, (X,), {}, "torch.linalg.norm(x)"),
        (torch.special.expit, (X,), {}, "torch.special.expit(x)"),
    ],
)
def test_everything_else_is_a_call_without_defaults(function, args, options, text):
    assert shown(function, *args, **options) == text


def test_equal_values_of_another_type_are_no_defaults():
    assert shown(F.softplus, X, 1, 20) == shown(F.softplus, X)
    assert shown(F.leaky_relu, X, True) != shown(F.leaky_relu, X)


def hidden(x):
    return x


@pytest.mark.parametrize("function", [hidden, torch._C._nn.gelu, T._to_dense, torch._foreach_exp])
def test_an_unknown_operator_is_refused_with_its_place(function):
    name = getattr(function, "__name__", "")
    call = Invocation(
        f"elsewhere.{name}" if function is hidden else f"torch._C.{name}", function, [X], {}, "model.py:7"
    )
    with pytest.raises(HyperGenError) as caught:
        print_call(call)
    assert (caught.value.code, caught.value.where) == ("HG401", "model.py:7")
    assert name in caught.value.what


@pytest.mark.parametrize(
    "name", ["Tensor._make_subclass", "Tensor.shape", "Tensor.x y", "torch.x;y", "torch", "os.system"]
)
def test_names_that_no_user_writes_are_refused(name):
    with pytest.raises(HyperGenError) as caught:
        print_call(Invocation(name, None, [X], {}))
    assert caught.value.code == "HG401"


def test_registered_operators_are_sorted():
    names = registered()
    assert list(names) == sorted(set(names)) == sorted(PRINTERS)
