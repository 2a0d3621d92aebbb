"""A decoder-only transformer of bytes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler import steps

__all__ = ["GPT", "LENGTH", "VOCABULARY"]

VOCABULARY = 256
LENGTH = 64


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))


class GPT(nn.Module):
    """Twelve blocks of width 192 in 149 tensors; 5.45 million weights. Token 0 starts a text."""

    def __init__(self, width: int = 192, depth: int = 12, heads: int = 6, length: int = LENGTH):
        super().__init__()
        self.length = length
        self.token, self.position = nn.Embedding(VOCABULARY, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.to_logits = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)

    def logits(self, tokens: Tensor) -> Tensor:
        """[n, length] -> [n, length, VOCABULARY]"""
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.to_logits(self.norm(x))

    def loss(self, tokens: Tensor) -> Tensor:
        """The mean cross-entropy of tokens [n, length], each given those before it."""
        logits = self.logits(F.pad(tokens[:, :-1], (1, 0)))
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """-> [n, length], one token after the other"""
        tokens = torch.zeros(n, 1 + self.length, dtype=torch.long, device=self.token.weight.device)
        for i in steps(self.length):
            probabilities = self.logits(tokens[:, :-1])[:, i].softmax(dim=-1)
            tokens[:, i + 1] = torch.multinomial(probabilities, 1).squeeze(1)
        return tokens[:, 1:]
