"""Statements that write in place: into values, through views, into buffers."""

from __future__ import annotations

from .expressions import LARGEST, product
from .writing import Writer

__all__ = ["buffer", "in_place", "view_and_write"]


def in_place(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    start = w.pick(
        "{0}.clone() {0}*2 torch.zeros_like({0}) {0}.new_zeros({0}.shape) {0}+1 {0}.contiguous() {0} -{0} "
        "F.dropout({0},0.3,self.training) {0}.reshape({0}.shape) {0}.to(torch.float32)".split()
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
                    f"with torch.no_grad(): torch.add({name}, 1, out={name})" if w.maybe(0.05) else f"{name}.div_(2)",
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
