"""The plan: which hypernetwork emits the weights, how large it is, and how it reads a dataset."""

from __future__ import annotations

from hypergen_compiler.plan.choice import Plan, plan
from hypergen_compiler.plan.encoder import FEATURES, LARGEST_SIDE, FeatureEncoder, batch_inputs
from hypergen_compiler.plan.heads import BYTES, HEADS, SHARING, left_out
from hypergen_compiler.plan.penalty import PENALTIES, SPACES, SYNTHETIC

__all__ = [
    "BYTES",
    "FEATURES",
    "HEADS",
    "LARGEST_SIDE",
    "PENALTIES",
    "SHARING",
    "SPACES",
    "SYNTHETIC",
    "FeatureEncoder",
    "Plan",
    "batch_inputs",
    "left_out",
    "plan",
]
