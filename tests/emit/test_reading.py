"""What makes the printed functions read like the model's own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..programs import captured, definition, emitted_model

EXAMPLE = torch.rand(3, 4)


class Model(nn.Module):
    """A forward that is the given function of (self, x)."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function, self.linear = function, nn.Linear(4, 4)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def text_of(function, example=EXAMPLE, **parts) -> str:
    return emitted_model(captured(Model(function, **parts), example))


def printed(function, example=EXAMPLE, name="forward", **parts) -> list[str]:
    """The lines of one printed function below its signature."""
    return [line.strip() for line in definition(text_of(function, example, **parts), name).splitlines()[1:]]


def test_values_that_a_statement_takes_one_by_one_have_its_names():
    def function(self, x):
        query, key = map(lambda part: part.exp() + 1, self.linear(x).chunk(2, dim=1))
        return query @ key.T + query.sum() * key.sum()

    assert printed(function)[:3] == [
        "query, key = F.linear(x, w.linear_weight, w.linear_bias).chunk(2, dim=1)",
        "query = query.exp() + 1",
        "key = key.exp() + 1",
    ]


def test_so_have_those_of_a_comprehension():
    def function(self, x):
        low, high = (part.exp() + 1 for part in self.linear(x).chunk(2, dim=1))
        return low @ high.T + low.sum() * high.sum()

    assert "low = low.exp() + 1" in printed(function)


def parts_of(x):
    return x.exp(), x.sin(), x.cos()


def test_a_starred_target_leaves_the_others_their_names():
    def function(self, x):
        first, second, *_ = parts_of(self.linear(x))
        return (first * second).sum() + first.sum() / second.sum()

    assert any(line.startswith("first = ") for line in printed(function))
    assert any(line.startswith("second = ") for line in printed(function))


class Modulated(nn.Module):
    def forward(self, x, scale_shift):
        scale, shift = scale_shift
        x = x * (scale + 1) + shift
        return torch.tanh(x) + x


def test_an_argument_that_is_taken_apart_has_the_names_of_its_parts():
    def function(self, x):
        return self.one(self.one(x, self.linear(x).chunk(2, dim=1)), self.linear(x.exp()).chunk(2, dim=1))

    lines = text_of(function, torch.rand(3, 2), one=Modulated(), linear=nn.Linear(2, 4))
    assert "def modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:" in lines
    assert "scale, shift = " in lines


def test_a_skip_connection_leaves_the_flow_its_name():
    def function(self, x):
        x = self.linear(x)
        h = x.exp()
        x = self.second(h)
        x = torch.relu(x)
        x = self.third(x)
        return torch.cat([x, h, self.linear(x)], 1)

    assert printed(function, second=nn.Linear(4, 4), third=nn.Linear(4, 4))[-1].startswith("return torch.cat([x, h")


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        residual = x
        x = x.exp()
        x = torch.tanh(self.a(x))
        x = torch.tanh(self.b(x))
        return x + residual


def test_an_argument_keeps_the_second_name_that_the_model_gives_it():
    def function(self, x):
        return self.two(self.one(x))

    lines = printed(function, name="skip", one=Skip(), two=Skip())
    assert lines == [
        "residual = x",
        "x = x.exp()",
        "x = torch.tanh(F.linear(x, w.a_weight, w.a_bias))",
        "x = torch.tanh(F.linear(x, w.b_weight, w.b_bias))",
        "return x + residual",
    ]


class Normalised(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear, self.scale = nn.Linear(width, width), width**0.5

    def forward(self, x):
        h = F.normalize(self.linear(x)) * self.scale
        return h.view(len(h), 2, -1).sum(1).exp()


def test_a_power_of_a_size_is_read_from_the_argument():
    def function(self, x):
        return self.one(x), self.two(x[:, :2])

    found = definition(text_of(function, one=Normalised(4), two=Normalised(2)), "normalised")
    assert found.startswith("def normalised(w: Normalised, x: Tensor) -> Tensor:")
    assert "* x.shape[1] ** 0.5" in found


class Spread(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear, self.width = nn.Linear(4, width), width

    def forward(self, x):
        h = self.linear(x).tanh()
        return h.view(len(h), self.width, 1).exp()


def test_the_only_size_that_differs_is_left_to_torch():
    def function(self, x):
        return self.one(x), self.two(x)

    found = definition(text_of(function, one=Spread(6), two=Spread(8)), "spread")
    assert found.startswith("def spread(w: Spread, x: Tensor) -> Tensor:") and ".view(n, -1, 1)" in found


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.linear, self.factor = nn.Linear(4, 4), factor

    def forward(self, x):
        return self.factor * torch.tanh(self.linear(x).exp())


def test_a_number_that_differs_has_the_models_name_and_stands_where_the_model_has_it():
    def function(self, x):
        return self.one(x), self.two(x)

    found = definition(text_of(function, one=Scaled(0.5), two=Scaled(0.25)), "scaled")
    assert found.startswith("def scaled(w: Scaled, x: Tensor, factor: float)")
    assert "return factor * torch.tanh(" in found


def test_what_changes_nothing_is_left_out_where_it_never_does():
    def function(self, x):
        h = self.linear(x) * 1.0
        h = h.reshape(len(h), 4).permute(0, 1)
        return h / 1 + self.one(x) + self.two(x)

    text = text_of(function, one=Scaled(1.0), two=Scaled(0.25))
    assert "factor * torch.tanh(" in text  # in one of two runs it does
    body = definition(text, "forward")
    assert "* 1" not in body and "/ 1" not in body and "reshape" not in body and "permute" not in body


def test_nor_is_all_of_a_tensor_or_a_whole_number_and_none():
    def function(self, x):
        places = torch.arange(x.shape[1]) + 0
        return self.linear(x)[:, 0:, ...] + places + (x.exp() + 0)

    (line,) = printed(function)
    assert "0:" not in line and "arange(4) + torch" not in line and line.count("+ 0") == 1  # of floats, for -0.0


def test_a_product_by_one_that_is_written_to_stays():
    def function(self, x):
        h = self.linear(x)
        copy = h * 1.0
        copy[:, 0] = 0.0
        return copy + h

    assert "* 1.0" in " ".join(printed(function))


def test_values_nobody_named_stand_in_the_return_statement():
    def function(self, x):
        mean = self.linear(x)
        return mean.exp() + 1, mean.sin() * 2

    assert printed(function)[-1] == "return mean.exp() + 1, mean.sin() * 2"


def test_a_random_draw_is_not_moved_into_the_return_statement():
    def function(self, x):
        h = self.linear(x)
        return torch.rand_like(h), torch.rand_like(h).exp()

    assert "torch.rand_like" not in printed(function)[-1]


def test_a_long_line_is_taken_apart_in_its_middle():
    def function(self, x):
        for layer in (self.linear, self.second, self.linear):
            x = x + layer(F.gelu(layer(F.gelu(layer(F.gelu(layer(x)))))))
        return x

    lines = printed(function, second=nn.Linear(4, 4))
    assert all(len(line) < 116 for line in lines) and len(lines) <= 10


def test_a_function_without_gradient_says_so_once():
    @torch.no_grad()
    def function(self, x):
        for _ in range(3):
            x = self.linear(x).exp()
        return x

    text = text_of(function)
    assert "@torch.no_grad()\ndef forward(" in text and "with torch.no_grad()" not in text


def test_the_methods_of_torchs_distributions_are_functions():
    def function(self, x):
        mixture = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=self.linear(x)),
            torch.distributions.Normal(self.linear(x.exp()), 1 + self.linear(x).exp()),
        )
        return mixture.log_prob(x[:, 0]).mean()

    text = text_of(function)
    assert "(torch.distributions.Normal)" in text and "(torch.distributions.MixtureSameFamily)" in text


class Pair(nn.Module):
    """Two layers that a loop takes out of a list of lists."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(nn.ModuleList(nn.Linear(4, 4) for _ in range(2)) for _ in range(2))

    def forward(self, x):
        kept = []
        for narrow, widen in self.stages:
            x = narrow(x).exp()
            x = widen(x)
            kept.append(x)
            x = x.sin()
        return x + kept[0] * kept[1]


def test_a_value_that_outlives_its_name_is_called_by_the_variable_that_calls_its_layer():
    text = definition(emitted_model(captured(Pair(), EXAMPLE)), "forward")
    assert "    widen = F.linear(" in text and "return x + widen * widen_x" in text


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)) for _ in range(5))

    @staticmethod
    def through(outputs, moves):
        for move in moves:
            outputs = move(outputs)
        return outputs

    def forward(self, x):
        return self.through(x, self.parts).exp()


def test_a_loop_variable_is_called_like_the_users_that_calls_the_modules():
    assert "for move in w.parts:" in emitted_model(captured(Steps(), EXAMPLE))


def test_a_number_that_differs_is_called_as_in_the_subscript():
    def function(self, x):
        for place in (0, 2, 3):
            x = x.exp() * self.linear.bias[place] + x.sin().cos()
        return x

    assert "for place in (0, 2, 3):" in printed(function)


class Shifted:
    """No module: it keeps what it is given and uses it later."""

    def __init__(self, shift, scale):
        self.shift, self.scale = shift, scale.exp().sin().cos()

    def __call__(self, x):
        x = x * self.scale + self.shift
        return x.sin().exp().cos()


def test_what_is_kept_in_an_object_is_called_like_its_attribute_and_like_the_argument_that_it_came_by():
    def function(self, x):
        moved = Shifted(*self.linear(x).split(2, dim=1))
        return moved(x[:, :2])

    text = text_of(function)
    assert "shift, scale = F.linear(x, w.linear_weight, w.linear_bias).split(2, dim=1)" in text
    assert "x * scale + shift" in text


def summed(x, others):
    other, others = others[-1], others[:-1]
    return torch.cat([x, other]).exp().sin().cos()


def test_what_a_function_takes_out_of_an_argument_before_its_first_call_has_its_name_there():
    def function(self, x):
        return summed(x, (self.linear(x) + 0.5,)) + summed(x.exp(), (x.sin(),))

    assert "def summed(x: Tensor, other: Tensor)" in text_of(function)


def test_results_of_functions_that_torch_hands_on_have_their_names():
    def function(self, x):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.linear(x).exp().sum(), x, create_graph=True)
        return slope.square().sum()

    assert any(line.startswith("(slope,) = torch.autograd.grad(") for line in printed(function))
