"""Statements of models of sequences: recurrent layers, attention with masks, and values put where others point."""

from __future__ import annotations

from .writing import Writer

__all__ = ["masked_attention", "pointed", "recurrent"]

MASKS = (
    "torch.tril(torch.ones({length}, {length})) == 0", "torch.triu(torch.ones({length}, {length}), 1).bool()",
    "torch.arange({length})[:, None] < torch.arange({length})", "torch.eye({length}, dtype=torch.bool).roll(1, 0)",
)  # fmt: skip
POINTED = (
    "torch.zeros_like({0}).scatter_add(-1, {0}.argsort(-1), {0})",
    "torch.zeros_like({0}).scatter(-1, {0}.argmax(-1, keepdim=True), 1.0) * {0}",
    "{0}.scatter(-1, {0}.argmin(-1, keepdim=True), 0.5)", "torch.take_along_dim({0}, {0}.argsort(-1), -1)",
    "{0}.masked_fill({0} < {0}.amax(-1, keepdim=True), 0.0)", "torch.where({0} > 0, {0}, {0}.exp() - 1)",
    "{0}.index_add(-1, torch.tensor([0]), {0}[..., -1:])", "{0}.index_fill(-1, torch.tensor([0]), 1.5)",
    "{0}.cumsum(-1).tanh().cumprod(-1)", "{0}.cummax(-1).values", "{0}.where({0} > {0}.median(), 0.1 * {0})",
    "{0} * ({0} >= {0}.sort(-1).values[..., :1])", "torch.bucketize({0}, torch.linspace(-1, 1, 5)) * 0.1 + {0}",
    "{0} * torch.isfinite({0})", "{0} - {0}.logsumexp(-1, keepdim=True)", "{0}.movedim(-1, 1).movedim(1, -1)",
)  # fmt: skip


def recurrent(w: Writer) -> None:
    """An LSTM, a GRU or a plain recurrent layer over [n, length, width], or a cell in a loop."""
    value = w.any(2, 2)
    if value is None:
        return
    name, (length, width) = value
    kind, size = w.chance.randrange(5), w.pick([2, 3])
    last = f"state{len(w.lines)}"
    if kind == 0:
        layer = w.member(f"nn.GRU({width}, {size}, batch_first=True)", "rnn")
        w.new(f"{layer}({name})[0]", (length, size))
    elif kind == 1:
        layer = w.member(f"nn.LSTM({width}, {size}, num_layers={w.pick([1, 2])}, batch_first=True)", "rnn")
        out = f"seen{len(w.lines)}"
        w.add(f"{out}, ({last}, _) = {layer}({name})")
        w.hold(out, (length, size))
        w.new(f"{last}[-1].tanh()", (size,))
    elif kind == 2:
        layer = w.member(f"nn.GRU({width}, {size}, batch_first=True, bidirectional=True)", "rnn")
        w.add(f"_, {last} = {layer}({name})")
        w.new(f"{last}.transpose(0, 1).flatten(1)", (2 * size,))
    elif kind == 3:
        cell = w.member(f"nn.GRUCell({width}, {size})", "cell")
        w.add(f"{last} = {name}.new_zeros({name}.shape[0], {size})")
        w.add(f"for t in range({name}.shape[1]):")
        w.add(f"    {last} = {cell}({name}[:, t], {last})")
        w.hold(last, (size,))
    else:
        layer = w.member(f"nn.RNN({width}, {width}, nonlinearity='relu')", "rnn")
        w.new(f"{layer}({name}.transpose(0, 1))[0].transpose(0, 1) + {name}", (length, width))


def masked_attention(w: Writer) -> None:
    value = w.any(2, 2)
    if value is None or value.shape[1] % 2:
        return
    name, (length, width) = value
    mask = w.pick(MASKS).format(length=w.pick([str(length), f"{name}.shape[1]", f"{name}.size(-2)"]))
    kind = w.chance.randrange(6)
    if kind == 0:
        w.add(f"scores = {name} @ {name}.mT / math.sqrt({width})")
        w.add(f"scores = scores.masked_fill({mask}, {w.pick(['-1e9', 'torch.finfo(scores.dtype).min'])})")
        w.new(f"scores.softmax(dim=-1) @ {name}", value.shape)
    elif kind == 1:
        w.new(f"F.scaled_dot_product_attention({name}, {name}, {name}, is_causal=True)", value.shape)
    elif kind == 2:
        held = w.buffer(f"torch.tril(torch.ones({length}, {length}, dtype=torch.bool))")
        w.new(f"F.scaled_dot_product_attention({name}, {name}, {name}, attn_mask={held})", value.shape)
    elif kind == 3:
        layer = w.member(f"nn.MultiheadAttention({width}, {w.pick([1, 2])}, batch_first=True)", "attn")
        w.add(f"attended, _ = {layer}({name}, {name}, {name}{w.pick(['', ', need_weights=False'])})")
        w.hold("attended", value.shape)
    elif kind == 4:
        heads = w.member(f"nn.Linear({width}, {3 * width})", "qkv")
        w.add(f"q, k, v = {heads}({name}).view({name}.shape[0], -1, 3, 2, {width // 2}).permute(2, 0, 3, 1, 4)")
        w.add("weights_ = torch.einsum('bhid,bhjd->bhij', q, k).softmax(-1)")
        w.new(f"torch.einsum('bhij,bhjd->bihd', weights_, v).reshape({name}.shape)", value.shape)
    else:
        options = w.pick(["norm_first=True", "activation='gelu'", "dropout=0.0"])
        layer = w.member(f"nn.TransformerEncoderLayer({width}, 1, 6, batch_first=True, {options})", "encoder")
        w.new(f"{layer}({name})", value.shape)


def pointed(w: Writer) -> None:
    """Scatter, gather, masks and running values."""
    value = w.any(1)
    if value:
        w.new(w.pick(POINTED).format(value.name), value.shape)
