"""Makes small mistakes in the compiler and counts those that tests notice:  python -m benchmarks.mutation

A sample of all mutants of the modules in `GROUPS`, the same for the same seed. The tests in `TESTS` are collected once
and run once under a trace; then each mutant is put into a fork of this process, and meets those that run its statement,
the quickest first, for `MOST` seconds or until one fails, and then those in `EVERY_WORD`. Mutants that are no mistakes
are listed in equivalent.py.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import random
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks import mutants
from benchmarks.equivalent import EQUIVALENT
from benchmarks.forks import FAILED, PROCESSES, forked
from benchmarks.mutants import Mutant
from benchmarks.reached import Line, Ran, Recorder, quickest
from benchmarks.swapped import Mutated, forget_results, swap_function

__all__ = ["GROUPS", "TESTS", "Tried", "sample"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hypergen_compiler"
GROUPS = {"layout": "layout.py", "plan": "plan/*.py", "emission": "emit/*.py", "checker": "checker/*.py"}
TESTS = (
    "tests/layout/test_layout.py",
    *(f"tests/plan/test_{name}.py" for name in "alternatives costs gains plan".split()),
    *(f"tests/checker/test_{name}.py" for name in "functions report stages".split()),
    *(f"tests/emit/test_{name}.py" for name in "choices formulas literals model names numbers".split()),
    *(f"tests/emit/test_{name}.py" for name in "reading records text weights".split()),
    "tests/fold",
    "tests/fuzz/test_found.py",
    "tests/printed",
    "tests/examples/test_generated.py::test_a_committed_package_is_what_this_process_writes",
)
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
EVERY_WORD = "tests/printed/"  # what looks at all that is printed
MOST = 20  # seconds of other tests, under the trace, that a mutant meets
LONGEST = 120  # seconds, behind which a mutant counts as noticed: it does not come to an end
ALL_PASS = 0


@dataclass(frozen=True)
class Tried:
    """A mutant of a module of a group, and whether a test failed."""

    group: str
    module: str
    mutant: Mutant
    noticed: bool = False


def sample(count: int, seed: int) -> list[Tried]:
    """Mutants of all groups' modules, each as likely as any other, yet to be tried."""
    everything = [
        (name, path, number)
        for name in GROUPS
        for path in modules(name)
        for number in range(mutants.count(path.read_text()))
    ]
    random.Random(seed).shuffle(everything)
    found = (
        Tried(name, path.relative_to(ROOT).as_posix(), mutants.mutant(path.read_text(), number))
        for name, path, number in everything
    )
    real = (one for one in found if (one.module, one.mutant.what) not in EQUIVALENT)
    return [one for one, _ in zip(real, range(count), strict=False)]


def modules(group: str) -> list[Path]:
    return sorted((ROOT / PACKAGE).glob(GROUPS[group]))


class Trials:
    """A plugin of pytest that, in place of running the tests once, tries mutants."""

    def __init__(self, chosen: list[Tried]):
        self.chosen, self.found = chosen, []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        tests = recorded(session)
        jobs = [partial(tried, one, items, tests) for one in self.chosen]
        for one, code in zip(self.chosen, forked(jobs, LONGEST), strict=True):
            self.found.append(replace(one, noticed=code != ALL_PASS))
            print(f"{'noticed' if code else 'MISSED '} {one.module}:{one.mutant.line}: {one.mutant.what}", flush=True)
        return True


def recorded(session: pytest.Session) -> dict[str, Ran]:
    """What each test runs of the modules; none of them may fail."""
    files = {str(path): path.relative_to(ROOT).as_posix() for name in GROUPS for path in modules(name)}
    with tempfile.TemporaryDirectory() as folder:

        def record(part: int) -> int:
            recorder = Recorder(files, partial(forget_results, PACKAGE))
            session.config.pluginmanager.register(recorder)
            code = run(session.items[part::PROCESSES])
            (Path(folder) / str(part)).write_bytes(pickle.dumps(recorder.tests))
            return code

        if any(forked([partial(record, part) for part in range(PROCESSES)])):
            raise SystemExit("tests fail without any mutant")
        parts = [pickle.loads(path.read_bytes()) for path in Path(folder).iterdir()]
        return {name: test for part in parts for name, test in part.items()}


def tried(one: Tried, items: dict[str, pytest.Item], tests: dict[str, Ran]) -> int:
    if not one.mutant.function:
        return imported(one, tests)
    names = met(tests, {(one.module, line) for line in one.mutant.statement})
    return swapped(one, [items[name] for name in names])


def met(tests: Mapping[str, Ran], lines: Collection[Line]) -> list[str]:
    """The tests that run any of the lines: the quickest ones, and behind them all that look at every word."""
    chosen = quickest(tests, lines, MOST)
    words = {name: test for name, test in tests.items() if name.startswith(EVERY_WORD) and name not in chosen}
    return chosen + quickest(words, lines, math.inf)


def run(items: list[pytest.Item]) -> int:
    for item in items:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if item.session.testsfailed:
            return FAILED
    return ALL_PASS


def swapped(one: Tried, items: list[pytest.Item]) -> int:
    """Runs tests while a function is a mutant."""
    if not items:
        return ALL_PASS
    swap_function(sys.modules[module_name(one.module)], one.mutant.text, one.mutant.function)
    forget_results(PACKAGE)
    return run(items)


def imported(one: Tried, tests: dict[str, Ran]) -> int:
    """Runs tests where a module is imported as a mutant."""
    names = met(tests, {line for test in tests.values() for line in test.lines if line[0] == one.module})
    sys.meta_path.insert(0, Mutated(module_name(one.module), ROOT / one.module, one.mutant.text))
    for name in [name for name, module in sys.modules.items() if is_own(module)]:  # tests hold what they imported
        del sys.modules[name]
    files = sorted({name.partition("::")[0] for name in names})
    code = pytest.main([*OPTIONS, *files], [Chosen(names)])
    return ALL_PASS if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else FAILED


def is_own(module: ModuleType) -> bool:
    return str(getattr(module, "__file__", None)).startswith(f"{ROOT}/")


class Chosen:
    """A plugin of pytest that runs these tests alone, in this order."""

    def __init__(self, names: list[str]):
        self.names = names

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[name] for name in self.names if name in found]


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def totals(found: list[Tried]) -> Iterator[str]:
    for name in GROUPS:
        own = [tried for tried in found if tried.group == name]
        yield f"{name}: {sum(tried.noticed for tried in own)} of {len(own)} noticed"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make small mistakes in the compiler and count those noticed.")
    parser.add_argument("--mutants", type=int, default=200, help="how many, of all there are")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.chdir(ROOT)
    trials = Trials(sample(options.mutants, options.seed))
    if pytest.main([*OPTIONS, "-s", *TESTS], [trials]) or not trials.found:
        raise SystemExit(1)
    print(*totals(trials.found), sep="\n")


if __name__ == "__main__":
    main()
