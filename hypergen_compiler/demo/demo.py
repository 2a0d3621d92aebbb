"""The demonstration: compile the bundled VAE, train its hypernetwork, export plain weights, look at what they make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from hypergen_compiler.demo.data import Pictures, digits, read_pictures, split
from hypergen_compiler.demo.report import Measured, write_report
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.examples import ConvVAE
from hypergen_compiler.examples.catalogue import BundledModel
from hypergen_compiler.publishing.manifest import MANIFEST

__all__ = ["run"]

PACKAGE = "conv_vae"
SMALL = 8  # the side of scikit-learn's digits
STEPS, STEPS_FOR_LARGER = 800, 300  # larger pictures take longer per step


class Stopwatch:
    """Announces each stage on stderr and keeps how many seconds it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        say(f"{what} ...")
        start = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - start


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def run(out: Path, data: Path | None) -> None:
    """Fills the folder `out` with a package, its training run, plain weights, pictures and `report.md`.

    `data` is an .npz with `images`, uint8 [n, side, side], and maybe `labels`, [n]; None takes scikit-learn's digits.
    Raises HG604 for data that do not fit or are missing, HG502 for a folder that holds something else, and whatever
    compiling and running the package raise.
    """
    require_plots()
    train, held_out = split(digits() if data is None else read_pictures(data))
    claim(out)
    watch = Stopwatch()
    with watch.stage("Compiling ConvVAE"):
        bundled = BundledModel(
            PACKAGE,
            "hypergen_compiler.examples:ConvVAE",
            f"1x{train.side}x{train.side}",
            entries=("encode",),
            settings={"side": train.side},
        )
        package = bundled.compile(out, progress=lambda message: say(f"  {message}"))
    shutil.rmtree(out / "run", ignore_errors=True)  # an earlier demo's, which would otherwise be continued
    train.save(out / "train.npz")
    held_out.save(out / "held_out.npz")
    steps = str(STEPS if train.side <= SMALL else STEPS_FOR_LARGER)
    with watch.stage("Training its hypernetwork"):
        run_module(out, "train", "train.npz", "--out", "run", "--steps", steps, threads=threads(train.side))
    with watch.stage("Exporting plain weights"):
        run_module(out, "export", "run", "train.npz", "--out", "weights.pt")
    with watch.stage("Loading them into ConvVAE and measuring"):
        before = held_out_loss(package.model, held_out)
        model = load(ConvVAE(side=train.side), out / "weights.pt")
        after = held_out_loss(model, held_out)
        samples = draw(model, 64)
    pictures = (held_out.tensor()[:64], samples)
    write_report(out, Measured(package.manifest, before, after, len(train.images), watch.seconds, pictures))
    print(out / "report.md")


def require_plots() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise HyperGenError(
            "HG604",
            "the demo draws with matplotlib, which is not installed",
            remedy="Install what the demo needs: pip install 'hypergen-compiler[demo]'",
        ) from None


def claim(out: Path) -> None:
    """Refuses a folder that holds anything but an earlier demo."""
    if out.is_dir() and any(out.iterdir()) and not (out / PACKAGE / MANIFEST).is_file():
        raise HyperGenError(
            "HG502", f"{out} is not empty and holds no earlier demo", remedy="Name another folder with --out."
        )


def threads(side: int) -> int | None:
    """One for small pictures: their kernels are over before a second thread has woken. Otherwise torch's own choice."""
    return 1 if side <= SMALL else None


def run_module(out: Path, module: str, *arguments: str, threads: int | None = None) -> None:
    """Runs `python -m PACKAGE.module` in the folder that holds the package, as a user would."""
    say(f"  $ python -m {PACKAGE}.{module} {' '.join(arguments)}")
    command = [sys.executable, "-m", f"{PACKAGE}.{module}", *arguments]
    environment = os.environ if threads is None else {"OMP_NUM_THREADS": str(threads), **os.environ}
    if code := subprocess.run(command, cwd=out, env=environment, stdout=sys.__stderr__).returncode:
        raise HyperGenError(
            "HG602",
            f"`python -m {PACKAGE}.{module}` ended with status {code}",
            remedy="Its own message stands above.",
        )


def load(model: ConvVAE, weights: Path) -> ConvVAE:
    model.load_state_dict(torch.load(weights, weights_only=True), strict=True)
    return model


@torch.no_grad()
def held_out_loss(model: ConvVAE, pictures: Pictures) -> float:
    torch.manual_seed(0)
    return model.eval().loss(pictures.tensor()).item()


@torch.no_grad()
def draw(model: ConvVAE, n: int) -> Tensor:
    torch.manual_seed(0)
    return model.eval().sample(n)
