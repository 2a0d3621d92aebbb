"""The user's own autograd functions: with their own backward, as they are written in research code."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def vectors(n):
    return torch.randn(n, 4)


class Round(torch.autograd.Function):
    """Straight-through rounding."""

    @staticmethod
    def forward(ctx, x, step):
        ctx.step = step
        return torch.round(x / step) * step

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight=1.0):
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.neg() * ctx.weight, None


class Pair(torch.autograd.Function):
    """Two inputs and two outputs, with saved tensors."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b, F.relu(a)

    @staticmethod
    def backward(ctx, da, db):
        a, b = ctx.saved_tensors
        return da * b + db * (a > 0).to(db), da * a * 2


class Split(torch.autograd.Function):
    """With its context set up apart."""

    @staticmethod
    def forward(x):
        return x.clamp(min=0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, grad, 0.1 * grad)


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = Reverse.apply(self.a(x), 0.5)
        rounded = Round.apply(h, 0.25)
        product, positive = Pair.apply(rounded, self.b(x))
        for _ in range(4):
            positive = Split.apply(positive - 0.1)
        return product + positive + Reverse.apply(h)


def test_autograd_functions(check):
    check(Custom(), vectors)


class WithDecorators(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad * 3


class Decorated(Custom):
    def forward(self, x):
        return WithDecorators.apply(self.a(x)) + self.b(x)


def test_decorated_autograd_functions(check):
    check(Decorated(), vectors)


class Closed(Custom):
    """Made inside of a function, with a value of its surroundings."""

    def forward(self, x):
        rate = 0.3

        class Scale(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * rate

            @staticmethod
            def backward(ctx, grad):
                return grad * rate

        return Scale.apply(self.a(x)) + self.b(x)


def test_one_that_closes_over_values_is_written_out(check):
    emitted = check(Closed(), vectors)
    assert "0.3 *" in emitted.text or "* 0.3" in emitted.text


class ClosedAndOther(Custom):
    """The same, with a backward of its own."""

    def forward(self, x):
        rate = 0.3

        class Scale(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * rate

            @staticmethod
            def backward(ctx, grad):
                return grad * -rate

        return Scale.apply(self.a(x)) + self.b(x)


def test_one_that_closes_over_values_and_has_other_gradients_is_refused(refused):
    refused("HG401", ClosedAndOther(), vectors, where="test_autograd_functions.py")


SLOPE = 0.25


def fold(x, low):
    return torch.where(x > low, x, SLOPE * x)


class Leak(Function):
    """With a function and a number of its module, annotations, and a base class imported by name."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float) -> Any:
        ctx.save_for_backward(x)
        return fold(x, low)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any):
        (x,) = ctx.saved_tensors
        return fold(torch.ones_like(x), 0.0) * gradients[0] * SLOPE, None


leak = Leak.apply


class Bound(Custom):
    """`apply` is bound where the module is imported, and once more in the model."""

    def __init__(self):
        super().__init__()
        self.round = Round.apply

    def forward(self, x):
        return leak(self.round(self.a(x), 0.5) + self.b(x), 0.1)


def test_autograd_functions_with_what_they_need_of_their_module(check):
    emitted = check(Bound(), vectors)
    assert "leak" not in emitted.text
    assert "0.25 * x" in emitted.text


@functools.lru_cache
def nodes(count):
    return np.polynomial.legendre.leggauss(count)


class Quadrature(Function):
    """The integral of a function that it is handed, with a backward that needs less memory: arXiv 1908.05164."""

    @staticmethod
    def forward(ctx, integrand, x, *parameters):
        ctx.integrand = integrand
        ctx.save_for_backward(x, *parameters)
        places, weights = (torch.as_tensor(part, dtype=x.dtype) for part in nodes(3))
        return sum(w * integrand(x * (p + 1) / 2) for p, w in zip(places, weights, strict=True)) * x / 2

    @staticmethod
    def backward(ctx, gradient):
        x, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            result = Quadrature.forward(type("Context", (), {"save_for_backward": print})(), ctx.integrand, x)
        return None, *torch.autograd.grad(result, (x, *parameters), gradient)


class Integral(Custom):
    def forward(self, x):
        return Quadrature.apply(lambda t: self.a(t).exp(), self.b(x), *self.a.parameters())


def test_one_that_only_saves_memory_is_written_out_where_it_cannot_be_copied(check):
    emitted = check(Integral(), vectors, exact=False)
    assert "Quadrature" not in emitted.text


class Forgetful(Custom):
    """Hands the function no parameters, so that its backward gives them no gradients."""

    def forward(self, x):
        return Quadrature.apply(lambda t: self.a(t).exp(), self.b(x))


def test_one_that_keeps_gradients_from_weights_is_refused(refused):
    refused("HG401", Forgetful(), vectors, where="test_autograd_functions.py")
