"""Compiles every entry point of a zoo of models:  python -m benchmarks.zoo [FOLDER] [--only TEXT] [--out PAGE]

FOLDER holds a `zoo.py` with a list `CASES` of objects that have a `name`, a `module()` whose forward is the entry
point, and `inputs(n)`, its arguments for a batch of n. The bundled models come first. The table goes to PAGE or stdout.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_JIT", "0")  # scripted functions cannot be recorded; torch reads this at its import
os.environ.setdefault("TQDM_DISABLE", "1")  # samplers' own progress bars

import torch

from benchmarks.zoo_entries import ZooEntry, bundled_entries, case_entry
from benchmarks.zoo_large import plan_large
from benchmarks.zoo_page import page
from benchmarks.zoo_rows import measure


def zoo_entries(folder: Path) -> list[ZooEntry]:
    """The entry points of a zoo's cases; none, with a message, where there is no zoo."""
    if not (folder / "zoo.py").is_file():
        print(f"no zoo in {folder}: compiling the bundled models alone", file=sys.stderr)
        return []
    sys.path.insert(0, str(folder))
    cases: list[Any] = __import__("zoo").CASES
    return [case_entry(case) for case in cases]


def main() -> int:
    """1 where an entry point is refused or differs from the model, else 0."""
    parser = argparse.ArgumentParser(description="Compile every entry point of a zoo of models.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("../shared/zoo"))
    parser.add_argument("--only", default="", help="compile only entries whose name holds this text")
    parser.add_argument("--out", type=Path, help="the page to write, where there is a zoo; by default it is printed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = zoo_entries(options.folder)
    rows = []
    for entry in [*bundled_entries(), *found]:
        if options.only in entry.name:
            rows.append(measure(entry))
            print(f"{entry.name}: {rows[-1].result}, {rows[-1].seconds:.1f} s", file=sys.stderr, flush=True)
    text = page(rows, None if options.only else plan_large())
    if options.out is not None and found:
        options.out.write_text(text)
    else:
        print(text, end="")
    return 0 if all(row.result == "equal" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
