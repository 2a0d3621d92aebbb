"""The statements of generated programs: each writes a line or a few from variables in reach, or does nothing."""

from __future__ import annotations

from collections.abc import Callable

from .writing import Value, Writer

__all__ = ["STATEMENTS", "write_statement"]

LARGEST = 48  # elements of an item
UNARY = (
    "F.relu({0})", "torch.tanh({0})", "{0}.sigmoid()", "F.gelu({0})", "F.silu({0})", "F.softplus({0})",
    "F.leaky_relu({0}, 0.2)", "{0}.abs()", "torch.sin({0})", "{0}.exp().clamp(max=3)", "(1 + {0}.abs()).log()",
    "{0}.clamp(-1, 1)", "-{0}", "{0}.square().clamp(max=5)", "F.elu({0})", "F.hardtanh({0})", "{0}.softmax(-1)",
    "F.log_softmax({0}, dim=-1)", "{0}.cumsum(-1)", "{0}.flip(-1)", "{0}.roll(1, -1)", "F.normalize({0}, dim=-1)",
    "{0} - {0}.mean(-1, keepdim=True)", "{0} / (1 + {0}.norm(dim=-1, keepdim=True))", "F.layer_norm({0}, {0}.shape[1:])",
    "{0}.sort(-1).values", "{0}.contiguous()", "{0}.clone()", "torch.nan_to_num({0})", "{0}.masked_fill({0} > 1, 0.25)",
    "{0}.to(torch.float64).sin().float()", "{0}.type_as({0})", "({0} > 0).float() * {0}", "{0}.detach() * {0}",
    "{0} + (torch.round({0}) - {0}).detach()", "torch.stack([{0}, {0} * 2]).sum(0)", "{0} * {0}.new_ones({0}.shape[-1])",
    "{0} + torch.arange({0}.shape[-1]) / {0}.shape[-1]", "{0} + torch.zeros({0}.shape)", "{0}[:]", "{0} - {0}.mean(0)",
    "sum([{0}, {0}.sin(), 1])", "{0} / {0}.shape[0]", "{0} / math.sqrt({0}.shape[-1])", "+{0}",
    "{0} @ torch.eye({0}.shape[-1])", "{0}.view({0}.size())", "{0}.reshape(len({0}), *{0}.shape[1:])", "{0}.add(0.5)",
    "torch.where({0} > {0}.mean(), {0}, torch.zeros_like({0}))", "{0}.gather(-1, {0}.argsort(-1))",
    "{0} * torch.tensor(0.7)", "{0} + torch.linspace(0, 1, {0}.shape[-1])", "torch.clamp({0}, min=-0.5)", "{0}.mul(2).div(3)",
)  # fmt: skip
BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (1 + {1}.abs())", "torch.where({0} > {1}, {0}, {1} * 2)",
    "torch.maximum({0}, {1})", "torch.lerp({0}, {1}, 0.3)", "torch.addcmul({0}, {1}, {1}, value=0.5)",
    "{0} * torch.sigmoid({1})", "{0} + 0.1 * {1}.detach()", "torch.add({0}, {1}, alpha=2)", "{0}.sub({1})",
    "({0} - {1}).square()", "F.smooth_l1_loss({0}, {1}, reduction='none')", "{0} * ({1} > 0)",
)  # fmt: skip
NUMBERS = ("{0} * {c}", "{c} * {0}", "{0} + {c}", "{c} - {0}", "{0} / {c}", "{c} / (1 + {0}.abs())", "{0} - {c}")
RANDOM = (
    "{0} + torch.randn_like({0})", "F.dropout({0}, 0.3, self.training)", "F.dropout({0}, p=0.2)",
    "{0} * torch.bernoulli(torch.sigmoid({0}))", "{0} + torch.rand({0}.shape)", "{0} + torch.randn({0}.shape[0], {d}).view({0}.shape)",
    "{0} * torch.rand(len({0}), *[1] * ({0}.dim() - 1))", "{0}[torch.randperm({0}.shape[0])]",
    "torch.distributions.Normal({0}, 1.0).rsample()", "{0} + torch.empty_like({0}).uniform_(-1, 1)",
    "{0} + torch.randint(0, 3, {0}.shape)", "F.gumbel_softmax({0}, tau=0.7)", "{0} + torch.normal(0.0, 1.0, {0}.shape)",
)  # fmt: skip


def unary(w: Writer) -> None:
    value = w.any(1)
    if value:
        w.new(w.pick(UNARY).format(value.name), value.shape)


def binary(w: Writer) -> None:
    value = w.any()
    if value:
        w.new(w.pick(BINARY).format(value.name, w.like(value).name), value.shape)


def nested(w: Writer) -> None:
    """Several operations in one expression."""
    value = w.any(1)
    if value:
        inner = f"({w.pick(UNARY).format(value.name)})"
        outer = w.pick(NUMBERS).format(inner, c=w.number())
        w.new(w.pick(BINARY).format(f"({outer})", w.like(value).name), value.shape)


def numbers(w: Writer) -> None:
    value = w.any()
    if value:
        w.new(w.pick(NUMBERS).format(value.name, c=w.number()), value.shape)


def random(w: Writer) -> None:
    value = w.any(1)
    if value:
        size = 1
        for side in value.shape:
            size *= side
        w.new(w.pick(RANDOM).format(value.name, d=size), value.shape)


def reduce(w: Writer) -> None:
    value = w.any(2)
    if value:
        call = w.pick(
            ["{0}.mean(-1)", "{0}.sum(dim=-1)", "{0}.amax(-1)", "{0}.max(-1).values", "torch.logsumexp({0}, -1)"]
        )
        w.new(call.format(value.name), value.shape[:-1])


def reshape(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    name, shape = value
    options: list[tuple[str, tuple[int, ...]]] = [
        (f"{name}.unsqueeze(1)", (1, *shape)),
        (f"{name}[:, None]", (1, *shape)),
    ]
    if len(shape) > 1:
        flat = 1
        for side in shape:
            flat *= side
        options += [(f"{name}.flatten(1)", (flat,)), (f"{name}.reshape({name}.shape[0], -1)", (flat,))]
        options += [(f"{name}.view(len({name}), {flat})", (flat,))] if w.maybe(0.3) else []
        swapped = (shape[1], shape[0], *shape[2:])
        options += [(f"{name}.transpose(1, 2)", swapped), (f"{name}.select(1, -1)", shape[1:])]
        options += [(f"{name}[:, 0]", shape[1:]), (f"{name}.mean(1)", shape[1:])]
        order = ", ".join(map(str, [0, 2, 1, *range(3, len(shape) + 1)]))
        options.append((f"{name}.permute({order})", swapped))
    if shape[0] == 1 and len(shape) > 1:
        options += [
            (f"{name}.squeeze(1)", shape[1:]),
            (f"{name}.expand(-1, 2, {', '.join(['-1'] * (len(shape) - 1))})", (2, *shape[1:])),
        ]
    last = shape[-1]
    if last % 2 == 0:
        options += [(f"{name}.unflatten(-1, (2, {last // 2}))", (*shape[:-1], 2, last // 2))]
        options += (
            [(f"{name}.view(*{name}.shape[:-1], {last // 2}, 2)", (*shape[:-1], last // 2, 2))]
            if len(shape) == 1
            else []
        )
        options += [(f"{name}[..., ::2]", (*shape[:-1], last // 2))]
    if last > 1:
        options += [(f"{name}[..., 1:]", (*shape[:-1], last - 1)), (f"{name}[..., :-1]", (*shape[:-1], last - 1))]
        options += [
            (f"{name}.narrow(-1, 0, {last - 1})", (*shape[:-1], last - 1)),
            (f"F.pad({name}, (1, 0))", (*shape[:-1], last + 1)),
        ]
        options += [(f"{name}.index_select(-1, torch.tensor([0, {last - 1}, 0]))", (*shape[:-1], 3))]
        options += [(f"{name}.topk(2, -1)[0]", (*shape[:-1], 2)), (f"{name}.diff(dim=-1)", (*shape[:-1], last - 1))]
    options.append((f"{name}.repeat_interleave(2, -1)", (*shape[:-1], 2 * last)))
    expression, result = w.pick([o for o in options if 0 < product(o[1]) <= LARGEST] or options)
    w.new(expression, result)


def product(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def join(w: Writer) -> None:
    value = w.any(1)
    if value is None or product(value.shape) * 2 > LARGEST:
        return
    other, last = w.like(value).name, value.shape[-1]
    doubled = (*value.shape[:-1], 2 * last)
    expression, shape = w.pick(
        [
            (f"torch.cat([{value.name}, {other}], -1)", doubled),
            (f"torch.cat(({value.name}, {other} * 2), dim=-1)", doubled),
            (f"torch.stack([{value.name}, {other}], 1)", (2, *value.shape)),
            (f"torch.cat([part * 2 for part in ({value.name}, {other})], -1)", doubled),
        ]
    )
    w.new(expression, shape)


def part(w: Writer) -> None:
    """Several results of one call, taken apart."""
    value = w.any(1)
    if value is None or value.shape[-1] % 2 or value.shape[-1] < 2:
        return
    half, k = value.shape[-1] // 2, len(w.lines)
    shape = (*value.shape[:-1], half)
    one, two = w.pick([("mean", "scale"), ("a", "b"), ("left", "_"), ("q", "k"), ("x", "y")])
    one, two = (f"{one}{k}", f"{two}{k}") if w.maybe(0.5) and two != "_" else (one, two)
    call = w.pick(
        [
            "{0}.chunk(2, -1)",
            "{0}.chunk(2, dim=-1)",
            "{0}.split({h}, -1)",
            "torch.split({0}, [{h}, {h}], dim=-1)",
            "torch.tensor_split({0}, 2, dim=-1)",
        ]
    )
    w.add(f"{one}, {two} = {call.format(value.name, h=half)}")
    w.hold(one, shape)
    if two != "_":
        w.hold(two, shape)


def attention(w: Writer) -> None:
    value = w.any(2, 2)
    if value is None:
        return
    name, (length, width) = value
    w.new(
        w.pick(
            [
                f"torch.softmax({name} @ {name}.transpose(1, 2) / {width**0.5}, -1) @ {name}",
                f"F.scaled_dot_product_attention({name}, {name}, {name})",
                f"torch.einsum('nij,nkj->nik', {name}, {name}).tanh() @ {name}",
                f"torch.bmm({name}.transpose(1, 2), {name}).tanh().transpose(1, 2).matmul({name}.transpose(1, 2)).transpose(1, 2)",
            ]
        ),
        (length, width),
    )


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
            (f"nn.Dropout2d(0.3)", value.shape, "drop"),
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


def in_place(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    start = w.pick(
        [
            "{0}.clone()",
            "{0} * 2",
            "torch.zeros_like({0})",
            "{0}.new_zeros({0}.shape)",
            "{0} + 1",
            "{0}.contiguous()",
            "{0}",
        ]
        + ["F.dropout({0}, 0.3, self.training)", "{0}.reshape({0}.shape)", "{0}.to(torch.float32)", "-{0}"]
    )
    made = w.new(start.format(value.name), value.shape)
    name, last, other = made.name, made.shape[-1], w.like(value).name
    for _ in range(w.pick([1, 1, 2, 3])):
        w.add(
            w.pick(
                [
                    f"{name}.add_({other})" if other != name else f"{name}.add_(1)",
                    f"{name}.mul_(0.5)",
                    f"{name} += 1.5",
                    f"{name} *= {other}.detach()" if other != name else f"{name} *= 2",
                    f"{name}[:, :1] = 0.25",
                    f"{name}[..., {last - 1}] = {other}[..., 0] * 2" if other != name else f"{name}[..., 0] = 1",
                    f"{name}[:, 0].mul_(2)",
                    f"{name}[..., :1].copy_({other}[..., -1:])" if other != name else f"{name}[..., 0].zero_()",
                    f"{name}.masked_fill_({name} > 1, 0)",
                    f"{name}[{name} > 0.5] = 0.1" if w.maybe(0.3) else f"{name}.clamp_(-2, 2)",
                    f"{name}.flatten(1)[:, 0].add_(1)" if w.maybe(0.3) else f"{name}.neg_()",
                    f"torch.add({name}, 1, out={name})" if w.maybe(0.05) else f"{name}.div_(2)",
                ]
            )
        )


def view_and_write(w: Writer) -> None:
    """A view taken before a write into what it views, or the other way round."""
    value = w.any(1)
    if value is None or product(value.shape) > LARGEST // 2:
        return
    made = w.new(f"{value.name} * 1.5", value.shape)
    name, k = made.name, len(w.lines)
    view, shape = w.pick(
        [
            (f"{name}[..., 0]", value.shape[:-1]),
            (f"{name}.flatten(1)", (product(value.shape),)),
            (f"{name}.view(-1, {product(value.shape)})", (product(value.shape),)),
            (f"{name}.unsqueeze(1)", (1, *value.shape)),
            (f"{name}[:, :1]", (1, *value.shape[1:])),
            (f"{name}.transpose(0, 1).transpose(0, 1)", value.shape),
        ]
    )
    w.add(f"view{k} = {view}")
    w.add(
        w.pick(
            [
                f"{name}.add_(1)",
                f"view{k}.mul_(3)",
                f"{name}.zero_()",
                f"view{k}[:] = 0.5",
                f"view{k} += 2",
                f"{name}[:, 0] = 4",
            ]
        )
    )
    if w.maybe(0.5):
        w.add(w.pick([f"{name}.mul_(2)", f"view{k}.sub_(1)"]))
    w.hold(f"view{k}", shape)


def buffer(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    last = value.shape[-1]
    kind = w.chance.randrange(7)
    over = ", ".join(map(str, range(len(value.shape))))
    if kind == 0:
        name = w.buffer(w.pick(["torch.zeros(())", "torch.tensor(0)", "torch.zeros((), dtype=torch.long)"]))
        w.add(f"{name} += 1")
        w.new(f"{value.name} / (1 + {name})", value.shape)
    elif kind == 1:
        name = w.buffer(f"torch.ones({last})")
        condition = "if self.training:"
        if w.maybe(0.6):
            w.add(condition)
            w.add(f"    {name}.mul_(0.9).add_(0.1 * {value.name}.detach().mean(({over},)))")
        else:
            w.add(f"{name}.lerp_({value.name}.detach().mean(({over},)), 0.1)")
        w.new(f"{value.name} * {name}", value.shape)
    elif kind == 2:
        name = w.buffer(f"torch.zeros({last})")
        w.new(f"{value.name} + {name}", value.shape)
        w.add(f"{name} = {value.name}.detach().mean(({over},))")
    elif kind == 3:
        name = w.buffer(f"torch.tril(torch.ones({last}, {last}))")
        w.new(f"{value.name} @ {name}", value.shape)
    elif kind == 4:
        name = w.buffer(f"torch.arange({last}) % 2 == 0")
        w.new(f"torch.where({name}, {value.name}, -{value.name})", value.shape)
    elif kind == 5:
        name = w.buffer(f"torch.randn(3, {last})")
        w.add("with torch.no_grad():")
        w.add(f"    {name}[0] = {value.name}.detach().mean(({over},))")
        w.add(f"    {name}[1:].mul_(0.5)")
        w.new(f"{value.name} - {name}.sum(0)", value.shape)
    else:
        name = w.buffer(f"torch.randn({last})")
        w.new(f"{value.name} + {name}.roll(1)", value.shape)
        w.add(f"{name}.copy_({name} * 0.5 + 1)")


def branch(w: Writer) -> None:
    """Control flow on shapes, on the mode, on attributes."""
    value = w.any(1)
    if value is None or w.indent > 2:
        return
    one, two = w.pick(UNARY).format(value.name), w.pick(UNARY).format(value.name)
    kind = w.chance.randrange(6)
    name = f"picked{len(w.lines)}"
    if kind == 0:
        w.add(f"if {value.name}.shape[-1] > 3:")
        w.add(f"    {name} = {one}")
        w.add("else:")
        w.add(f"    {name} = {two}")
    elif kind == 1:
        w.add(f"if self.training:")
        w.add(f"    {name} = {one}")
        w.add("else:")
        w.add(f"    {name} = {two}")
    elif kind == 2:
        w.add(f"{name} = {one} if {value.name}.dim() == 2 else {two}")
    elif kind == 3:
        flag = w.member(w.pick(["True", "False", "None", "3"]), "flag")
        w.add(f"{name} = {value.name}")
        w.add(f"if {flag}:")
        w.add(f"    {name} = {one}")
    elif kind == 4:
        w.add(f"{name} = {value.name}")
        w.add(f"while {name}.shape[-1] < 6:")
        w.add(f"    {name} = torch.cat([{name}, {name}[..., :1]], -1)")
        w.hold(name, (*value.shape[:-1], max(6, value.shape[-1])))
        return
    else:
        w.add(f"{name} = {one}")
        w.add(f"if {name}.requires_grad or self.training:" if w.maybe(0.3) else f"if len({name}) > 0:")
        w.add(f"    {name} = {two} + {name}")
    w.hold(name, value.shape)


def loop(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    name, k, last = f"run{len(w.lines)}", w.pick([2, 3, 4]), value.shape[-1]
    kind = w.chance.randrange(8)
    if kind == 0:
        layers = w.member(f"nn.ModuleList([nn.Linear({last}, {last}) for _ in range({k})])", "layers")
        w.add(f"{name} = {value.name}")
        w.add(f"for {w.pick(['layer', 'w', 'i', 'block', 'state'])}_ in {layers}:".replace("__", "_"))
        variable = w.lines[-1].split("for ")[1].split(" in ")[0]
        w.add(
            f"    {name} = {w.pick(['torch.tanh({l}({0}))', '{0} + {l}(F.relu({0}))', '{l}({0}).sigmoid() * {0}']).format(name, l=variable)}"
        )
    elif kind == 1:
        w.add(f"{name} = {value.name}")
        w.add(f"for i in range({k}):")
        w.add(
            f"    {name} = {w.pick(['{0} * (i + 1) + {1}', '{0}.sin() + i / 3', 'F.relu({0} - 0.1 * i) + {1}.tanh()']).format(name, value.name)}"
        )
    elif kind == 2:
        w.add(f"{name} = {value.name} * 0")
        w.add(f"for column in {value.name}.unbind(1):")
        w.add(
            f"    {name} = {name} + column.tanh().view(len(column), *[1] * ({value.name}.dim() - 1), *column.shape[1:])[:, {'0, ' * (len(value.shape) - 1)}:1]"
            if len(value.shape) == 1
            else f"    {name} = {name} + column.tanh().unsqueeze(1)"
        )
    elif kind == 3:
        w.add(f"collected = []")
        w.add(f"{name} = {value.name}")
        w.add(f"for step in range({k}):")
        w.add(f"    {name} = torch.tanh({name} * {w.number()})")
        w.add(f"    collected.append({name}.mean(-1, keepdim=True))")
        w.add(f"joined = torch.cat(collected, {w.pick(['-1', 'dim=-1'])})")
        w.hold("joined", (*value.shape[:-1], k))
    elif kind == 4:
        scales = w.member(f"nn.ParameterList([nn.Parameter(torch.rand({last})) for _ in range({k})])", "scales")
        w.add(f"{name} = {value.name}")
        w.add(f"for p, q in zip({scales}, reversed({scales})):")
        w.add(f"    {name} = ({name} * p + q).tanh()")
    elif kind == 5:
        layers = w.member(f"nn.ModuleDict({{key: nn.Linear({last}, {last}) for key in {list('abc'[:k])!r}}})", "table")
        w.add(f"{name} = sum(layer({value.name}) for layer in {layers}.values())")
    elif kind == 6:
        w.add(f"{name} = {value.name}")
        w.add(f"for a_, b_ in [({name}, {value.name}.sin()), ({value.name}, {value.name}.cos())]:")
        w.add(f"    {name} = {name} * a_.sigmoid() + b_")
    else:
        w.add(f"memory = {value.name} * 0.5")
        w.add(f"{name} = {value.name}")
        w.add(f"for i in range({k}):")
        w.add(f"    {name}, memory = memory + {name}.tanh(), {name} * 0.3 + i")
        w.hold("memory", value.shape)
    w.hold(name, value.shape)


def container(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    other = w.like(value).name
    name = f"held{len(w.lines)}"
    kind = w.chance.randrange(5)
    if kind == 0:
        w.add(f"table = {{'a': {value.name}, 'b': {{'c': {other}.sin()}}}}")
        w.add(f"{name} = table['a'] * table['b']['c']")
    elif kind == 1:
        w.add(f"pairs = [({value.name}, 2), ({other}, 3)]")
        w.add(f"{name} = sum(tensor * factor for tensor, factor in pairs)")
    elif kind == 2:
        w.add(f"self._cache = {value.name}.tanh()")
        w.add(f"{name} = self._cache + {other}")
        w.add("del self._cache")
    elif kind == 3:
        w.add(f"first, *rest = ({value.name}, {other}, {value.name}.cos())")
        w.add(f"{name} = first + torch.stack(rest).mean(0)")
    else:
        w.add(f"{name} = (lambda t, scale=2: t * scale - t.mean(0))({value.name})")
    w.hold(name, value.shape)


def without_gradient(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    name = f"fixed{len(w.lines)}"
    w.add("with torch.no_grad():")
    w.add(f"    {name} = {w.pick(UNARY).format(value.name)}")
    if w.maybe(0.4):
        w.add(f"    {name} = {name} * {w.number()} + {w.like(value).name}")
    w.hold(name, value.shape)
    w.new(f"{value.name} + {name}", value.shape)


def helper(w: Writer) -> None:
    """A call of a function of the file, of a static method or of a closure."""
    value = w.any(1)
    if value is None:
        return
    kind = w.chance.randrange(4)
    if kind == 0:
        w.new(f"{w.program.function(w)}({value.name}, {w.like(value).name})", value.shape)
    elif kind == 1:
        name = w.member_name("mix")
        w.owner.methods.append(
            f"@staticmethod\ndef {name}(x, y=None, *, scale=1.0):\n    y = x if y is None else y\n    return {w.pick(BINARY).format('x', 'y')} * scale + y.tanh().exp().clamp(max=2)"
        )
        w.new(f"self.{name}({value.name}{w.pick(['', ', scale=0.5', f', {w.like(value).name}'])})", value.shape)
    elif kind == 2:
        name = f"inner{len(w.lines)}"
        w.add(f"def {name}(t, u=0.5):")
        w.add(f"    {w.pick(['t = t * u', 'u = t.sigmoid()', 't = t - 1'])}")
        w.add(f"    return {w.pick(UNARY).format('t')} + {value.name} * u")
        w.new(f"{name}({w.like(value).name})", value.shape)
        if w.maybe(0.5):
            w.new(f"{name}({value.name}, 2)", value.shape)
    else:
        name = w.member_name("recurse")
        w.owner.methods.append(
            f"def {name}(self, x, depth):\n    if depth == 0:\n        return x\n    return self.{name}(x.tanh() + x * depth, depth - 1).sin()"
        )
        w.new(f"self.{name}({value.name}, {w.pick([1, 2, 3])})", value.shape)


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


def scalar(w: Writer) -> None:
    """One number per item or for the batch, spread again."""
    value = w.any(1)
    if value is None:
        return
    ones = ", 1" * len(value.shape)
    w.new(
        w.pick(
            [
                f"{value.name} * {value.name}.flatten(1).mean(1).view(-1{ones})",
                f"{value.name} - {value.name}.mean()",
                f"{value.name} / (1 + {value.name}.abs().amax())",
                f"{value.name} * F.mse_loss({value.name}, {w.like(value).name}).tanh()",
                f"{value.name} + torch.linalg.vector_norm({value.name}.flatten(1), dim=1).view(-1{ones})",
                f"{value.name} * {value.name}.numel() / {value.name}.shape[0]",
            ]
        ),
        value.shape,
    )


def classes(w: Writer) -> None:
    """Whole numbers made on the way: codes, embeddings, one-hot vectors."""
    value = w.any(1, 1)
    if value is None:
        return
    last = value.shape[-1]
    kind = w.chance.randrange(4)
    if kind == 0:
        table = w.member(f"nn.Embedding({last}, {last})", "emb")
        w.new(f"{table}({value.name}.argmax(-1)) + {value.name}", value.shape)
    elif kind == 1:
        w.new(f"F.one_hot({value.name}.argmax(-1), {last}).float() + {value.name}", value.shape)
    elif kind == 2:
        table = w.member(f"nn.Embedding({last}, 3)", "emb")
        w.new(f"{value.name} @ {table}.weight", (3,))
    else:
        w.new(f"{value.name}.gather(1, {value.name}.argsort(1))", value.shape)


STATEMENTS: dict[Callable[[Writer], None], int] = {
    unary: 5, binary: 5, nested: 4, numbers: 3, random: 3, reduce: 1, reshape: 5, join: 2, part: 2, attention: 1, layer: 6,
    parameter: 4, tied: 2, in_place: 3, view_and_write: 2, buffer: 3, branch: 3, loop: 3, container: 2,
    without_gradient: 1, helper: 2, block: 4, scalar: 2, classes: 1,
}  # fmt: skip


def write_statement(w: Writer) -> None:
    (statement,) = w.chance.choices(list(STATEMENTS), weights=list(STATEMENTS.values()))
    statement(w)


def last_value(w: Writer) -> Value:
    return w.values[-1]
