"""What experiments do with packages: compile a model into a temporary folder, train its hypernetwork, emit and draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from hypergen_compiler.api import compile as compile_model
from hypergen_compiler.publishing.manifest import read_manifest

__all__ = ["Run", "compiled", "recipe_text", "trained", "usual"]


@contextmanager
def compiled(model: nn.Module, example: Callable[[int], tuple[Tensor, ...]], **choices: Any) -> Iterator[ModuleType]:
    """The package of a model, imported, as long as the context lasts; `choices` are those of `hypergen.compile`.

    `example(n)` is a batch of n of what the loss takes.
    """
    name = "_".join([type(model).__name__.lower(), *(str(choices[key]) for key in sorted(choices))]).replace("-", "_")
    with TemporaryDirectory(prefix="hypergen-") as folder:
        yield compile_model(model, example, out=Path(folder) / name, **choices).load()


def usual(package: ModuleType) -> dict[str, Any]:
    """The head of a package's hypernetwork, and the settings that it trains with where nothing else is said."""
    head = read_manifest(Path(package.__path__[0]))["plan"]["head"]
    return {"head": head, **package.training.Settings()._asdict()}


def recipe_text(usual: Mapping[str, Any]) -> str:
    """The head, and those settings that decide what is learned."""
    values = ", ".join(f"{name} {usual[name]:g}" for name in ("batch", "episodes", "lr", "strength", "ema"))
    return f"head `{usual['head']}`, {values}"


@dataclass(frozen=True)
class Run:
    """A trained hypernetwork of a package, and the state, the model's buffers, that its training left.

    It is the moving average of what was trained, where there is one, as in what the package exports.
    """

    package: ModuleType
    hypernetwork: nn.Module
    state: nn.Module

    def emit(self, *inputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """The model's weights for a dataset, -> [SIZE]; `weights` [n] tell how much each of its rows counts."""
        shares = None if weights is None else weights / weights.sum()
        return self.package.export.emit_for(self.hypernetwork, self.package.data.Data(inputs), shares)

    def calibrated(self, *inputs: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
        """The model's weights under which samples have these shares of the labels 0, 1, ..., -> [SIZE]"""
        data, wanted = self.package.data.Data(inputs, labels), dict(enumerate(shares.tolist()))
        return self.package.calibration.calibrate(self.hypernetwork, self.state, data, wanted).flat

    @torch.no_grad()
    def sample(self, flat: Tensor, n: int) -> Any:
        """n draws from the model under weights [SIZE]"""
        return self.package.model.sample(self.package.weights.unpack(flat), self.state, n)

    @torch.no_grad()
    def loss(self, flat: Tensor, *inputs: Tensor) -> Tensor:
        """The model's own loss under weights [SIZE]"""
        return self.package.model.loss(self.package.weights.unpack(flat), self.state, *inputs)


def trained(
    package: ModuleType,
    inputs: tuple[Tensor, ...],
    labels: Tensor | None = None,
    start: Tensor | None = None,
    **settings: Any,
) -> Run:
    """A hypernetwork trained by the package's own trainer, with the moving average of its parameters (`--averaged`).

    `settings` are those that differ from its usual ones. With `labels` the small datasets of a step are mixtures of the
    groups, else random parts of the data. `start` [SIZE] are the model's weights to begin with, in place of those that
    it was compiled with.
    """
    training = package.training
    trainer = training.Trainer(package.data.Data(inputs, labels), training.Settings(**settings))
    if start is not None:
        for hypernetwork in filter(None, (trainer.hypernetwork, trainer.averaged)):
            hypernetwork.load_state_dict(package.hypernetwork.Hypernetwork(start).state_dict())
    while trainer.step < trainer.settings.steps:
        trainer.advance()
    return Run(package, (trainer.averaged or trainer.hypernetwork).eval(), trainer.state.eval())
