"""What tests of the emitted Trainer share."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from .packages import Quiet, Statistics, publish

PACKAGES = {"quiet": Quiet, "noisy": Statistics}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two packages and their data lie: `quiet` draws no random numbers, `noisy` does and has buffers."""
    path = tmp_path_factory.mktemp("packages")
    for name, make in PACKAGES.items():
        torch.manual_seed(0)
        publish(make(), path / name, "low-rank")
    labels = np.arange(96) % 4
    values = np.random.default_rng(0).normal(size=(96, 5)) + labels[:, None]
    np.savez(path / "data.npz", x=values.astype(np.float32), labels=labels)
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
