"""The demo's pictures: scikit-learn's digits, or the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from hypergen_compiler.errors import HyperGenError

__all__ = ["Pictures", "digits", "read_pictures", "split"]

FEWEST = 256


class Pictures(NamedTuple):
    """`images`, uint8 [n, side, side], and `labels`, [n], or None."""

    images: np.ndarray
    labels: np.ndarray | None

    @property
    def side(self) -> int:
        return self.images.shape[1]

    def rows(self, chosen: np.ndarray) -> Pictures:
        return Pictures(self.images[chosen], None if self.labels is None else self.labels[chosen])

    def tensor(self) -> Tensor:
        """[n, 1, side, side] with grey levels in [0, 1]"""
        return torch.from_numpy(self.images).float().div(255).unsqueeze(1)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, images=self.images, **({} if self.labels is None else {"labels": self.labels}))


def digits() -> Pictures:
    """scikit-learn's 1,797 digits, 8 x 8."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise HyperGenError(
            "HG604",
            "the demo's digits come with scikit-learn, which is not installed",
            remedy="pip install 'hypergen-compiler[demo]', or give your own pictures with --data FILE.npz",
        ) from None
    bundled = load_digits()
    return Pictures((bundled.images / 16 * 255).round().astype(np.uint8), bundled.target.astype(np.uint8))


def read_pictures(path: Path) -> Pictures:
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels = file["images"], file.get("labels")
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unusable(path, str(error) or type(error).__name__) from error
    images = images.squeeze()
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1] != images.shape[2] or images.shape[1] % 2:
        raise unusable(path, f"`images` is {images.dtype} {list(images.shape)}")
    if len(images) < FEWEST or (labels is not None and labels.shape != (len(images),)):
        raise unusable(path, f"{len(images)} images and {0 if labels is None else len(labels)} labels")
    return Pictures(images, labels)


def unusable(path: Path, found: str) -> HyperGenError:
    return HyperGenError(
        "HG604",
        f"{path}: {found}",
        remedy=f"Give an .npz with `images`, uint8 [n, side, side], n at least {FEWEST}, side even, and "
        "maybe `labels`, [n].",
    )


def split(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """A random sixth, at most 1,000, is held out."""
    order = np.random.default_rng(0).permutation(len(pictures.images))
    count = min(len(order) // 6, 1000)
    return pictures.rows(order[count:]), pictures.rows(order[:count])
