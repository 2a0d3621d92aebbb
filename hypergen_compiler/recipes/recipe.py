"""What every recipe is: settings, a loss and, where it can draw samples, a sampler around a network."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hypergen_compiler.errors import HyperGenError

__all__ = ["Conditional", "Recipe", "device_of", "given", "refuse_unless"]

Example = Callable[[int], tuple[Any, ...]]


@dataclass(frozen=True)
class Recipe(ABC):
    """A loss and a sampler around a network; the fields are the settings.

    Both are ordinary torch code that runs the network itself: they are recorded and printed like a user's own.
    """

    name: ClassVar[str]
    made: ClassVar[int] = 1  # how many of the network's inputs the recipe makes from the data

    def around(self, network: nn.Module) -> nn.Module:
        """The model that is compiled, and that every other method is given: the network, unless it takes more."""
        return network

    def fitted(self, network: nn.Module, example: Example) -> Recipe:
        """The recipe with the settings that follow from the network and from `example(n)`, a batch of n."""
        return self

    @property
    def inputs(self) -> int:
        """How many tensors the loss takes."""
        return 1

    @abstractmethod
    def loss(self, network: nn.Module, x: Tensor) -> Tensor:
        """x [n, ...] -> a scalar, or one number per item [n]"""

    @abstractmethod
    def sample(self, network: nn.Module, n: int) -> Any:
        """-> n items like x, and what else the loss takes with them"""

    def conditions(self, network: nn.Module) -> list[str]:
        """The network's names for what it takes behind the inputs that the recipe makes."""
        return list(inspect.signature(network.forward).parameters)[self.made :]

    def can_sample(self, network: nn.Module, inputs: int) -> bool:
        """Whether `sample` draws from this network, whose loss takes `inputs` tensors."""
        return inputs == self.inputs


@dataclass(frozen=True)
class Conditional(Recipe):
    """A recipe for networks that may take a condition with each item.

    With `classes` the loss takes a label below it with each item, and the sampler draws labels uniformly and returns
    them beside its samples. `shape` is an item's, found from the example. Other conditions are inputs of the loss, and
    leave no sampler: there is nothing to draw them from.
    """

    shape: tuple[int, ...] | None = None
    classes: int | None = None

    def fitted(self, network: nn.Module, example: Example) -> Recipe:
        return self if self.shape is not None else replace(self, shape=tuple(example(2)[0].shape[1:]))

    @property
    def inputs(self) -> int:
        return 1 if self.classes is None else 2

    def sample(self, network: nn.Module, n: int) -> Tensor | tuple[Tensor, Tensor]:
        """-> items [n, *shape], and with `classes` their labels [n]"""
        x = self.begin(n, device_of(network))
        if self.classes is None:
            x = self.generate(network, x)
            return x
        labels = torch.randint(self.classes, (n,), device=x.device)
        x = self.generate(network, x, labels)
        return x, labels

    def begin(self, n: int, device: torch.device) -> Tensor:
        """What sampling starts from: noise [n, *shape]."""
        return torch.randn(n, *self.shape, device=device)

    @abstractmethod
    def generate(self, network: nn.Module, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """What sampling starts from -> items [n, *shape]"""


def device_of(network: nn.Module) -> torch.device:
    """Where the network's weights are."""
    return next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))


def given(labels: Tensor | None) -> tuple[Tensor, ...]:
    """Further arguments of a network: none, or the labels."""
    return () if labels is None else (labels,)


def refuse_unless(holds: bool, what: str, remedy: str) -> None:
    """Raises HG107 for a recipe or a setting that is not understood."""
    if not holds:
        raise HyperGenError("HG107", what, remedy=remedy)
