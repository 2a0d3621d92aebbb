"""How a zoo's emitted code reads, in numbers:  python -m benchmarks.readability [FOLDER] [--only TEXT] [--out PAGE]

FOLDER is a zoo as `benchmarks.zoo` takes it; the bundled models come first. Nothing is verified or run: that is the
zoo's. The table goes to PAGE or stdout.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("PYTORCH_JIT", "0")  # scripted functions cannot be recorded; torch reads this at its import
os.environ.setdefault("TQDM_DISABLE", "1")  # samplers' own progress bars

import torch

from benchmarks.code_lines import definition_lines, function_lines, longest_function
from benchmarks.local_names import LocalNames, local_names, names_in
from benchmarks.readability_page import page
from benchmarks.zoo import zoo_entries
from benchmarks.zoo_entries import ZooEntry, bundled_entries
from benchmarks.zoo_rows import recorded_functions
from hypergen_compiler.design import Request
from hypergen_compiler.pipeline import build

__all__ = ["ReadRow", "read"]


@dataclass(frozen=True)
class ReadRow:
    """Lines of the emitted functions and of the model's own that ran, the longest function, and its local names."""

    name: str
    lines: int
    own_lines: int
    longest: int
    names: LocalNames


def read(entry: ZooEntry) -> ReadRow:
    """Compiles an entry point in memory and counts."""
    names = {entry.method: (entry.method, entry.example)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = build(Request(entry.make(), entry.example, None, None, names), entry.package)
    text = built.files["model.py"].decode()
    functions = recorded_functions(built.design.program)
    found = local_names(text, names_in(functions))
    return ReadRow(entry.name, definition_lines(text), function_lines(functions), longest_function(text), found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what makes emitted code readable, over a zoo of models.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("../shared/zoo"))
    parser.add_argument("--only", default="", help="compile only entries whose name holds this text")
    parser.add_argument("--out", type=Path, help="the page to write; by default it is printed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, suffixes = [], Counter[str]()
    for entry in [*bundled_entries(), *zoo_entries(options.folder)]:
        if options.only in entry.name:
            rows.append(read(entry))
            suffixes.update(rows[-1].names.numbered)
            print(f"{entry.name}: {rows[-1].lines} lines", file=sys.stderr, flush=True)
    text = page(rows)
    if options.out is None:
        print(text, end="")
    else:
        options.out.write_text(text)
    print("numbered names:", ", ".join(f"{name} {count}" for name, count in suffixes.most_common(40)), file=sys.stderr)


if __name__ == "__main__":
    main()
