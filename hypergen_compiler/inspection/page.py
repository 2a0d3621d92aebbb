"""A package as one self-contained page: graphs, the buffer, the plan, and the sources side by side."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from hypergen_compiler.inspection.buffer import buffer_map
from hypergen_compiler.inspection.functions import Function, functions, model_file
from hypergen_compiler.inspection.graph import graph
from hypergen_compiler.inspection.lines import Origins
from hypergen_compiler.inspection.listing import emitted_listing, user_listing
from hypergen_compiler.inspection.modules import Module, module_tree
from hypergen_compiler.inspection.plan_rows import plan_rows
from hypergen_compiler.inspection.sources import Behind, Excerpt, excerpts
from hypergen_compiler.inspection.style import SCRIPT, STYLE

__all__ = ["inspection_page"]

VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
OPEN_LEVELS = 2  # of the tree of modules


def inspection_page(manifest: Mapping[str, Any], texts: Mapping[str, str], source: Behind) -> str:
    """The page's HTML. `texts` are the package's Python files by path, `source` the model's own.

    Nothing in it is fetched from anywhere, and where the source is not at hand the user's functions are left out.
    """
    home = model_file(manifest["name"], texts)
    known = functions(texts.get(home, ""))
    origins = [function.origin for function in known.values() if function.origin]
    origins += sorted({place(line) for lines in source.lines.values() for line in lines})
    shown = excerpts(origins, source.files)
    title = html.escape(f"{manifest['name']}: {manifest['model']}")
    parts = [
        f"<h1>{title}</h1>",
        section("plan", table([*plan_rows(manifest["plan"]), *layout_rows(manifest["layout"])])),
        section("modules", f"<ul>{module_item(module_tree(manifest['model'], manifest['layout']))}</ul>"),
        section("buffer", buffer_map(manifest["layout"])),
        section("entry points", "".join(entry_graphs(manifest, known))),
        section("sources", sources(texts, home, known, shown, source.lines)),
        f"<script>{SCRIPT}</script>" if source.lines else "",
    ]
    head = f'<meta charset="utf-8">{VIEWPORT}<title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def place(line: str) -> tuple[str, int]:
    """`file:line` in its parts."""
    file, _, number = line.rpartition(":")
    return file, int(number)


def section(title: str, content: str) -> str:
    return f'<section id="{title.replace(" ", "-")}"><h2>{title}</h2>{content}</section>'


def table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def layout_rows(layout: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("weights of the model", f"{layout['weights']:,}"),
        ("buffer", f"{layout['size']:,} elements of {layout['dtype']}, {layout['emitted']:,} emitted"),
    ]


def module_item(module: Module, level: int = 0) -> str:
    kinds = ", ".join(sorted(module.kinds))
    label = f"<b>{html.escape(module.name)}</b> {module.weights:,} {kinds}"
    own = "".join(
        f"<li>{html.escape(name)} {shape} <span class='dim'>{kind}</span></li>" for name, shape, kind in module.tensors
    )
    below = own + "".join(module_item(child, level + 1) for child in module.children.values())
    is_open = " open" if level < OPEN_LEVELS else ""
    return f"<li><details{is_open}><summary>{label}</summary><ul>{below}</ul></details></li>"


def entry_graphs(manifest: Mapping[str, Any], known: Mapping[str, Function]) -> list[str]:
    """A graph for each entry point, then for the functions that they call; boxes lead to the model's lines."""
    ordered = [name for name in manifest["entries"] if name in known]
    ordered += [name for name in known if name not in ordered]
    return [
        f"<details{' open' if name in manifest['entries'] else ''}><summary>"
        f'<a href="#model.py-{name}">{html.escape(name)}</a> {html.escape(known[name].shapes)}</summary>'
        f'<div class="scroll">{graph(known[name])}</div></details>'
        for name in ordered
    ]


def sources(
    texts: Mapping[str, str], home: str, known: Mapping[str, Function], shown: Sequence[Excerpt], lines: Origins
) -> str:
    """On the left what was emitted, first the file of the model, `home`; on the right the user's functions."""
    order = sorted(texts, key=lambda path: (path != home, path))
    left = "".join(
        emitted_listing(path, texts[path], *((known, shown, lines) if path == home else ({}, (), {}))) for path in order
    )
    right = (
        "".join(user_listing(excerpt, known) for excerpt in shown) or "<p>The model's own source is not at hand.</p>"
    )
    words = "Point at a line to see where it came from, or what became of it; click to go there and to hold it."
    hint = f"<p class='dim'>{words}</p>" if lines else ""
    return f'{hint}<div class="beside"><div>{left}</div><div>{right}</div></div>'
