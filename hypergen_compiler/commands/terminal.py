"""How commands speak: results on stdout, progress, warnings and refusals on stderr."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from hypergen_compiler.commands.last_report import keep_report
from hypergen_compiler.errors import HyperGenError, HyperGenWarning, InternalError

__all__ = ["CHECK_FAILED", "WRONG_INPUT", "answer", "report", "reported", "tell"]

CHECK_FAILED, WRONG_INPUT = 1, 2
DISAGREEMENTS = ("HG601", "HG602", "HG605", "HG902")


@contextmanager
def reported() -> Iterator[None]:
    """Turns refusals into a message and an exit status, and warnings into messages."""
    # Scripted functions cannot be recorded; torch reads this when it is imported.
    os.environ.setdefault("PYTORCH_JIT", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("always", HyperGenWarning)
        usual = warnings.showwarning
        warnings.showwarning = lambda message, category, *rest: (
            complain("warning", str(message))
            if issubclass(category, HyperGenWarning)
            else usual(message, category, *rest)
        )
        try:
            yield
        except HyperGenError as error:
            if isinstance(error, InternalError):
                keep_report(error)
            raise refused(error) from None
        except BrokenPipeError:  # nobody reads on, which is no failure
            raise
        except OSError as error:  # of a file that no stage knows better
            what = f"{error.filename or 'a file'} cannot be read or written: {error.strerror or error}"
            remedy = "See to it that this file is there, its folder has room, and you have the right to use it."
            raise refused(HyperGenError("HG507", what, remedy=remedy)) from None


def refused(error: HyperGenError) -> typer.Exit:
    complain(f"error[{error.code}]", error.what, error.where, error.remedy)
    return typer.Exit(CHECK_FAILED if error.code in DISAGREEMENTS else WRONG_INPUT)


def complain(kind: str, what: str, where: str | None = None, remedy: str | None = None) -> None:
    message = Text.assemble((kind, "bold yellow" if kind == "warning" else "bold red"), f": {what}")
    if where:
        message.append(f"\n  at {where}")
    if remedy:
        message.append(f"\n  {remedy}")
    messages().print(message, soft_wrap=True)


def tell(message: str) -> None:
    messages().print(Text(message, style="dim"), soft_wrap=True)


def messages() -> Console:
    return Console(stderr=True, highlight=False)


def answer(value: dict[str, Any], as_json: bool, table: RenderableType) -> None:
    if as_json:
        print(json.dumps(value, indent=2, sort_keys=True))
    else:
        report(table)


def report(table: RenderableType) -> None:
    console = Console(highlight=False)
    # Piped, there is no width to fit into.
    Console(highlight=False, width=None if console.is_terminal else 120).print(table)
