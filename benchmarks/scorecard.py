"""Measures how hard HyperGen is to break, and writes docs/hardness.md:  python -m benchmarks.scorecard

Each line is measured by a command that can be run by itself. Its number and the day are kept in docs/hardness.json, so
that some lines can be measured anew with --only, and the others stay as they were.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.scorecard_page import Result, page
from benchmarks.survivors import reason

__all__ = ["LINES", "Line", "measured", "passed"]

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Line:
    """What is promised, the command that measures it, and how its output becomes a number in words, with details."""

    name: str
    promise: str
    command: tuple[str, ...]
    read: Callable[[str], str]
    details: Callable[[str], list[str]] = lambda output: []


def passed(output: str) -> str:
    """`12 of 12 tests pass`, from pytest's last line."""
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)\b", output)}
    good = counts.get("passed", 0)
    return f"{good} of {sum(counts.values())} tests pass"


def fuzzed(output: str, what: str = "programs") -> str:
    """`1000 programs: 99.0% accepted, 10 refused, 0 wrong or crashed`, of those that run by themselves."""
    counts = {kind: int(number) for kind, number in re.findall(r"'(\w+)': (\d+)", output.splitlines()[-1])}
    runs = sum(counts.values()) - counts.get("invalid", 0)
    bad = counts.get("wrong", 0) + counts.get("crashed", 0)
    share = 100 * counts.get("accepted", 0) / max(runs, 1)
    return f"{runs} {what}: {share:.1f}% accepted, {counts.get('refused', 0)} refused, {bad} wrong or crashed"


def determined(output: str) -> str:
    return "; ".join(output.strip().splitlines()[-2:])


def noticed(output: str) -> str:
    """`150 of 200 noticed (75%): layout 3 of 4; ...`."""
    groups = re.findall(r"^(\w+): (\d+) of (\d+) noticed$", output, re.MULTILINE)
    good, every = sum(int(one) for _, one, _ in groups), sum(int(two) for *_, two in groups)
    of_each = "; ".join(f"{name} {one} of {two}" for name, one, two in groups)
    return f"{good} of {every} noticed ({100 * good / every:.0f}%): {of_each}" if every else ""


def missed(output: str) -> list[str]:
    """The mistakes that no test noticed, and why."""
    found = re.findall(r"^MISSED +(\S+?):(\d+): (.*)$", output, re.MULTILINE)
    return [f"{module}:{line} `{what}`: {reason(module, what)}" for module, line, what in found]


LINES = (
    Line("checker", "A checker runs behind every stage, and what it finds is never published",
         (*PYTEST, "tests/checker"), passed),
    Line("comparison", "One rule tells whether results agree, in verification, tests and experiments",
         (*PYTEST, "tests/verification/test_verify.py"), passed),
    Line("fuzzing", "Generated programs are compiled right, or refused with a code",
         ("python", "-m", "benchmarks.fuzzing", "--programs", "5000", "--first", "400000"), fuzzed),
    Line("hostile", "Names and texts that try to become code stay names and texts",
         ("python", "-m", "benchmarks.fuzzing", "--hostile", "1000", "--first", "400000"),
         partial(fuzzed, what="models")),
    Line("stopped", "Killed at 200 moments of compiling and updating: the old folder or the new one, whole",
         (*PYTEST, "tests/hardness/test_stopped.py"), passed),
    Line("killed training", "Killed at random moments of training: the next run goes on",
         (*PYTEST, "tests/emit/test_killed.py"), passed),
    Line("disk", "A full or read-only disk, missing rights, two compilers at once: a code, and nothing is lost",
         (*PYTEST, "tests/hardness/test_disk.py"), passed),
    Line("damage", "A damaged manifest or project is refused with a code",
         (*PYTEST, "tests/hardness/test_damaged.py"), passed),
    Line("determinism", "Equal bytes under five hash seeds, in two folders, with every Python that is here",
         ("python", "-m", "benchmarks.determinism"), determined),
    Line("mutation", "Small mistakes in layout, plan, emission and checker are noticed by tests; the aim is 80%",
         ("python", "-m", "benchmarks.mutation", "--mutants", "100", "--seed", "2"), noticed, missed),
    Line("errors", "Every code is triggered through the command line, with its place and remedy",
         (*PYTEST, "tests/hardness/test_errors.py"), passed),
)  # fmt: skip


def torch_line(version: str) -> Line:
    command = ("make", "test-torch", f"VERSION={version}")
    return Line(f"torch {version}", f"The suite's part that depends on torch, with torch {version}", command, passed)


def measured(line: Line) -> Result:
    command = [sys.executable if word == "python" else word for word in line.command]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    shown = " ".join(line.command)
    number = line.read(done.stdout) or "not measured"
    return Result(line.promise, number, datetime.date.today().isoformat(), shown, line.details(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how hard HyperGen is to break.")
    parser.add_argument("--only", action="append", default=[], help="measure only this line; repeatable")
    parser.add_argument("--torch", action="append", default=[], help="also with this version of torch; repeatable")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of hardness.json and hardness.md")
    options = parser.parse_args()
    kept = options.out / "hardness.json"
    results = {name: Result(**known) for name, known in json.loads(kept.read_text()).items()} if kept.is_file() else {}
    for line in (*LINES, *map(torch_line, options.torch)):
        if not options.only or line.name in options.only:
            results[line.name] = measured(line)
            print(f"{line.name}: {results[line.name].number}", file=sys.stderr, flush=True)
            kept.write_text(json.dumps({name: vars(result) for name, result in results.items()}, indent=2) + "\n")
            (options.out / "hardness.md").write_text(page(in_order(results)))


def in_order(results: Mapping[str, Result]) -> list[Result]:
    """Every line as they stand above, measured or not, then what else was measured."""
    own = [results.get(line.name, Result(line.promise, "not measured", "", " ".join(line.command))) for line in LINES]
    return own + [results[name] for name in sorted(results.keys() - {line.name for line in LINES})]


if __name__ == "__main__":
    main()
