"""The tables in `docs/` that come from the sources:  python -m hypergen_compiler.documentation docs"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from hypergen_compiler.errors import CODES

__all__ = ["error_table", "write"]

STAGES = {
    "1": "Source and example",
    "2": "Capture",
    "3": "Layout and plan",
    "4": "Emission",
    "5": "Package",
    "6": "Verification and training data",
    "9": "Internal",
}

INTRODUCTION = """\
# Errors

Everything that HyperGen refuses has a code, a place in your code where there is one, and a remedy. On the command line
it looks like this, with exit status 2; in Python it is a `hypergen_compiler.HyperGenError` with the attributes `code`,
`what`, `where` and `remedy`. Nothing is written when a compile fails.

    HG201: ResVAE has no method 'elbo'
      at source_model.py:23
      Name one of its methods, or give a function of the model and its inputs.

This page is written from `hypergen_compiler/errors.py` by `make docs`.
"""


def error_table() -> str:
    """The content of `docs/errors.md`: every code and its meaning, by stage of the pipeline."""
    parts = [INTRODUCTION]
    for hundred, codes in groupby(sorted(CODES), key=lambda code: code[2]):
        rows = "\n".join(f"| {code} | {CODES[code]} |" for code in codes)
        parts.append(f"## {STAGES[hundred]}\n\n| code | meaning |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def write(folder: Path) -> None:
    """Rewrites every generated page in `folder`."""
    (folder / "errors.md").write_text(error_table())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
