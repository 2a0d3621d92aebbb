"""Python as HTML: keywords, strings, numbers and comments in spans, a line of markup for a line of text."""

from __future__ import annotations

import html
import io
import keyword
import tokenize

__all__ = ["highlighted"]

KINDS = {tokenize.STRING: "string", tokenize.NUMBER: "number", tokenize.COMMENT: "comment"}


def highlighted(text: str) -> list[str]:
    """The lines of a text as markup. What cannot be tokenized is left plain."""
    lines = text.splitlines()
    marks: list[list[tuple[int, int, str]]] = [[] for _ in lines]
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            kind = KINDS.get(token.type)
            if kind is None and token.type == tokenize.NAME and keyword.iskeyword(token.string):
                kind = "keyword"
            if kind is not None:
                mark(marks, lines, token, kind)
    except (tokenize.TokenError, SyntaxError):
        return [html.escape(line) for line in lines]
    return [marked(line, spans) for line, spans in zip(lines, marks, strict=True)]


def mark(marks: list[list[tuple[int, int, str]]], lines: list[str], token: tokenize.TokenInfo, kind: str) -> None:
    """Notes a token's part of every line that it covers."""
    (first, start), (last, end) = token.start, token.end
    for number in range(first, last + 1):
        left = start if number == first else 0
        right = end if number == last else len(lines[number - 1])
        marks[number - 1].append((left, right, kind))


def marked(line: str, spans: list[tuple[int, int, str]]) -> str:
    parts, done = [], 0
    for start, end, kind in spans:
        parts += [html.escape(line[done:start]), f'<span class="{kind}">{html.escape(line[start:end])}</span>']
        done = end
    return "".join([*parts, html.escape(line[done:])])
