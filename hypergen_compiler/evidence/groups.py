"""Pictures in groups, one of them rare: what the experiment `fairness` trains, tunes and tests on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from hypergen_compiler.demo.data import Pictures, digits, read_pictures
from hypergen_compiler.errors import HyperGenError

__all__ = ["Part", "Problem", "pictures", "problem"]

LARGEST_SIDE = 16  # pictures of more pixels are halved
TESTED, VALIDATED = 0.3, 0.2  # of all pictures for the test, then of the rest for choosing a rate and a step
LARGEST_TRAINING = 1000  # pictures
FEWEST = 4  # of the rare group to train on


@dataclass(frozen=True)
class Part:
    """`images` [n, 1, side, side] with levels in [0, 1], and the group of each, `labels` [n]"""

    images: Tensor
    labels: Tensor

    def rows(self, chosen: Tensor | slice) -> Part:
        return Part(self.images[chosen], self.labels[chosen])

    def weights(self, shares: Tensor) -> Tensor:
        """How much each row counts where the groups have these shares: [..., groups] -> [..., n], summing to 1"""
        counts = torch.bincount(self.labels, minlength=shares.shape[-1])
        return (shares / counts.clamp_min(1))[..., self.labels]


@dataclass(frozen=True)
class Problem:
    """One seed's pictures. `test` is the same for all seeds, and `judge`, all that is not in it, trains the classifier.

    Groups are numbered in the order of `classes`; `shares` [groups] are those of the training pictures.
    """

    data: str
    classes: tuple[int, ...]
    train: Part
    validation: Part
    test: Part
    judge: Part

    @property
    def shares(self) -> Tensor:
        counts = torch.bincount(self.train.labels, minlength=len(self.classes))
        return counts / counts.sum()

    @property
    def side(self) -> int:
        return self.train.images.shape[-1]


def pictures(path: Path | None) -> tuple[str, Part]:
    """The data's name and all of it: a file's, or scikit-learn's digits. Raises HG604 where it does not serve."""
    found: Pictures = digits() if path is None else read_pictures(path)
    if found.labels is None:
        raise HyperGenError("HG604", f"{path}: no `labels`", remedy="Give an .npz with `images` and `labels`, [n].")
    images = found.tensor()
    if found.side > LARGEST_SIDE:
        images = F.avg_pool2d(images, 2)
    return "scikit-learn's digits" if path is None else path.name, Part(images, torch.from_numpy(found.labels).long())


def problem(data: str, everything: Part, classes: tuple[int, ...], share: float | None, seed: int) -> Problem:
    """A seed's part of the pictures of some classes. With a `share`, the second of two classes is made that rare."""
    absent = [name for name in classes if not (everything.labels == name).any()]
    if absent:
        raise HyperGenError("HG604", f"{data} has no label {absent[0]}", remedy="Choose among the labels that it has.")
    chosen = torch.nonzero(torch.isin(everything.labels, torch.tensor(classes))).flatten()
    groups = torch.tensor([classes.index(label) for label in everything.labels[chosen].tolist()])
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))
    part = Part(everything.images[chosen], groups).rows(order)
    tested = int(TESTED * len(order))
    test, judge = part.rows(slice(None, tested)), part.rows(slice(tested, None))
    own = judge.rows(torch.randperm(len(judge.labels), generator=torch.Generator().manual_seed(1 + seed)))
    places = [torch.nonzero(own.labels == group).flatten() for group in range(len(classes))]
    held = [int(VALIDATED * len(place)) for place in places]
    validation = own.rows(torch.cat([place[:count] for place, count in zip(places, held, strict=True)]))
    rest = torch.cat([place[count:] for place, count in zip(places, held, strict=True)])
    train = own.rows(rest.sort().values)
    train = train.rows(slice(None, LARGEST_TRAINING)) if share is None else rare(train, share)
    return Problem(data, classes, train, validation, test, judge)


def rare(part: Part, share: float) -> Part:
    """As many pictures as there are for the second of two groups to have a share, at least FEWEST of it."""
    majority, minority = (torch.nonzero(part.labels == group).flatten() for group in (0, 1))
    n = min(LARGEST_TRAINING, int(len(majority) / (1 - share)))
    few = min(len(minority), max(FEWEST, round(share * n)))
    return part.rows(torch.cat([majority[: n - few], minority[:few]]))
