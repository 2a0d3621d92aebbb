"""Attention: DiT with adaLN-zero, Llama with rotary embeddings, torch's own layers, caches."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def timestep_embedding(t, dim, max_period=10000):
    half = dim // 2
    freqs = torch.exp(-math.log(max_period) * torch.arange(start=0, end=half, dtype=torch.float32) / half).to(
        device=t.device
    )
    args = t[:, None].float() * freqs[None]
    embedding = torch.cat([torch.cos(args), torch.sin(args)], dim=-1)
    if dim % 2:
        embedding = torch.cat([embedding, torch.zeros_like(embedding[:, :1])], dim=-1)
    return embedding


def modulate(x, shift, scale):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class LabelEmbedder(nn.Module):
    def __init__(self, num_classes, hidden_size, dropout_prob):
        super().__init__()
        self.embedding_table = nn.Embedding(num_classes + 1, hidden_size)
        self.num_classes, self.dropout_prob = num_classes, dropout_prob

    def token_drop(self, labels):
        drop_ids = torch.rand(labels.shape[0], device=labels.device) < self.dropout_prob
        return torch.where(drop_ids, self.num_classes, labels)

    def forward(self, labels, train):
        if train and self.dropout_prob > 0:
            labels = self.token_drop(labels)
        return self.embedding_table(labels)


class DiTBlock(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden, elementwise_affine=False, eps=1e-6)
        self.qkv, self.proj, self.heads = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden), heads
        self.norm2 = nn.LayerNorm(hidden, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.GELU(approximate="tanh"), nn.Linear(2 * hidden, hidden)
        )
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 6 * hidden, bias=True))
        nn.init.constant_(self.adaLN_modulation[-1].weight, 0)
        nn.init.constant_(self.adaLN_modulation[-1].bias, 0)

    def attn(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, C))

    def forward(self, x, c):
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate_msa.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        x = x + gate_mlp.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return x


class DiT(nn.Module):
    def __init__(self, size=8, patch=2, channels=3, hidden=12, depth=3, classes=10):
        super().__init__()
        self.x_embedder = nn.Conv2d(channels, hidden, patch, patch)
        self.t_embedder = nn.Sequential(nn.Linear(16, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.y_embedder = LabelEmbedder(classes, hidden, 0.1)
        self.pos_embed = nn.Parameter(torch.randn(1, (size // patch) ** 2, hidden), requires_grad=False)
        self.blocks = nn.ModuleList([DiTBlock(hidden, 3) for _ in range(depth)])
        self.final, self.patch, self.channels = nn.Linear(hidden, patch * patch * channels), patch, channels

    def unpatchify(self, x):
        c, p = self.channels, self.patch
        h = w = int(x.shape[1] ** 0.5)
        assert h * w == x.shape[1]
        x = x.reshape(shape=(x.shape[0], h, w, p, p, c))
        x = torch.einsum("nhwpqc->nchpwq", x)
        return x.reshape(shape=(x.shape[0], c, h * p, h * p))

    def forward(self, x, t, y):
        x = self.x_embedder(x).flatten(2).transpose(1, 2) + self.pos_embed
        t = self.t_embedder(timestep_embedding(t, 16))
        c = t + self.y_embedder(y, self.training)
        for block in self.blocks:
            x = block(x, c)
        return self.unpatchify(self.final(x))

    def forward_with_cfg(self, x, t, y, cfg_scale):
        half = x[: len(x) // 2] if False else x
        combined = torch.cat([half, half], dim=0)
        out = self.forward(combined, torch.cat([t, t]), torch.cat([y, torch.full_like(y, 10)]))
        cond, uncond = torch.split(out, len(out) // 2, dim=0)
        return uncond + cfg_scale * (cond - uncond)


def noisy(n):
    return torch.randn(n, 3, 8, 8), torch.randint(0, 1000, (n,)), torch.randint(0, 10, (n,))


def test_dit(check):
    emitted = check(DiT(), noisy)
    assert "for block in w.blocks" in emitted.text


def test_classifier_free_guidance(check):
    check(DiT(), lambda n: (*noisy(n), 4.0), entries=("forward_with_cfg",))


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def _norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    def forward(self, x):
        return self._norm(x.float()).type_as(x) * self.weight


def rotary(xq, xk, freqs_cis):
    xq_ = torch.view_as_complex(xq.float().reshape(*xq.shape[:-1], -1, 2))
    xk_ = torch.view_as_complex(xk.float().reshape(*xk.shape[:-1], -1, 2))
    freqs_cis = freqs_cis.view(*[d if i == 1 or i == xq_.ndim - 1 else 1 for i, d in enumerate(xq_.shape)])
    xq_out = torch.view_as_real(xq_ * freqs_cis).flatten(3)
    xk_out = torch.view_as_real(xk_ * freqs_cis).flatten(3)
    return xq_out.type_as(xq), xk_out.type_as(xk)


def repeat_kv(x, n_rep):
    bs, slen, n_kv_heads, head_dim = x.shape
    if n_rep == 1:
        return x
    return (
        x[:, :, :, None, :]
        .expand(bs, slen, n_kv_heads, n_rep, head_dim)
        .reshape(bs, slen, n_kv_heads * n_rep, head_dim)
    )


class LlamaBlock(nn.Module):
    def __init__(self, dim=8, heads=4, kv=2):
        super().__init__()
        self.heads, self.kv, self.hd = heads, kv, dim // heads
        self.wq, self.wo = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.wk, self.wv = (nn.Linear(dim, kv * self.hd, bias=False) for _ in range(2))
        self.w1, self.w3 = (nn.Linear(dim, 3 * dim, bias=False) for _ in range(2))
        self.w2 = nn.Linear(3 * dim, dim, bias=False)
        self.attention_norm, self.ffn_norm = RMSNorm(dim), RMSNorm(dim)

    def attention(self, x, freqs_cis, mask):
        bsz, seqlen, _ = x.shape
        xq, xk, xv = self.wq(x), self.wk(x), self.wv(x)
        xq = xq.view(bsz, seqlen, self.heads, self.hd)
        xk = xk.view(bsz, seqlen, self.kv, self.hd)
        xv = xv.view(bsz, seqlen, self.kv, self.hd)
        xq, xk = rotary(xq, xk, freqs_cis=freqs_cis)
        keys, values = repeat_kv(xk, self.heads // self.kv), repeat_kv(xv, self.heads // self.kv)
        xq, keys, values = xq.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
        scores = torch.matmul(xq, keys.transpose(2, 3)) / math.sqrt(self.hd)
        if mask is not None:
            scores = scores + mask
        scores = F.softmax(scores.float(), dim=-1).type_as(xq)
        return self.wo(torch.matmul(scores, values).transpose(1, 2).contiguous().view(bsz, seqlen, -1))

    def forward(self, x, freqs_cis, mask):
        h = x + self.attention(self.attention_norm(x), freqs_cis, mask)
        return h + self.w2(F.silu(self.w1(self.ffn_norm(h))) * self.w3(self.ffn_norm(h)))


class Llama(nn.Module):
    """The table of rotations is a plain attribute, as in the original."""

    def __init__(self, vocab=9, layers=3, length=6):
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab, 8)
        self.layers = nn.ModuleList(LlamaBlock() for _ in range(layers))
        self.norm, self.output = RMSNorm(8), nn.Linear(8, vocab, bias=False)
        freqs = 1.0 / (10000.0 ** (torch.arange(0, 2, 2)[:1].float() / 2))
        self.freqs_cis = torch.polar(torch.ones(2 * length, 1), torch.outer(torch.arange(2 * length).float(), freqs))

    def forward(self, tokens, start_pos):
        _bsz, seqlen = tokens.shape
        h = self.tok_embeddings(tokens)
        self.freqs_cis = self.freqs_cis.to(h.device)
        freqs_cis = self.freqs_cis[start_pos : start_pos + seqlen]
        mask = None
        if seqlen > 1:
            mask = torch.full((seqlen, seqlen), float("-inf"), device=tokens.device)
            mask = torch.triu(mask, diagonal=1)
            mask = torch.hstack([torch.zeros((seqlen, start_pos), device=tokens.device), mask]).type_as(h)
        for layer in self.layers:
            h = layer(h, freqs_cis, mask)
        return self.output(self.norm(h)).float()

    def loss(self, tokens):
        logits = self(tokens[:, :-1], 0)
        return F.cross_entropy(logits.reshape(-1, logits.size(-1)), tokens[:, 1:].reshape(-1), ignore_index=-100)


def test_llama(check):
    check(Llama(), lambda n: torch.randint(0, 9, (n, 6)), loss="loss", entries=())


class TorchEncoder(nn.Module):
    def __init__(self, norm_first=False, activation="relu"):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.1, batch_first=True, norm_first=norm_first, activation=activation
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.size(1))
        return self.encoder(self.embed(x), mask=mask, is_causal=True)


@pytest.mark.parametrize("norm_first", [False, True])
def test_torch_transformer_encoder(check, norm_first):
    check(TorchEncoder(norm_first, "gelu" if norm_first else "relu"), lambda n: torch.randn(n, 5, 3), exact=False)


class TorchDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

    def forward(self, src, tgt):
        return self.transformer(src, tgt, tgt_mask=self.transformer.generate_square_subsequent_mask(tgt.size(1)))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_torch_transformer(check):
    check(TorchDecoder(), lambda n: (torch.randn(n, 5, 8), torch.randn(n, 4, 8)), exact=False)


class Attention(nn.Module):
    def __init__(self, need_weights, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)
        self.need_weights = need_weights

    def forward(self, x, context, padding):
        out, weights = self.attention(x, context, context, key_padding_mask=padding, need_weights=self.need_weights)
        return (out, weights) if self.need_weights else out


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"kdim": 6, "vdim": 6, "dropout": 0.1}, {"add_bias_kv": True, "bias": False}], ids=str
)
def test_multihead_attention(check, need_weights, options):
    def example(n):
        padding = torch.zeros(n, 4, dtype=torch.bool)
        padding[:, -1] = torch.arange(n) % 2 == 0
        return torch.randn(n, 5, 8), torch.randn(n, 4, options.get("kdim", 8)), padding

    check(Attention(need_weights, **options), example, exact=False)


class SequenceFirst(nn.Module):
    """[length, batch, features], torch's own default: the batch is the second dimension."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)
        self.register_buffer("mask", torch.triu(torch.full((5, 5), float("-inf")), 1), persistent=False)

    def forward(self, x):
        x = x.permute(1, 0, 2)
        x = x + self.attention(x, x, x, need_weights=False, attn_mask=self.mask)[0]
        return x.permute(1, 0, 2)


def test_batch_in_the_second_dimension(check):
    check(SequenceFirst(), lambda n: torch.randn(n, 5, 8), exact=False)


class CausalSelfAttention(nn.Module):
    """nanoGPT's, with its bias buffer and masked_fill."""

    def __init__(self, width=8, heads=2, length=6):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attn_dropout, self.resid_dropout = nn.Dropout(0.1), nn.Dropout(0.1)
        self.n_head, self.n_embd = heads, width
        self.register_buffer("bias", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = self.attn_dropout(F.softmax(att, dim=-1))
        y = (att @ v).transpose(1, 2).contiguous().view(B, T, C)
        return self.resid_dropout(self.c_proj(y))


class GPT(nn.Module):
    def __init__(self, vocab=7, width=8, length=6):
        super().__init__()
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(vocab, width),
                wpe=nn.Embedding(length, width),
                drop=nn.Dropout(0.1),
                h=nn.ModuleList([nn.Sequential(nn.LayerNorm(width), CausalSelfAttention()) for _ in range(3)]),
                ln_f=nn.LayerNorm(width),
            )
        )
        self.lm_head = nn.Linear(width, vocab, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.block_size = length

    def forward(self, idx, targets=None):
        device = idx.device
        _, t = idx.size()
        assert t <= self.block_size
        pos = torch.arange(0, t, dtype=torch.long, device=device)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.transformer.h:
            x = x + block(x)
        x = self.transformer.ln_f(x)
        if targets is not None:
            logits = self.lm_head(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        else:
            logits = self.lm_head(x[:, [-1], :])
            loss = None
        return logits, loss

    def loss(self, tokens):
        return self(tokens[:, :-1], tokens[:, 1:].contiguous())[1]

    @torch.no_grad()
    def generate(self, n, temperature=0.9, top_k=3):
        idx = torch.zeros((n, 1), dtype=torch.long)
        for _ in range(4):
            logits, _ = self(idx[:, -self.block_size :])
            logits = logits[:, -1, :] / temperature
            v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
            logits[logits < v[:, [-1]]] = -float("Inf")
            probs = F.softmax(logits, dim=-1)
            idx = torch.cat((idx, torch.multinomial(probs, num_samples=1)), dim=1)
        return idx


def test_nano_gpt(check):
    tokens = lambda n: torch.randint(0, 7, (n, 6))  # noqa: E731
    check(GPT(), tokens, loss="loss", entries=("forward",))


def test_sampling_token_by_token(check):
    check(GPT(), lambda n: torch.randint(0, 7, (n, 6)), loss="loss", entries={"generate": ("generate", lambda n: (n,))})
