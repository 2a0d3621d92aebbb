"""Why no test notices some mistakes, for the page about them: by module and the beginning of what became of what."""

from __future__ import annotations

__all__ = ["reason"]

TESTED = "has a test since"
NAME = "a value gets a name that reads less well"
BLANK = "the line before is blank"
ONE_FILE = "`tests/emit/test_single_file.py` notices it, but is too slow to be among the tests that are tried"
WHOLE = "no whole number lies between"

REASONS: tuple[tuple[str, str, str], ...] = (
    ("emit/hypernetwork.py", "'], dim=1)'", TESTED),
    ("emit/hypernetwork.py", "1 -> 2 in lines", TESTED),
    ("emit/hypernetwork.py", "max(part.shape[1:])", "no picture of the tests is of just that side"),
    ("emit/origins.py", "", NAME),
    ("emit/outputs.py", "'Part'", "no class of a model has a name without letters"),
    ("emit/single_file.py", "1 -> 2 in end", BLANK),
    ("emit/single_file.py", "lines.insert", "in every package that is tried another module imports `sys` too"),
    ("emit/single_file.py", "", ONE_FILE),
    ("emit/state.py", "'_' -> '__'", "a name never has two of them in a row"),
    ("emit/flow.py", "position - loop.start", "no loop of the tests begins with a call that changes nothing"),
    ("emit/numbers.py", "0 -> 1 in", WHOLE),
    ("emit/numbers.py", "10 ** 6", "how a large float is written beside a division"),
)


def reason(module: str, what: str) -> str:
    """Why a mistake is missed, as far as it is known."""
    found = (why for path, start, why in REASONS if module.endswith(path) and what.startswith(start))
    return next(found, "not looked into further")
