"""A small causal transformer over tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Block", "SelfAttention", "SmallGPT"]


class SelfAttention(nn.Module):
    """Causal attention of several heads, [n, length, width] -> the same."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        split = self.query_key_value(x).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        h = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.out(h.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each on a normalised copy and added back."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.contract(F.gelu(self.expand(self.norm2(x)))))


class SmallGPT(nn.Module):
    """p(tokens) = prod_i p(token i | tokens before i), for tokens [n, length] below `vocabulary`."""

    def __init__(
        self,
        vocabulary: int = 28,
        length: int = 32,
        width: int = 32,
        depth: int = 3,
        heads: int = 4,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.length = length
        self.start = nn.Parameter(torch.empty(width))
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for vectors in (self.start, self.token_embedding.weight, self.position_embedding.weight):
            nn.init.uniform_(vectors, -0.03, 0.03)  # normal ones differ in the last digits between processors
        self.head.weight = self.token_embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, length] -> logits [n, length, vocabulary]; those at position i have read the tokens before i."""
        start = self.start.expand(len(tokens), 1, -1)
        h = torch.cat([start, self.token_embedding(tokens[:, :-1])], dim=1)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        h = self.dropout(h + self.position_embedding(positions))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))

    def loss(self, tokens: Tensor) -> Tensor:
        """The mean cross-entropy of every token given those before it, in nats."""
        return F.cross_entropy(self(tokens).flatten(0, 1), tokens.flatten())

    def sample(self, n: int) -> Tensor:
        """-> tokens [n, length], drawn one after the other"""
        tokens = torch.zeros(n, self.length, dtype=torch.long, device=self.start.device)
        for i in range(self.length):
            probabilities = F.softmax(self(tokens)[:, i], dim=-1)
            tokens[:, i] = torch.multinomial(probabilities, 1).squeeze(1)
        return tokens
