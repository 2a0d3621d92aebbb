"""Statements of one expression: arithmetic, functions of torch, random draws, reductions."""

from __future__ import annotations

from .writing import Writer

__all__ = [
    "BINARY",
    "LARGEST",
    "NUMBERS",
    "RANDOM",
    "UNARY",
    "attention",
    "binary",
    "classes",
    "nested",
    "numbers",
    "product",
    "random",
    "reduce",
    "scalar",
    "unary",
]

LARGEST = 48  # elements of an item
UNARY = (
    "F.relu({0})", "torch.tanh({0})", "{0}.sigmoid()", "F.gelu({0})", "F.silu({0})", "F.softplus({0})",
    "F.leaky_relu({0}, 0.2)", "{0}.abs()", "torch.sin({0})", "{0}.exp().clamp(max=3)", "(1 + {0}.abs()).log()",
    "{0}.clamp(-1, 1)", "-{0}", "{0}.square().clamp(max=5)", "F.elu({0})", "F.hardtanh({0})", "{0}.softmax(-1)",
    "F.log_softmax({0}, dim=-1)", "{0}.cumsum(-1)", "{0}.flip(-1)", "{0}.roll(1, -1)", "F.normalize({0}, dim=-1)",
    "{0} - {0}.mean(-1, keepdim=True)", "{0} / (1 + {0}.norm(dim=-1, keepdim=True))",
    "F.layer_norm({0}, {0}.shape[1:])", "{0}.sort(-1).values", "{0}.contiguous()", "{0}.clone()",
    "torch.nan_to_num({0})", "{0}.masked_fill({0} > 1, 0.25)", "{0}.to(torch.float64).sin().float()",
    "{0}.type_as({0})", "({0} > 0).float() * {0}", "{0}.detach() * {0}", "{0} + (torch.round({0}) - {0}).detach()",
    "torch.stack([{0}, {0} * 2]).sum(0)", "{0} * {0}.new_ones({0}.shape[-1])",
    "{0} + torch.arange({0}.shape[-1]) / {0}.shape[-1]", "{0} + torch.zeros({0}.shape)", "{0}[:]", "{0} - {0}.mean(0)",
    "sum([{0}, {0}.sin(), 1])", "{0} / {0}.shape[0]", "{0} / math.sqrt({0}.shape[-1])", "+{0}",
    "{0} @ torch.eye({0}.shape[-1])", "{0}.view({0}.size())", "{0}.reshape(len({0}), *{0}.shape[1:])", "{0}.add(0.5)",
    "torch.where({0} > {0}.mean(), {0}, torch.zeros_like({0}))", "{0}.gather(-1, {0}.argsort(-1))",
    "{0} * torch.tensor(0.7)", "{0} + torch.linspace(0, 1, {0}.shape[-1])", "torch.clamp({0}, min=-0.5)",
    "{0}.mul(2).div(3)",
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
    "{0} * torch.bernoulli(torch.sigmoid({0}))", "{0} + torch.rand({0}.shape)",
    "{0} + torch.randn({0}.shape[0], {d}).view({0}.shape)", "{0} * torch.rand(len({0}), *[1] * ({0}.dim() - 1))",
    "{0}[torch.randperm({0}.shape[0])]", "torch.distributions.Normal({0}, 1.0).rsample()",
    "{0} + torch.empty_like({0}).uniform_(-1, 1)", "{0} + torch.randint(0, 3, {0}.shape)",
    "F.gumbel_softmax({0}, tau=0.7)", "{0} + torch.normal(0.0, 1.0, {0}.shape)",
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


def product(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


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
                f"torch.bmm({name}.transpose(1, 2), {name}).tanh().transpose(1, 2)"
                f".matmul({name}.transpose(1, 2)).transpose(1, 2)",
            ]
        ),
        (length, width),
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
