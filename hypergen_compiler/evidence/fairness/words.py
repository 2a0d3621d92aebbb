"""What the page of the experiment `fairness` says before its tables."""

from __future__ import annotations

from textwrap import fill

import torch

from hypergen_compiler.evidence.fairness.effort import (
    CONCENTRATION,
    HALF,
    LADDER,
    MIXTURES,
    NEAREST,
    PLAIN,
    TOLD,
    TOLD_EVENLY,
    Results,
)
from hypergen_compiler.evidence.fairness.families import FAMILIES
from hypergen_compiler.evidence.fairness.plain import CHECKS, RATES
from hypergen_compiler.evidence.packages import recipe_text
from hypergen_compiler.version import VERSION

__all__ = ["introduction", "of_knob", "of_mixtures", "of_pair"]

INTRODUCTION = f"""
Written by `hypergen experiment fairness{{option}}`, {{seeds}} seeds (0 to {{last}}), HyperGen {{version}}, torch
{{torch}}. ± is one standard error over the seeds. A seed draws its training pictures ({{common}} common and {{rare}}
rare ones), its validation pictures, the first weights and all noise; the test pictures are the same for all seeds, and
no rate, step or seed was chosen by them. The model is {{model}}. All methods start from the same weights, take
{{steps}} steps, {{mixed_steps}} with all classes, and see 256 pictures in each.

The plain trainings (Adam, cosine schedule) are tuned: rates {{rates}}, and the weights of the best of {CHECKS} steps,
both by the validation loss at the mixture that is trained for. `{PLAIN}` trains at the data's own mixture; `{LADDER}`
draws rows so that each class has the requested share, at the rate that was best for `{PLAIN}`; `{NEAREST}` is the one
of them that generates a share nearest the data's own, and `{HALF}` the one with as many rows of each class. `{TOLD}` is
a model that takes the class as an input, `{TOLD_EVENLY}` the same trained on as many rows of each class.
Hypernetworks are trained by the package's own trainer, with the head and the settings that packages come with:
{{usual}}. Their last moving average is taken. Where weights are `calibrated`, as by
`export --calibrate`, the package reads what its samples are, by the labelled training pictures alone, and asks for
another mixture until they are as requested. No row and no seed is left out."""

OF_PAIR = """
Share is the part of 4,000 generated pictures that the classifier reads as the rare class, confident share that among
pictures whose class it is sure of by 0.9, and unsure the part of the others. Loss is that of test pictures, {loss};
that of the model which is told the class is given the class, so it is not comparable. Coverage is the part of a
class's test pictures that have one of 1,500 generated ones nearer than their fifth neighbour among the test pictures of
their class. The first row is what the classifier reads in test pictures at the data's own mixture."""

OF_KNOB = f"""
Slope is that of a line through generated against requested shares, mean error the mean distance of the two. The loss is
the mean over the requested mixtures of the test loss at that mixture. Only `{LADDER}` takes a training for each
request."""

OF_MIXTURES = f"""
{MIXTURES} mixtures of all classes are requested, drawn from a Dirichlet distribution of concentration
{CONCENTRATION:g}. The share slope tells how far generated shares follow them: 0 not at all, 1 wholly. The distance of
shares is the total variation between the two."""


def introduction(results: Results) -> str:
    common, rare = results.counts
    text = INTRODUCTION.format(
        seeds=results.seeds,
        last=results.seeds - 1,
        version=VERSION,
        torch=torch.__version__,
        common=common,
        rare=rare,
        steps=results.steps,
        model=FAMILIES[results.family].text,
        option="" if results.family == "vae" else f" --model {results.family}",
        usual=recipe_text(results.usual),
        mixed_steps=results.mixed_steps,
        rates=", ".join(f"{rate:g}" for rate in RATES),
    )
    return filled(text)


def filled(text: str) -> str:
    """Paragraphs in lines of 120 columns."""
    return "\n\n".join(fill(part, 120, break_on_hyphens=False) for part in text.strip().split("\n\n"))


def of_pair(results: Results) -> str:
    return filled(OF_PAIR.format(loss=FAMILIES[results.family].loss))


def of_knob() -> str:
    return filled(OF_KNOB)


def of_mixtures() -> str:
    return filled(OF_MIXTURES)
