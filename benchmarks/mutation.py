"""Makes small mistakes in the compiler and counts those that tests notice:  python -m benchmarks.mutation

A sample of all mutants of the modules in `GROUPS`, the same for the same seed, each tried in a copy of the checkout.
The tests in `TESTS` run once without any mutant, under a trace; then each mutant meets those that run its statement,
the quickest first, for `MOST` seconds or until one fails. Mutants that are no mistakes are listed in equivalent.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy  # noqa: F401, imported once here and not in each of the forked processes
import pytest
import torch

from benchmarks import mutants
from benchmarks.equivalent import EQUIVALENT
from benchmarks.mutants import Mutant
from benchmarks.reached import Chosen, Recorder, Test, quickest

__all__ = ["GROUPS", "TESTS", "Tried", "sample", "try_all"]

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("hypergen_compiler", "templates", "tests", "generated", "benchmarks", "pyproject.toml", "LICENSE")
GROUPS = {"layout": "layout.py", "plan": "plan/*.py", "emission": "emit/*.py", "checker": "checker/*.py"}
QUICK = "formulas literals model names printed records text weights".split()
TESTS = (
    "tests/test_layout.py",
    "tests/test_plan.py",
    "tests/checker/test_stages.py",
    "tests/fold",
    *(f"tests/emit/test_{name}.py" for name in QUICK),
    "tests/test_generated.py::test_a_committed_package_is_what_this_process_writes",
)
MOST = 30  # seconds of tests that a mutant meets
LONGEST = 200  # seconds of a processor; a mutant that runs on is noticed
PASSED = (0, 5)  # what pytest exits with where all tests pass, or none was chosen


@dataclass(frozen=True)
class Tried:
    group: str
    module: str
    mutant: Mutant
    noticed: bool


def sample(count: int, seed: int) -> list[tuple[str, str, Mutant]]:
    """Mutants of all groups' modules, each as likely as any other."""
    everything = [
        (name, path, number)
        for name, pattern in GROUPS.items()
        for path in sorted((ROOT / "hypergen_compiler").glob(pattern))
        for number in range(mutants.count(path.read_text()))
    ]
    random.Random(seed).shuffle(everything)
    found = (
        (name, path.relative_to(ROOT).as_posix(), mutants.mutant(path.read_text(), number))
        for name, path, number in everything
    )
    real = (one for one in found if (one[1], one[2].what) not in EQUIVALENT)
    return [one for one, _ in zip(real, range(count), strict=False)]


def try_all(chosen: list[tuple[str, str, Mutant]]) -> Iterator[Tried]:
    """As many at once as there are processors."""
    with tempfile.TemporaryDirectory() as folder:
        tests = recorded(copied(Path(folder) / "sound"))
        workers = len(os.sched_getaffinity(0))
        places = multiprocessing.get_context("fork").Queue()
        for number in range(workers):
            places.put(copied(Path(folder) / f"copy{number}"))
        with multiprocessing.get_context("fork").Pool(workers, keep, (places, tests)) as pool:
            yield from pool.imap(tried, chosen)


KEPT: dict[str, Any] = {}  # a worker's copy of the checkout, and the tests


def keep(places: Any, tests: Mapping[str, Test]) -> None:
    KEPT.update(place=places.get(), tests=tests)


def tried(given: tuple[str, str, Mutant]) -> Tried:
    name, module, mutant = given
    tests: dict[str, Test] = KEPT["tests"]
    lines = {(module, line) for line in mutant.statement}
    if not mutant.in_function:
        lines |= {line for test in tests.values() for line in test.lines if line[0] == module}
    return Tried(name, module, mutant, noticed(KEPT["place"], module, mutant, quickest(tests, lines, MOST)))


def copied(place: Path) -> Path:
    place.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, place / part)
    return place


def recorded(place: Path) -> dict[str, Test]:
    """What each test runs."""
    kept = place / "reached.json"

    def record() -> int:
        recorder = Recorder(place)
        code = pytest.main(["-q", "-p", "no:cacheprovider", *TESTS], [recorder])
        tests = {name: (test.seconds, sorted(test.lines)) for name, test in recorder.tests.items()}
        kept.write_text(json.dumps(tests))
        return int(code)

    if apart(place, record):
        raise SystemExit("tests fail without any mutant")
    found = json.loads(kept.read_text())
    return {name: Test(seconds, {(file, line) for file, line in lines}) for name, (seconds, lines) in found.items()}


def noticed(place: Path, module: str, mutant: Mutant, tests: list[str]) -> bool:
    file = place / module
    before = file.read_bytes()
    shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)  # which goes by seconds and sizes
    file.write_text(mutant.text)
    files = sorted({test.partition("::")[0] for test in tests})
    try:
        code = apart(place, lambda: int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], [Chosen(tests)])))
        return code not in PASSED
    finally:
        file.write_bytes(before)


def apart(place: Path, run: Any) -> int:
    """What `run` gives in a forked process, which need not import torch again, but imports the copy's compiler."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
        os.setpgid(0, 0)
        os.chdir(place)
        sys.path[:] = [str(place), *(path for path in sys.path if path not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("benchmarks", "hypergen_compiler")]:
            del sys.modules[name]
        os.environ.update(PYTHONPATH=str(place), PYTHONDONTWRITEBYTECODE="1")
        sys.dont_write_bytecode = True
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        os._exit(run())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Make small mistakes in the compiler and count those noticed.")
    parser.add_argument("--mutants", type=int, default=200, help="how many, of all there are")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for one in try_all(sample(options.mutants, options.seed)):
        found.append(one)
        print(
            f"{'noticed' if one.noticed else 'MISSED '} {one.module}:{one.mutant.line}: {one.mutant.what}", flush=True
        )
    for name in GROUPS:
        own = [tried for tried in found if tried.group == name]
        print(f"{name}: {sum(tried.noticed for tried in own)} of {len(own)} noticed")


if __name__ == "__main__":
    main()
