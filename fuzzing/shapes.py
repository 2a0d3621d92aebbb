"""Statements that change a shape: views, joins, parts."""

from __future__ import annotations

from .expressions import LARGEST, product
from .writing import Writer

__all__ = ["join", "part", "reshape"]


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
