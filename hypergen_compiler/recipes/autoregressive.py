"""Autoregressive models around a causal network(tokens), or network(tokens, condition), that returns logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture.steps import steps
from hypergen_compiler.recipes.outputs import prediction
from hypergen_compiler.recipes.recipe import Conditional, given, refuse_unless

__all__ = ["Autoregressive", "draw", "keep_likeliest"]


@dataclass(frozen=True)
class Autoregressive(Conditional):
    """p(x) = prod_i p(x_i | x_0 .. x_(i-1)) for tokens x [n, length], from logits [n, length, vocabulary].

    The network reads x shifted by one, behind the token `start`: its logits at position i are for x_i, and the first
    token is modelled like the others. Tokens are drawn one after the other at a `temperature`, from the `top_k`
    likeliest if given (Fan et al., arXiv 1805.04833); every draw runs the network on the whole sequence.
    """

    name: ClassVar[str] = "autoregressive"

    start: int = 0
    temperature: float = 1.0
    top_k: int | None = None

    def __post_init__(self) -> None:
        refuse_unless(
            self.temperature > 0,
            f"autoregressive: temperature={self.temperature}",
            "Give a temperature above 0; with `top_k=1` the likeliest token is drawn at any.",
        )
        enough = self.top_k is None or self.top_k > 0
        refuse_unless(enough, f"autoregressive: top_k={self.top_k}", "Give at least 1, or leave it out.")

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, length] -> the mean cross-entropy of a token given those before it, in nats"""
        read = F.pad(x[:, :-1], (1, 0), value=self.start)
        logits = prediction(network(read, *condition))
        if logits.shape[:-1] != x.shape:
            raise ValueError(
                f"the network returns {list(logits.shape)} for tokens {list(x.shape)}, not logits for each"
            )
        return F.cross_entropy(logits.flatten(0, 1), x.flatten())

    def begin(self, n: int, device: torch.device) -> Tensor:
        """The start token, and room for the tokens to come, [n, 1 + length]."""
        return torch.full((n, 1 + self.shape[0]), self.start, device=device)

    @torch.no_grad()
    def generate(self, network: nn.Module, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, 1 + length], of which the first is read -> tokens [n, length]"""
        for i in steps(self.shape[0]):
            logits = prediction(network(tokens[:, :-1], *given(labels)))[:, i]
            tokens[:, i + 1] = draw(logits, self.temperature, self.top_k)
        return tokens[:, 1:]


def draw(logits: Tensor, temperature: float = 1.0, top_k: int | None = None) -> Tensor:
    """[n, vocabulary] -> a token of each row, [n]"""
    if top_k is not None:
        logits = keep_likeliest(logits, top_k)
    probabilities = F.softmax(logits / temperature if temperature != 1 else logits, dim=-1)
    return torch.multinomial(probabilities, 1).squeeze(1)


def keep_likeliest(logits: Tensor, count: int) -> Tensor:
    """[n, vocabulary] -> the same, with all but the `count` largest of each row at minus infinity"""
    values, places = logits.topk(min(count, logits.shape[-1]))
    return torch.full_like(logits, -torch.inf).scatter(1, places, values)
