"""Compiles models in many processes and compares every byte:  python -m benchmarks.determinism [ZOO]

The processes differ in the seed of Python's hashes, in the folder that they work in and in their Python: every
`python3.N` on the path from 3.10 on that has what HyperGen needs, and each named with --python. Python 3.10 is compared
with itself alone: it does not tell where in a line an instruction stands, by which later ones find a model's own names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from benchmarks.zoo import zoo_entries
from benchmarks.zoo_entries import ZooEntry
from hypergen_compiler.design import Request
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.examples.catalogue import BUNDLED
from hypergen_compiler.pipeline import build
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.words import request

__all__ = ["Compared", "compare", "pythons"]

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (0, 1, 2, 3, 4)
MINORS = range(10, 20)
NEEDED = "import torch, numpy, jinja2, typer, rich"


@dataclass(frozen=True)
class Compared:
    """How often each of the `models` was compiled, by which Pythons, and those that did not always come out alike."""

    models: tuple[str, ...]
    runs: int
    pythons: tuple[str, ...]
    different: tuple[str, ...]


def compare(runs: Sequence[tuple[str, int]], only: Sequence[str] = (), zoo: Path | None = None) -> Compared:
    """Compiles the models, or those in `only`, in a process for each Python and seed, in two folders in turn."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found = [
            digests_in_process(python, seed, (one, other)[number % 2], only, zoo)
            for number, (python, seed) in enumerate(runs)
        ]
    different = tuple(name for name in found[0] if any(run.get(name) != found[0][name] for run in found))
    used = dict.fromkeys(python for python, _ in runs)
    return Compared(tuple(found[0]), len(found), tuple(map(version, used)), different)


def digests_in_process(python: str, seed: int, folder: str, only: Sequence[str], zoo: Path | None) -> dict[str, str]:
    command = [python, "-m", "benchmarks.determinism", "--digest", *(f"--only={name}" for name in only)]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command += [] if zoo is None else [str(zoo.resolve())]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def pythons(named: Sequence[str] = ()) -> list[str]:
    """This Python, those named, and every other on the path that can run HyperGen with this torch and find names."""
    others = (shutil.which(f"python3.{minor}") for minor in MINORS)
    found = {version(sys.executable): sys.executable}
    for python in (*named, *filter(None, others)):
        if version(python) not in found and described(python) == described(sys.executable):
            found[version(python)] = python
    return list(found.values())


def version(python: str) -> str:
    return asked(python, "import platform; print(platform.python_version())")


def described(python: str) -> str:
    """What equal bytes need: the version of torch, and whether instructions have positions."""
    return asked(
        python, f"{NEEDED}; print(torch.__version__.partition('+')[0], hasattr((lambda: 0).__code__, 'co_positions'))"
    )


def asked(python: str, program: str) -> str:
    return subprocess.run([python, "-c", program], capture_output=True, text=True).stdout.strip()


def digests(only: Sequence[str], zoo: Path | None) -> dict[str, str]:
    """The SHA-256 of everything that a package consists of, or the code of the refusal, by the model's name."""
    found = {}
    for bundled in BUNDLED:
        if not only or bundled.package in only:
            origin = Origin(bundled.source, bundled.settings, bundled.example, entries=bundled.entries)
            found[bundled.package] = digest_of(request(origin, lambda message: None), bundled.package)
    for entry in zoo_entries(zoo) if zoo is not None else ():
        if not only or entry.name in only:
            found[entry.name] = digest_of(zoo_request(entry), entry.package)
    return found


def zoo_request(entry: ZooEntry) -> Request:
    return Request(entry.make(), entry.example, None, None, {entry.method: (entry.method, entry.example)})


def digest_of(asked: Request, name: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            files = build(asked, name).files
        except HyperGenError as error:
            return error.code
    whole = hashlib.sha256()
    for path, content in sorted(files.items()):
        whole.update(f"{path}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def main() -> int:
    """1 where a model's packages differ, else 0."""
    parser = argparse.ArgumentParser(description="Compile models in many processes and compare every byte.")
    parser.add_argument("zoo", nargs="?", type=Path, help="a folder with a zoo.py; without, the bundled models alone")
    parser.add_argument("--only", action="append", default=[], help="compile only the model of this name; repeatable")
    parser.add_argument("--python", action="append", default=[], help="another Python; repeatable")
    parser.add_argument("--digest", action="store_true", help="only compile here and print digests")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.digest:
        print(json.dumps(digests(options.only, options.zoo)))
        return 0
    found = compare([*product(pythons(options.python), SEEDS)], options.only, options.zoo)
    print(f"{len(found.models)} models, {found.runs} times each, Python {', '.join(found.pythons)}")
    print(f"different: {', '.join(found.different) or 'none'}")
    return 1 if found.different else 0


if __name__ == "__main__":
    sys.exit(main())
