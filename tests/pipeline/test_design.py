"""What a design decides before any text is written."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.design import Request, alternatives, design
from hypergen_compiler.emit.files import emit
from hypergen_compiler.pipeline import build
from hypergen_compiler.plan import together as sharing
from hypergen_compiler.plan.alternatives import reason


class Spelling(nn.Module):
    """A vocabulary that is most of the model, and two layers."""

    def __init__(self, words: int = 500):
        super().__init__()
        self.words = nn.Embedding(words, 16)
        self.hidden, self.score = nn.Linear(16, 16), nn.Linear(16, 4)

    def loss(self, words: Tensor) -> Tensor:
        return self.score(torch.tanh(self.hidden(self.words(words)).mean(1))).square().mean()


def words(n: int) -> Tensor:
    return torch.arange(3 * n).reshape(n, 3) % 500


def designed(budget: str | None = None, **options):
    return design(Request(Spelling(), words, sample=None, budget=budget, **options), "spelling")


def test_what_is_larger_than_all_else_stays_the_same_where_the_budget_then_has_rank_for_the_others():
    found = designed("2x")
    assert (found.plan.head, found.plan.spared) == ("low-rank", ("words.weight",))
    conditioned = {slot.name for slot in found.layout.slots if slot.conditioned}
    assert conditioned == {"hidden.weight", "hidden.bias", "score.weight", "score.bias"}
    assert "words.weight is larger" in reason(found.plan) and "2x" in reason(found.plan)
    assert [row.head for row in alternatives(found) if row.chosen] == ["low-rank"]


@pytest.mark.parametrize(
    ("budget", "options"),
    [("40x", {}), ("1.01x", {}), ("2x", {"head": "chunked"}), ("2x", {"keep": ("words.*",)}), (None, {})],
)
def test_nothing_is_spared_where_all_fits_nothing_would_or_the_user_says_what_to_do(budget, options):
    assert designed(budget, **options).plan.spared == ()


def test_what_datasets_may_have_of_their_own_is_found_once(monkeypatch):
    calls, walk = [], sharing.find_gains
    monkeypatch.setattr(sharing, "find_gains", lambda *given: calls.append(1) or walk(*given))
    build(Request(Spelling(), words, sample=None, head="gains"), "spelling")
    assert len(calls) == 1


@pytest.mark.parametrize(("head", "large"), [("dense", True), ("low-rank", False)])
def test_a_package_says_how_to_keep_the_memory_of_large_gradients_where_it_has_any(head, large):
    class Wide(nn.Linear):
        def loss(self, x: Tensor) -> Tensor:
            return self(x).square().mean()

    found = design(Request(Wide(256, 256), lambda n: torch.randn(n, 256), sample=None, head=head), "wide")
    text = emit(found.program, found.layout, found.plan)["train.py"].decode()
    assert ("MALLOC_MMAP_MAX_=0" in text) == large == (found.plan.parameters * 4 > 32 * 2**20)
