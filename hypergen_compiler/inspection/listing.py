"""Sources as HTML listings, linked both ways between the user's functions and the emitted ones."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence

from hypergen_compiler.inspection.functions import Function
from hypergen_compiler.inspection.highlight import highlighted
from hypergen_compiler.inspection.lines import Origins
from hypergen_compiler.inspection.sources import Excerpt

__all__ = ["emitted_listing", "user_listing"]


def emitted_listing(
    path: str, text: str, known: Mapping[str, Function], shown: Sequence[Excerpt], lines: Origins
) -> str:
    """A file of the package; its functions that are `known` lead to the user's, statements know the user's `lines`."""
    starts = {function.line: function for function in known.values()}
    places = {(excerpt.file, excerpt.line) for excerpt in shown}
    rows = []
    for number, line in enumerate(highlighted(text), start=1):
        function, link = starts.get(number), ""
        if function is not None and function.origin in places:
            file, origin = function.origin
            link = f' <a class="there" href="#{user_anchor(file, origin)}">{html.escape(file)}:{origin}</a>'
        name = f' id="model.py-{function.name}"' if function is not None else ""
        if number in lines:
            name += f' data-from="{html.escape(" ".join(lines[number]), quote=True)}"'
        rows.append(row(number, line + link, name))
    return listing(path, f"file-{path}", rows)


def user_listing(excerpt: Excerpt, known: Mapping[str, Function]) -> str:
    """A function of the user's; its first line leads to the emitted functions that came from it."""
    came = [function.name for function in known.values() if function.origin == (excerpt.file, excerpt.line)]
    links = " ".join(f'<a class="there" href="#model.py-{name}">{html.escape(name)}</a>' for name in came)
    rows = []
    for offset, line in enumerate(highlighted(textwrap.dedent(excerpt.text))):
        number = excerpt.first + offset
        place = f' data-at="{html.escape(f"{excerpt.file}:{number}", quote=True)}"'
        rows.append(row(number, f"{line} {links}" if offset == 0 else line, place))
    return listing(f"{excerpt.file}:{excerpt.line}", user_anchor(excerpt.file, excerpt.line), rows)


def user_anchor(file: str, line: int) -> str:
    return html.escape(f"user-{file}-{line}", quote=True)


def row(number: int, markup: str, name: str) -> str:
    return f'<span class="line"{name}><span class="at">{number}</span>{markup}</span>'


def listing(title: str, anchor: str, rows: Sequence[str]) -> str:
    code = "\n".join(rows)
    return f'<details open id="{anchor}"><summary>{html.escape(title)}</summary><pre>{code}</pre></details>'
