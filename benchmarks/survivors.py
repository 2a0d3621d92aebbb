"""Why no test notices some mistakes, for the page about them: by module and the beginning of what became of what."""

from __future__ import annotations

__all__ = ["reason"]

TESTED = "has a test since"
NAME = "a value gets a name that reads less well"
SENTINEL = "any other text would do"
FORM = "the same program in other words"
SHOWN = "a text that `tests/printed` shows: it met the quickest tests alone"

REASONS: tuple[tuple[str, str, str], ...] = (
    ("checker/graphs.py", "'where'", TESTED),
    ("checker/repeats.py", "yield from check_later", TESTED),
    ("checker/functions.py", "region.body[k]", TESTED),
    ("checker/functions.py", "yield Violation(f'{name} does not tell", TESTED),
    ("checker/functions.py", "'where'", TESTED),
    ("checker/running.py", "self.found.append", TESTED),
    ("checker/plans.py", "'penalty'", TESTED),
    ("checker/report.py", "''", TESTED),
    ("emit/text.py", "' may not enter", TESTED),
    ("emit/names.py", "'function'", TESTED),
    ("emit/formulas.py", "2 -> 3", TESTED),
    ("emit/outputs.py", "TAKEN", TESTED),
    ("emit/batches.py", "'.shape[0]'", TESTED),
    ("emit/model.py", "'n'", TESTED),
    ("emit/long_lines.py", "", NAME),
    ("emit/origins.py", "", NAME),
    ("emit/parameter_names.py", "", NAME),
    ("emit/flow.py", "loop.start + loop.period", NAME),
    ("emit/single_file.py", "'the one module'", SENTINEL),
    ("emit/layers.py", "", SHOWN),
    ("emit/signatures.py", "', '", SHOWN),
    ("emit/header.py", "", SHOWN),
    ("emit/package_tests.py", "'factors'", SHOWN),
    ("emit/layout_rows.py", "", SHOWN),
)


def reason(module: str, what: str) -> str:
    """Why a mistake is missed, as far as it is known."""
    found = (why for path, start, why in REASONS if module.endswith(path) and what.startswith(start))
    return next(found, "not looked into further")
