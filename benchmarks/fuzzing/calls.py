"""Statements about calls and what torch has objects for: optional arguments, early returns, distributions."""

from __future__ import annotations

from .expressions import UNARY
from .writing import Writer

__all__ = ["distribution", "early", "normed", "optional"]

DISTRIBUTIONS = (
    "torch.distributions.Normal({0}, 1 + {1}.abs()).log_prob({1})",
    "torch.distributions.kl_divergence(torch.distributions.Normal({0}, 1.0), torch.distributions.Normal({1}, 2.0))",
    "torch.distributions.Bernoulli(logits={0}).log_prob(({1} > 0).float())",
    "torch.distributions.Laplace({0}, 0.5).rsample() + {1}",
    "torch.distributions.Independent(torch.distributions.Normal({0}, 1), 1).log_prob({1})[..., None] * {0}",
    "torch.distributions.Categorical(logits={0}).entropy()[..., None] + {1}",
    "torch.distributions.Categorical(logits={0}).log_prob({1}.argmax(-1))[..., None] * {0}",
    "torch.distributions.Normal({0}, torch.ones_like({0})).entropy() * {1}",
    "torch.distributions.LogNormal({0}.tanh(), 0.2).rsample().clamp(max=4)",
    "torch.distributions.Uniform({0}.detach() - 1, {0}.detach() + 1).sample() * {1}",
)  # fmt: skip


def distribution(w: Writer) -> None:
    value = w.any(1)
    if value:
        w.new(w.pick(DISTRIBUTIONS).format(value.name, w.like(value).name), value.shape)


def optional(w: Writer) -> None:
    """A method with arguments that are left out, given by name, or handed on."""
    value = w.any(1)
    if value is None:
        return
    name, other = w.member_name("mixed"), w.like(value).name
    one, two = w.pick(UNARY).format("x"), w.pick(UNARY).format("context")
    w.owner.methods.append(
        f"def {name}(self, x, context=None, scale=1.0, *, normalize=False, **rest):\n"
        f"    if context is None:\n        return {one} * scale\n"
        f"    x = {one} + {two} * rest.get('gain', 0.5)\n"
        "    if normalize:\n        x = F.normalize(x, dim=-1)\n    return x * scale"
    )
    call = w.pick(
        [
            f"self.{name}({value.name})", f"self.{name}({value.name}, {other}, normalize=True)",
            f"self.{name}({value.name}, context={other}, gain=2)", f"self.{name}(x={value.name}, scale=0.3)",
            f"self.{name}(*[{value.name}, {other}], **{{'scale': 2}})",
        ]
    )  # fmt: skip
    w.new(call, value.shape)


def early(w: Writer) -> None:
    """A method that returns where it may, by shape, by mode, or by what it holds."""
    value = w.any(1)
    if value is None:
        return
    name = w.member_name("guarded")
    flag = w.member(w.pick(["None", "True", "0"]), "option")
    condition = w.pick([f"{flag}", "not self.training", "x.shape[-1] > 4", "x.ndim < 2", f"{flag} is None"])
    one, two = w.pick(UNARY).format("x"), w.pick(UNARY).format("x")
    w.owner.methods.append(
        f"def {name}(self, x):\n    if {condition}:\n        return {one}\n    y = {two}\n    return x + y"
    )
    w.new(f"self.{name}({value.name})", value.shape)


def normed(w: Writer) -> None:
    """A layer under a norm of its weight."""
    value = w.any(1)
    if value is None:
        return
    last = value.shape[-1]
    made = w.pick(
        [
            f"nn.utils.parametrizations.spectral_norm(nn.Linear({last}, {last}))",
            f"nn.utils.parametrizations.weight_norm(nn.Linear({last}, {last}), dim={w.pick(['0', 'None'])})",
            f"nn.utils.spectral_norm(nn.Linear({last}, {last}, bias=False))",
            f"nn.RMSNorm({last})",
            f"nn.Sequential(nn.Linear({last}, {2 * last}), nn.GLU(), nn.Dropout(0.1))",
        ]
    )
    w.new(f"{w.member(made, 'normed')}({value.name})", value.shape)
