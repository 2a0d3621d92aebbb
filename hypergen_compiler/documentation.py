"""The tables in `docs/` that come from the sources:  python -m hypergen_compiler.documentation docs"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from hypergen_compiler.errors import CODES
from hypergen_compiler.ops import Expression, Invocation, print_call, registered
from hypergen_compiler.ops.registry import PRINTERS

__all__ = ["error_table", "operator_table", "write"]

STAGES = {
    "1": "Source and example",
    "2": "Capture",
    "3": "Layout and plan",
    "4": "Emission",
    "5": "Package",
    "6": "Verification and training data",
    "7": "Audit",
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


OPERATORS = """\
# Operators

What HyperGen records are calls of torch's functions and of `Tensor`'s methods, at the level at which people write them.
One rule covers them: **a public function of torch or a public method of `Tensor` prints as a plain call**, such as
`F.conv2d(x, w.weight, stride=2)` or `x.view(n, -1)`, with arguments that equal the signature's defaults left out. A
`torch.autograd.Function` of your own prints as `Name.apply(...)`; its class is copied into the package, with the
functions and classes of its module that it needs. One that cannot be copied is written out as the calls of its
forward, where autograd gives these the same gradients. Anything else is refused as HG401, at the line that calls it
(see [errors](errors.md)).

However a call prints, its values and gradients are compared with the model's before a package is published. The calls
below have a printed form of their own, which lives in `hypergen_compiler/ops/`. [Models that HyperGen compiles](zoo.md)
lists the calls that real models make.

This page is written from the registry of printers by `make docs`.
"""


def operator_table() -> str:
    """The content of `docs/operators.md`: every call with a printer of its own and how it prints, by family."""
    parts = [OPERATORS]
    for module, names in groupby(sorted(registered(), key=home), key=home):
        rows = "\n".join(f"| `{name}` | `{example(name)}` |" for name in names)
        title, about = module.rpartition(".")[2].title(), (sys.modules[module].__doc__ or "").strip()
        parts.append(f"## {title}\n\n{about}\n\n| call | prints as |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def home(operator: str) -> str:
    """The module of an operator's printer."""
    return PRINTERS[operator].__module__


def example(operator: str) -> str:
    """An operator printed with `x`, `y` and, where it takes three, `z`; fit for a cell of a table."""
    creates = home(operator).endswith(".creation") and operator.startswith("torch.")
    given = [Expression("...")] if creates else [Expression(name, tensor=True) for name in "xyz"]
    try:
        text = print_call(Invocation(operator, None, given[:2], {}, None, "x.device", not creates)).text
    except IndexError:
        text = print_call(Invocation(operator, None, given, {}, None, "x.device")).text
    return text.replace("|", "\\|")


def write(folder: Path) -> None:
    """Rewrites every generated page in `folder`."""
    (folder / "errors.md").write_text(error_table())
    (folder / "operators.md").write_text(operator_table())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
