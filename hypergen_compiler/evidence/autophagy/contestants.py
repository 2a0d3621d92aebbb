"""Who takes part in self-consuming chains: each turns datasets into as many items generated from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

import torch
from torch import Tensor

from hypergen_compiler.evidence.autophagy.chains import Regenerate
from hypergen_compiler.evidence.autophagy.plain import Training, initial, sampled, trained_plainly
from hypergen_compiler.evidence.group_classifier import GroupClassifier
from hypergen_compiler.evidence.metrics import shares
from hypergen_compiler.evidence.packages import Run

__all__ = ["Continued", "by_groups", "emitted", "resampled", "retrained"]


def resampled(data: Tensor) -> Tensor:
    """Items drawn from the data themselves: what sampling alone does."""
    models = torch.arange(len(data)).unsqueeze(1)
    return data[models, torch.randint(data.shape[1], data.shape[:2])]


def retrained(package: ModuleType, training: Training) -> Regenerate:
    """A plain model, trained from its initialization on every generation's data."""

    def regenerate(data: Tensor) -> Tensor:
        flat = trained_plainly(package, initial(package, len(data)), data, training=training)
        return sampled(package, flat, data.shape[1])

    return regenerate


@dataclass
class Continued:
    """A plain model that was trained on all real data, [SIZE], and goes on training on every generation's data."""

    package: ModuleType
    start: Tensor
    training: Training
    flat: Tensor | None = field(default=None, init=False)

    def __call__(self, data: Tensor) -> Tensor:
        flat = self.start.repeat(len(data), 1) if self.flat is None else self.flat
        self.flat = trained_plainly(self.package, flat, data, training=self.training)
        return sampled(self.package, self.flat, data.shape[1])


def emitted(run: Run) -> Regenerate:
    """A trained hypernetwork, which emits weights for every generation's data in one pass and is not trained again."""

    def regenerate(data: Tensor) -> Tensor:
        return torch.stack([run.sample(run.emit(dataset), data.shape[1]) for dataset in data])

    return regenerate


def by_groups(package: ModuleType, flat: Tensor, classifier: GroupClassifier, groups: int) -> Regenerate:
    """A plain model of items given their group, trained once on all real data: it is asked for the shares that the
    classifier finds in a generation's data."""
    weights, state = package.weights.unpack(flat), package.weights.State()

    @torch.no_grad()
    def regenerate(data: Tensor) -> Tensor:
        wanted = [shares(classifier.groups(dataset), groups) for dataset in data]
        labels = [torch.multinomial(share, data.shape[1], replacement=True) for share in wanted]
        return torch.stack([package.model.sample_of(weights, state, label) for label in labels])

    return regenerate
