"""What the experiment `autophagy` found, in sentences that follow from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hypergen_compiler.evidence.autophagy.chains import FORMS, HEAVY, STARTS
from hypergen_compiler.evidence.autophagy.statistics import CHAINED, COMPARED, HYPERNETWORK, PENALISED, stated

__all__ = ["sentences"]

BALANCED, IMBALANCED = STARTS
SYNTHETIC = FORMS[0]
FROM_ALL_DATA = ("plain, continued", "class-conditional")

Found = Mapping[str, Any]


def sentences(found: Found) -> Iterator[str]:
    last = found["generations"]
    yield (
        f"Without real data, from balanced starts, a plain model that is retrained goes from a Fréchet distance of "
        f"{value(found, 'plain, retrained', BALANCED, 'frechet', 1)} in generation 1 to "
        f"{value(found, 'plain, retrained', BALANCED, 'frechet', last)} in generation {last}; the hypernetwork without "
        f"penalty from {value(found, HYPERNETWORK, BALANCED, 'frechet', 1)} to "
        f"{value(found, HYPERNETWORK, BALANCED, 'frechet', last)}, with it from "
        f"{value(found, PENALISED, BALANCED, 'frechet', 1)} to {value(found, PENALISED, BALANCED, 'frechet', last)}."
    )
    yield (
        "Models that are no hypernetworks but also saw all real data once end at "
        + " and ".join(f"{value(found, name, BALANCED, 'frechet', last)} ({name})" for name in FROM_ALL_DATA)
        + f"; resampling, without a model, at {value(found, 'resampling', BALANCED, 'frechet', last)}."
    )
    for start, form in product(STARTS, FORMS):
        yield f"What the penalty changes, {form}, from {start} starts: {verdict(found, HYPERNETWORK, start, form)}."
    for start in STARTS:
        against = (
            f"against {words}: {verdict(found, other, start, SYNTHETIC, CHAINED)}"
            for other, words in ((HYPERNETWORK, "none"), (PENALISED, "the unbiased one"))
        )
        yield f"What the penalty over chains changes, without real data, from {start} starts, {'; '.join(against)}."
    yield (
        f"A class that has {HEAVY:.0%} of the pictures at the start, without real data, has after {last} generations "
        + ", ".join(f"{value(found, name, IMBALANCED, 'heavy', last)} ({name})" for name in contestants(found))
        + "."
    )
    for rival in ("plain, retrained", *FROM_ALL_DATA):
        verdicts = (f"from {start} starts: {verdict(found, rival, start, SYNTHETIC)}" for start in STARTS)
        yield f"The hypernetwork with the penalty against *{rival}*, without real data, {'; '.join(verdicts)}."
    yield gaussian_sentence(found)


def contestants(found: Found) -> list[str]:
    return list(dict.fromkeys(row["contestant"] for row in found["chains"]))


def value(found: Found, contestant: str, start: str, measure: str, generation: int) -> str:
    """Of the fully synthetic form: "12.3 ± 0.4" """
    place = (contestant, SYNTHETIC, start)
    row = next(row for row in found["chains"] if (row["contestant"], row["form"], row["start"]) == place)
    return stated(row[measure][generation], row[f"{measure}_error"][generation])


def verdict(found: Found, against: str, start: str, form: str, contestant: str = PENALISED) -> str:
    """How a hypernetwork differs from another contestant: "Fréchet distance lower by 2.1 ± 0.3 in generation 5; drift
    of the shares not clearly different" """
    place = (contestant, against, form, start)
    rows = [
        row for row in found["differences"] if (row["contestant"], row["against"], row["form"], row["start"]) == place
    ]
    return "; ".join(f"{words} {directions(rows, measure)}" for measure, words in COMPARED.items())


def directions(rows: Sequence[Mapping[str, Any]], measure: str) -> str:
    parts = [
        f"{'lower' if row['difference'] < 0 else 'higher'} by {stated(abs(row['difference']), row['error'])} "
        f"in generation {row['generation']}"
        for row in rows
        if row["measure"] == measure and row["clear"]
    ]
    return ", ".join(parts) or "not clearly different"


def gaussian_sentence(found: Found) -> str:
    rows = {row["contestant"]: row for row in found["gaussian"] if row["form"] == SYNTHETIC}
    parts = [
        f"{stated(row['mean'][-1], row['mean_error'][-1])} of the variance on average, "
        f"{row['median'][-1]:.2f} in the median ({name})"
        for name, row in rows.items()
    ]
    return (
        f"Of Gaussians, after {len(rows[PENALISED]['mean']) - 1} generations of 20 numbers without real data, there is "
        f"left {'; '.join(parts)}."
    )
