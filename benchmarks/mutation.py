"""Makes small mistakes in the compiler and counts those that tests notice:  python -m benchmarks.mutation

A sample of all mutants of the modules in `GROUPS`, the same for the same seed, each tried in a copy of the checkout:
first with the tests that are quick, and if these pass, with slower ones.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy  # noqa: F401, imported once here and not in each of the forked processes
import pytest
import torch

from benchmarks import mutants
from benchmarks.mutants import Mutant

__all__ = ["GROUPS", "Group", "Tried", "sample", "try_all"]

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("hypergen_compiler", "templates", "tests", "generated", "benchmarks", "pyproject.toml", "LICENSE")
LONGEST = 200  # seconds of a processor; a mutant that runs on is noticed


@dataclass(frozen=True)
class Group:
    """Modules, as patterns below `hypergen_compiler`, the tests that are quick, and those for what they let through."""

    modules: tuple[str, ...]
    quick: tuple[str, ...]
    slow: tuple[str, ...]


GROUPS = {
    "layout": Group(
        ("layout.py",), ("tests/test_layout.py", "tests/emit/test_weights.py"), ("tests/emit/test_heads.py",)
    ),
    "plan": Group(("plan/*.py",), ("tests/test_plan.py",), ("tests/emit/test_heads.py", "tests/test_predictions.py")),
    "weights": Group(
        ("emit/weights.py", "emit/records.py"), ("tests/emit/test_weights.py",), ("tests/emit/test_records.py",)
    ),
    "hypernetwork": Group(("emit/hypernetwork.py",), ("tests/emit/test_heads.py",), ("tests/emit/test_penalties.py",)),
}


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
        for name, group in GROUPS.items()
        for pattern in group.modules
        for path in sorted((ROOT / "hypergen_compiler").glob(pattern))
        for number in range(mutants.count(path.read_text()))
    ]
    chosen = random.Random(seed).sample(everything, min(count, len(everything)))
    return [
        (name, path.relative_to(ROOT).as_posix(), mutants.mutant(path.read_text(), number))
        for name, path, number in chosen
    ]


def try_all(chosen: list[tuple[str, str, Mutant]]) -> list[Tried]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, place / part)
        sound = set()
        for name, module, mutant in chosen:
            if name not in sound and not all(passes(place, tests) for tests in (GROUPS[name].quick, GROUPS[name].slow)):
                raise SystemExit(f"tests of the group {name} fail without any mutant")
            sound.add(name)
            found.append(Tried(name, module, mutant, noticed(place, GROUPS[name], module, mutant)))
            print(f"{'noticed' if found[-1].noticed else 'MISSED '} {module}:{mutant.line}: {mutant.what}", flush=True)
    return found


def noticed(place: Path, group: Group, module: str, mutant: Mutant) -> bool:
    file = place / module
    before = file.read_bytes()
    shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)  # which goes by seconds and sizes
    file.write_text(mutant.text)
    try:
        return not passes(place, group.quick) or not passes(place, group.slow)
    finally:
        file.write_bytes(before)


def passes(place: Path, tests: tuple[str, ...]) -> bool:
    """Runs tests of the copy in a forked process, which need not import torch again."""
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
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
    status = os.waitpid(child, 0)[1]
    return status == 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Make small mistakes in the compiler and count those noticed.")
    parser.add_argument("--mutants", type=int, default=150, help="how many, of all there are")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = try_all(sample(options.mutants, options.seed))
    for name in GROUPS:
        own = [tried for tried in found if tried.group == name]
        print(f"{name}: {sum(tried.noticed for tried in own)} of {len(own)} noticed")


if __name__ == "__main__":
    main()
