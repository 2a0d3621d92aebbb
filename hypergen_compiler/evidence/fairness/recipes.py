"""The ways of training a hypernetwork that the experiment `fairness` compares."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LITERAL", "MAIN", "NO_PENALTY", "PARTS", "RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a hypernetwork is trained: with a penalty, and what the small datasets of a step are `episodes` of.

    They are mixtures of the labels, or of clusters that are found without labels, or random parts of the data.
    """

    name: str
    penalty: str
    episodes: str


RECIPES = (
    Recipe("hypernetwork, no episodes, no penalty", "none", "parts"),
    Recipe("hypernetwork, no episodes, literal penalty", "literal", "parts"),
    Recipe("hypernetwork, no episodes, unbiased penalty", "unbiased", "parts"),
    Recipe("hypernetwork, episodes of clusters, unbiased penalty", "unbiased", "clusters"),
    Recipe("hypernetwork, episodes, no penalty", "none", "labels"),
    Recipe("hypernetwork, episodes, literal penalty", "literal", "labels"),
    Recipe("hypernetwork, episodes, mean penalty", "mean", "labels"),
    Recipe("hypernetwork, episodes, lagrangian penalty", "lagrangian", "labels"),
    Recipe("hypernetwork, episodes, unbiased penalty", "unbiased", "labels"),
)
PARTS, LITERAL, NO_PENALTY, MAIN = RECIPES[0], RECIPES[5], RECIPES[4], RECIPES[8]  # the last is the usual one
