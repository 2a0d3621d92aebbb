"""The ways of training a hypernetwork that the experiment `fairness` compares."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CALIBRATED", "LITERAL", "MAIN", "NO_PENALTY", "PARTS", "RECIPES", "UNPENALISED_CALIBRATED", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a hypernetwork is trained: with a penalty, and what the small datasets of a step are `episodes` of.

    They are mixtures of the labels, or of clusters that are found without labels, or random parts of the data.
    Where it is `calibrated`, weights are emitted as `--calibrate` of an export does it, else as it does without.
    """

    name: str
    penalty: str
    episodes: str
    calibrated: bool = False


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
    Recipe("hypernetwork, episodes, no penalty, calibrated", "none", "labels", calibrated=True),
    Recipe("hypernetwork, episodes, unbiased penalty, calibrated", "unbiased", "labels", calibrated=True),
)
PARTS, LITERAL, NO_PENALTY, MAIN = RECIPES[0], RECIPES[5], RECIPES[4], RECIPES[8]  # the last is the usual one
UNPENALISED_CALIBRATED, CALIBRATED = RECIPES[9:]
