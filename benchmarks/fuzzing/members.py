"""Statements that use something the module holds: layers, parameters, tied weights, submodules."""

from __future__ import annotations

from .expressions import LARGEST, product
from .writing import Writer

__all__ = ["block", "layer", "parameter", "tied"]


def layer(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    last, more = value.shape[-1], w.pick([2, 3, 4, value.shape[-1]])
    options = [(f"nn.Linear({last}, {more}{w.pick(['', ', bias=False'])})", (*value.shape[:-1], more), "fc")] * 3
    options += [
        (f"nn.LayerNorm({last})", value.shape, "norm"),
        ("nn.PReLU()", value.shape, "act"),
        ("nn.Dropout(0.2)", value.shape, "drop"),
    ]
    options += [(f"nn.Sequential(nn.Linear({last}, {more}), nn.ReLU(), nn.Linear({more}, {last}))", value.shape, "net")]
    options += [
        (f"nn.Sequential(nn.LayerNorm({last}), nn.Identity(), nn.GELU(approximate='tanh'))", value.shape, "net")
    ]
    options += [("nn.Softplus(beta=2)", value.shape, "act"), ("nn.ReLU(inplace=True)", value.shape, "act")]
    options += (
        [(f"nn.utils.parametrizations.weight_norm(nn.Linear({last}, {more}))", (*value.shape[:-1], more), "fc")]
        if w.maybe(0.2)
        else []
    )
    if len(value.shape) == 1:
        options += [
            (f"nn.BatchNorm1d({last})", value.shape, "norm"),
            (f"nn.Bilinear({last}, {last}, {more})", (more,), "bi"),
        ]
        options += [(f"nn.BatchNorm1d({last}, affine=False, momentum=0.3)", value.shape, "norm")]
    if len(value.shape) == 2:
        c = value.shape[0]
        options += [(f"nn.Conv1d({c}, {more}, 3, padding=1)", (more, last), "conv")] * 2
        options += [(f"nn.BatchNorm1d({c})", value.shape, "norm"), (f"nn.GroupNorm(1, {c})", value.shape, "norm")]
    if len(value.shape) == 3:
        c = value.shape[0]
        options += [(f"nn.Conv2d({c}, {more}, 3, padding=1)", (more, *value.shape[1:]), "conv")] * 3
        options += [
            (f"nn.BatchNorm2d({c})", value.shape, "norm"),
            (f"nn.InstanceNorm2d({c}, affine=True)", value.shape, "norm"),
        ]
        options += [
            (f"nn.ConvTranspose2d({c}, 2, 3, padding=1)", (2, *value.shape[1:]), "up"),
            ("nn.Dropout2d(0.3)", value.shape, "drop"),
        ]
    construction, shape, hint = w.pick([o for o in options if product(o[1]) <= LARGEST] or options[:1])
    name = w.member(construction, hint)
    if construction.startswith("nn.Bilinear"):
        w.new(f"{name}({value.name}, {w.like(value).name})", shape)
    elif "inplace" in construction:
        w.new(f"{name}({value.name} * 1)", shape)
    else:
        if construction.startswith("nn.Linear"):
            w.owner.linears[last, more] = name
        w.new(f"{name}({value.name})", shape)
        if w.maybe(0.15) and value in w.values:  # the same layer twice
            w.new(f"{name}({w.like(value).name} * 0.5)", shape)


def parameter(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    last = value.shape[-1]
    construction, use, shape = w.pick(
        [
            (f"nn.Parameter(torch.randn({last}))", "{0} * {p}", value.shape),
            (f"nn.Parameter(torch.zeros({last}))", "{0} + {p}", value.shape),
            ("nn.Parameter(torch.tensor(0.5))", "{p} * {0}", value.shape),
            ("nn.Parameter(torch.tensor(0.5))", "{0} / {p}.exp()", value.shape),
            (f"nn.Parameter(torch.randn({last}, {last}))", "{0} @ {p}", value.shape),
            (f"nn.Parameter(torch.randn({last}, {last}))", "F.linear({0}, {p})", value.shape),
            (f"nn.Parameter(torch.randn({last}, {last}))", "F.linear({0}, torch.tril({p}), {p}[0])", value.shape),
            (f"nn.Parameter(torch.randn({last}, {last}))", "torch.einsum('...i,ji->...j', {0}, {p})", value.shape),
            (f"nn.Parameter(torch.randn(2, {last}))", "{0} * {p}[0] + {p}[1]", value.shape),
            (f"nn.Parameter(torch.randn({last}), requires_grad=False)", "{0} + {p}", value.shape),
            (f"nn.Parameter(torch.randperm({last}), requires_grad=False)", "{0}[..., {p}]", value.shape),
            (
                f"nn.ParameterList([nn.Parameter(torch.randn({last})) for _ in range(3)])",
                "{0} + sum(p.sin() for p in {p})",
                value.shape,
            ),
            (f"nn.ParameterDict({{'a': nn.Parameter(torch.randn({last}))}})", "{0} * {p}['a']", value.shape),
            (
                f"nn.Parameter(torch.randn(1, {last}))",
                "torch.cat([{p}.expand({0}.shape[0], -1), {0}.flatten(1)], 1)[:, :{d}]",
                (last,),
            ),
        ]
    )
    w.new(use.format(value.name, p=w.member(construction, "scale"), d=last), shape)


def tied(w: Writer) -> None:
    """A layer whose weight is another's, or its transpose."""
    value = w.any(1)
    found = next(((k, n) for k, n in w.owner.linears.items() if value and k[1] == value.shape[-1]), None)
    if value is None or found is None:
        return
    (inner, outer), name = found
    if w.maybe(0.5):
        w.new(f"F.linear({value.name}, {name}.weight.t())", (*value.shape[:-1], inner))
    elif inner == outer:
        again = w.member(f"nn.Linear({inner}, {outer})", "tied")
        w.owner.members.append(f"{again}.weight = {name}.weight")
        w.new(f"{again}({value.name})", value.shape)
    else:
        again = w.member(name, "alias")
        other = next((v for v in w.values if v.shape and v.shape[-1] == inner), None)
        if other:
            w.new(f"{again}({other.name})", (*other.shape[:-1], outer))


def block(w: Writer) -> None:
    """A submodule of a class of the file: new, used again, in a list, or under two names."""
    value = w.any(1, 3)
    if value is None or product(value.shape) > 32:
        return
    known = w.owner.blocks.get((value.shape, value.shape))
    if known and w.maybe(0.4):
        w.new(f"{w.pick(known)}({value.name})", value.shape)
        return
    cls = w.program.block(w, value.shape)
    if cls is None:
        return
    kind = w.chance.randrange(5)
    if kind == 0:
        name = w.member(f"nn.ModuleList([{cls}() for _ in range({w.pick([2, 3])})])", "blocks")
        run = f"deep{len(w.lines)}"
        w.add(f"{run} = {value.name}")
        w.add(f"for block in {name}{w.pick(['', '[:2]', '[::-1]'])}:")
        w.add(f"    {run} = {w.pick(['block({0})', '{0} + block({0})'])}".format(run))
        w.hold(run, value.shape)
        return
    if kind == 1:
        name = w.member(f"nn.Sequential({cls}(), nn.Tanh(), {cls}())", "blocks")
    elif kind == 2:
        first = w.member(f"{cls}()", "block")
        name = w.member(first, "alias")
    else:
        name = w.member(f"{cls}()", "block")
    w.owner.blocks.setdefault((value.shape, value.shape), []).append(name)
    w.new(
        w.pick(["{b}({0})", "{0} + {b}({0})", "{b}({b}({0}))", "{b}({0}) * {0}.sigmoid()"]).format(value.name, b=name),
        value.shape,
    )
