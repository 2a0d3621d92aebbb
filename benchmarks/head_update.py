"""An update of a low-rank head whose gradient never exists as a whole, against the ordinary one:

    python -m benchmarks.head_update

The gradient of a head is an outer product, `embeddings.T @ gradients`. `tiled` forms it a tile at a time, in memory
that a cache holds, and gives each tile to torch's fused Adam; `kept` forms all of it in memory that it keeps;
`ordinary` is what autograd and the optimizer do, which take new memory for the gradient in every step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.steps import ratio, time_pairs

__all__: list[str] = []

DATASETS = 8
TILE = 8192  # columns
CASES = ((16, 25_570), (16, 370_000), (16, 1_250_000), (4, 5_450_000))  # rank and weights of the benchmarks' targets
SECONDS = 6.0
RATES = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}


class Head:
    """Values and moments of a head, [rank, columns]."""

    def __init__(self, rank: int, columns: int):
        self.value, self.first, self.second = (torch.zeros(rank, columns) for _ in range(3))
        self.steps = torch.tensor(1.0)

    def update(self, gradient: Tensor) -> None:
        tensors = [self.value], [gradient], [self.first], [self.second], [], [self.steps]
        torch._fused_adam_(*tensors, **RATES, amsgrad=False, maximize=False)


def updates(rank: int, size: int) -> tuple[Callable[[], None], dict[str, Callable[[], None]]]:
    """The ordinary update, and the others by name."""
    embeddings, gradients = torch.randn(DATASETS, rank).T.contiguous(), torch.randn(DATASETS, size)
    whole, buffer = Head(rank, size), torch.empty(rank, size)
    parts = gradients.split(TILE, dim=1)
    tiles = [(Head(rank, part.shape[1]), part, torch.empty(rank, part.shape[1])) for part in parts]

    def ordinary() -> None:
        whole.update(embeddings @ gradients)

    def kept() -> None:
        whole.update(torch.mm(embeddings, gradients, out=buffer))

    def tiled() -> None:
        for head, part, gradient in tiles:
            head.update(torch.mm(embeddings, part, out=gradient))

    return ordinary, {"kept": kept, "tiled": tiled}


def main() -> None:
    torch.set_num_threads(1)
    print("rank    weights  ordinary, ms   kept  tiled")
    for rank, size in CASES:
        ordinary, others = updates(rank, size)
        times = time_pairs(ordinary, others, SECONDS, time.process_time)
        own = 1e3 * statistics.median(times["kept"].plain)
        ratios = "  ".join(f"{ratio(found).median:5.2f}" for found in times.values())
        print(f"{rank:4}  {size:9,}  {own:12.1f}  {ratios}")


if __name__ == "__main__":
    main()
