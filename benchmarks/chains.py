"""What the penalty over chains does to self-consumption:  python -m benchmarks.chains [--seeds 6] [--steps 1500]

The hypernetworks of `hypergen experiment autophagy` on scikit-learn's digits, with no penalty, the unbiased one, and
that over chains; every generation is all synthetic. Means over seeds with standard errors; `less` is what chains have
less what the unbiased one has.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from hypergen_compiler.evidence.autophagy import field, seed
from hypergen_compiler.evidence.autophagy.chains import FORMS, STARTS
from hypergen_compiler.evidence.autophagy.contestants import emitted
from hypergen_compiler.evidence.autophagy.setting import Scale
from hypergen_compiler.evidence.groups import pictures
from hypergen_compiler.evidence.packages import trained

__all__ = ["contestants"]

PENALTIES = ("none", "unbiased", "chains")
SHOWN = (1, 5, 10, 20)  # generations
MEASURES = {"frechet": "Frechet distance", "heavy": "share of the heavy digit", "drift": "drift of all shares"}


def contestants(stack: Any, data: Any, scale: Scale, number: int) -> Any:
    """A hypernetwork for each penalty, all from one initialization; with it processor seconds and held-out nats."""
    images, labels = data.learn
    for penalty in PENALTIES:
        package = field.vae(stack, images.shape[-1], number, penalty)
        start = time.process_time()
        run = trained(package, (images,), labels, steps=scale.hypernetwork_steps, seed=number)
        seconds = time.process_time() - start
        torch.manual_seed(number)
        flat, held_out = run.emit(images), data.judge[0]
        nats = [run.loss(flat, held_out).mean() for _ in range(8)]
        yield penalty, emitted(run), {"seconds": seconds, "nats": torch.stack(nats).mean().item()}


def spread(values: Sequence[float]) -> str:
    found = torch.tensor(values)
    return f"{found.mean():.3g} ± {found.std() / math.sqrt(len(found)):.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    seed.PARTS["chains"] = contestants
    found = pictures(None)[1]
    scale = Scale(SHOWN[-1], args.steps, (), tuple(range(args.seeds)))
    runs = [seed.measured_seed(found.images, found.labels, scale, number, "chains") for number in scale.seeds]
    for what in ("seconds", "nats"):
        print(what, {penalty: spread([run["settings"][penalty][what] for run in runs]) for penalty in PENALTIES})
    print(f"\n| start | generation | measure | {' | '.join(PENALTIES)} | less |\n|{'---|' * 7}")
    for start in STARTS:
        for generation in SHOWN:
            for measure, title in MEASURES.items():
                rows = [
                    [row for row in run["chains"] if (row["start"], row["form"]) == (start, FORMS[0])] for run in runs
                ]
                values = {
                    p: [r[measure][generation] for own in rows for r in own if r["contestant"] == p] for p in PENALTIES
                }
                less = [one - other for one, other in zip(values["chains"], values["unbiased"], strict=True)]
                cells = " | ".join(spread(column) for column in (*values.values(), less))
                print(f"| {start} | {generation} | {title} | {cells} |")


if __name__ == "__main__":
    main()
