"""What the demo leaves for a person to look at: pictures of samples, the loss curve, a short report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

__all__ = ["Measured", "write_report"]

COLUMNS = 8


class Measured(NamedTuple):
    """`before` and `after` are held-out losses of the plain module; `pictures` are real ones and samples, 64 each."""

    manifest: Mapping[str, Any]
    before: float
    after: float
    items: int
    seconds: Mapping[str, float]
    pictures: tuple[Tensor, Tensor]


def write_report(out: Path, measured: Measured) -> None:
    """Writes `samples.png`, `loss.png` and `report.md` into `out`."""
    draw_samples(out / "samples.png", *measured.pictures)
    draw_loss(out / "loss.png", out / "run" / "log.csv")
    (out / "report.md").write_text(report(measured))


def figure(width: float, height: float):
    from matplotlib.figure import Figure  # apart from pyplot, so that no display is looked for

    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def grid(images: Tensor) -> np.ndarray:
    """[n, 1, side, side] -> one picture, with a line between the tiles"""
    tiles = np.pad(images[:, 0].numpy(), ((0, 0), (1, 0), (1, 0)), constant_values=0.5)
    n, height, width = tiles.shape
    return tiles.reshape(-1, COLUMNS, height, width).swapaxes(1, 2).reshape(n // COLUMNS * height, COLUMNS * width)


def draw_samples(path: Path, real: Tensor, samples: Tensor) -> None:
    drawing = figure(10, 5.4)
    for axes, images, title in zip(
        drawing.subplots(1, 2), (real, samples), ("held-out data", "samples of the plain module"), strict=True
    ):
        axes.imshow(grid(images), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title)
        axes.axis("off")
    drawing.savefig(path)


def draw_loss(path: Path, log: Path) -> None:
    rows = np.genfromtxt(log, delimiter=",", names=True)
    drawing = figure(8, 4)
    loss, penalty = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    loss.plot(rows["step"], rows["loss"])
    loss.set_ylabel("loss, nats per picture")
    penalty.plot(rows["step"], rows["penalty"], color="tab:orange")
    penalty.set_ylabel("penalty")
    penalty.set_xlabel("step")
    drawing.savefig(path)


def report(measured: Measured) -> str:
    manifest, plan, layout = measured.manifest, measured.manifest["plan"], measured.manifest["layout"]
    name = manifest["name"]
    stages = "\n".join(f"| {stage} | {seconds:.1f} |" for stage, seconds in measured.seconds.items())
    return f"""\
# HyperGen's demo

`{manifest["model"]}` was compiled into the package [`{name}`]({name}), its hypernetwork trained on {measured.items:,}
pictures, and the weights that it emits for them exported and loaded into the original module.

| | |
|---|---|
| entry points | {", ".join(manifest["entries"])} |
| weights of the model | {layout["weights"]:,} in {len(layout["slots"])} tensors |
| flat buffer | {layout["size"]:,} elements, each tensor on a 64-byte boundary; {layout["emitted"]:,} are emitted |
| hypernetwork | {plan["head"]} head of rank {plan["rank"]} with a learned base: {plan["parameters"]:,} parameters |
| held-out loss before training | {measured.before:.2f} nats per picture |
| held-out loss of the plain module after it | **{measured.after:.2f}** nats per picture |

![held-out data and samples](samples.png)

![loss and penalty in training](loss.png)

| stage | seconds |
|---|---|
{stages}
| together | {sum(measured.seconds.values()):.1f} |

## Where things are

- [`{name}/`]({name}) is the package: start with `model.py`, then `weights.py` and `hypernetwork.py`.
- `train.npz` and `held_out.npz` are the data, `run/` the training run with its log and checkpoint.
- `weights.pt` is an ordinary state_dict: `ConvVAE(...).load_state_dict(torch.load("weights.pt", weights_only=True))`.

## What to do next

    hypergen inspect {name}             # entry points, layout, plan and files
    hypergen verify {name}              # compare the package with the model again
    pytest {name}                       # the package's own tests: torch, numpy and pytest are all they need
    python -m {name}.train train.npz --out longer --steps 5000
"""
