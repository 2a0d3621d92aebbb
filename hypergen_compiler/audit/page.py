"""An audit as one self-contained page: nothing in it is fetched from anywhere."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from hypergen_compiler.audit.pictures import are_pictures, image
from hypergen_compiler.audit.report import Audit, Following, Forecast, Group, findings
from hypergen_compiler.audit.svg import bars, lines, scatter
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.inspection.style import STYLE
from hypergen_compiler.version import VERSION

__all__ = ["audit_page", "write_page"]

OWN_STYLE = """
td { padding: .1rem 1rem .1rem 0; text-align: right } th { vertical-align: bottom } td:first-child { text-align: left }
ul { list-style: disc } h3 { font-size: 1rem; font-weight: normal; margin: .3rem 0 }
figure { margin: .5rem 1.5rem .5rem 0; display: inline-block; vertical-align: top } svg text { font-size: 11px }
img { image-rendering: pixelated; max-width: 100%; margin-right: 1.5rem } .bad { color: #a40e26 }
"""
SHOWN = 64  # pictures of each kind
KINDS = {
    "run": "a hypernetwork's run, under the weights that it emits for all of the data",
    "model": "a plain model, as it is",
    "samples": "samples in a file",
}


def write_page(path: Path, audit: Audit, real: Tensor, sample: Callable[[int], Tensor]) -> None:
    """Whole or not at all. Raises HG501 where the page cannot be written."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_text(audit_page(audit, real[:SHOWN], sample(SHOWN)), encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise HyperGenError(
            "HG501", f"{path} cannot be written: {error.strerror}", remedy="Name another file with --out."
        ) from error


def audit_page(audit: Audit, real: Tensor, generated: Tensor) -> str:
    """The page's HTML; `real` and `generated` are some items of each, shown where they are pictures."""
    title = html.escape(f"Audit of {audit.name}")
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{KINDS[audit.kind].capitalize()}: {audit.sampled:,} samples against {audit.items:,} items. "
        f"HyperGen {VERSION}; nothing of the model was trained.</p>",
        section("findings", f"<ul>{''.join(f'<li>{html.escape(found)}</li>' for found in findings(audit))}</ul>"),
        section("groups", groups(audit.groups)) if audit.groups else "",
        section("quality", quality(audit)),
        section("following", following(audit.following)) if audit.following else "",
        section("self-consumption", forecast(audit.forecast, audit.groups)) if audit.forecast else "",
        section("pictures", pictures(real, generated)) if are_pictures(real) else "",
        section("how to read this", f"<p>{reading(audit)}</p>"),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}{OWN_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def section(title: str, content: str) -> str:
    return f'<section id="{title.replace(" ", "-")}"><h2>{title}</h2>{content}</section>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def groups(rows: Sequence[Group]) -> str:
    names = [row.name for row in rows]
    shares = {"in the data": [row.given for row in rows], "generated": [row.generated for row in rows]}
    covered = {"real": [row.coverage_of_real for row in rows], "generated": [row.coverage for row in rows]}
    head = ("group", "in the data", "read in real items", "generated", "kept", "coverage", "of real items", "loss")
    cells = [
        (
            row.name,
            f"{row.given:.1%}",
            f"{row.read:.1%}",
            f"{row.generated:.1%} ± {row.generated_error:.1%}",
            f"{row.kept:.0%}",
            f"{row.coverage:.0%}",
            f"{row.coverage_of_real:.0%}",
            "" if row.loss is None else f"{row.loss:.4g}",
        )
        for row in rows
    ]
    return table(head, cells) + bars("share", names, shares) + bars("coverage", names, covered)


def quality(audit: Audit) -> str:
    rows = [
        (name, f"{found.frechet:.4g}", f"{found.precision:.0%}", f"{found.recall:.0%}", f"{found.diversity:.4g}")
        for name, found in (("generated", audit.quality), ("other real items", audit.quality_of_real))
    ]
    loss = "" if audit.loss is None else f"<p>The loss over all items is {audit.loss:.5g}.</p>"
    return table(("", "Fréchet distance", "precision", "recall", "diversity"), rows) + loss


def following(found: Following) -> str:
    rows = [
        ("slope of generated against given shares", f"{found.slope:.3f}"),
        ("slope that is read in the mixtures themselves", f"{found.slope_of_real:.3f}"),
        ("mean error of a share", f"{found.mean_error:.3f}"),
        ("variation of the weights over mixtures, relative to their size", f"{found.variation:.2%}"),
    ]
    return table(("", ""), rows) + scatter("generated share", found.points, "given share")


def forecast(found: Forecast, rows: Sequence[Group]) -> str:
    drift = {"drift of the shares": found.drift}
    if not found.extrapolated:
        drift = {"drawing from the data alone": found.drift_of_sampling, "own samples": found.drift}
    plots = lines("drift of the shares", drift, "generation")
    if found.frechet:
        distance = {"drawing from the data alone": found.frechet_of_sampling, "own samples": found.frechet}
        plots += lines("Fréchet distance", distance, "generation")
    by_group = {row.name: [shares[place] for shares in found.shares] for place, row in enumerate(rows[:10])}
    return plots + lines("shares", by_group, "generation")


def pictures(real: Tensor, generated: Tensor) -> str:
    low, high = real.min().item(), real.max().item()
    return f"{image(real, low, high, 'real')}{image(generated, low, high, 'generated')}<p>Real ones on the left.</p>"


def reading(audit: Audit) -> str:
    by = (
        "Without labels, features are the directions in which the data differ most."
        if audit.classifier is None
        else f"Groups are told by a small classifier, which is right for {audit.classifier:.1%} of items that it did "
        "not learn from: compare what it reads in generated items with what it reads in real ones."
    )
    return (
        f"{by} Coverage is the part of a group's held-out items that lie nearer to a generated item than that one's "
        "third neighbour does. “Of real items” is the same for as many real items in place of generated ones, which is "
        "the most that can be expected. Drift is half the sum of the differences of all shares."
    )
