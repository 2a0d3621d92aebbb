"""Fuzzes the compiler:  python -m fuzzing --programs 5000  and  python -m fuzzing --hostile 1000

Writes every program that fails into a folder, made as small as it can be while it fails in the same way.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch

from fuzzing.minimise import minimised
from fuzzing.programs import program
from fuzzing.running import Outcome, hostile_outcome, outcome

TOLD = 100  # programs between two lines about how far it is


def write(file: Path, text: str, found: Outcome, whole: bool) -> None:
    """The program, as small as it can be while it fails in the same way, below what is wrong with it."""
    small = minimised(text, lambda other: outcome(other, whole=whole).cause == found.cause)
    file.parent.mkdir(parents=True, exist_ok=True)
    said = "".join(f"# {line}\n" for line in outcome(small, whole=whole).detail.splitlines())
    file.write_text(said + small)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description="Compiles and verifies generated programs.")
    parser.add_argument("--programs", type=int, default=0, help="how many generated programs")
    parser.add_argument("--hostile", type=int, default=0, help="how many models of hostile names")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="folder for programs that fail")
    parser.add_argument("--whole", action="store_true", help="publish each, as the command line does")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.programs):
        found = outcome(program(seed), whole=options.whole)
        tell(seed, found, counts)
        if found.kind in ("wrong", "crashed"):
            write(options.out / f"{seed}.py", program(seed), found, options.whole)
    for seed in range(options.first, options.first + options.hostile):
        tell(f"hostile {seed}", hostile_outcome(seed, whole=options.whole), counts)
    print(dict(counts))
    return 1 if counts["wrong"] + counts["crashed"] else 0


def tell(what: object, found: Outcome, counts: Counter[str]) -> None:
    counts[found.kind] += 1
    if found.kind != "accepted":
        print(what, ascii(f"{found.kind} {found.detail[:300]}"), flush=True)
    if not counts.total() % TOLD:
        print(f"{counts.total()}: {dict(counts)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
