"""Other libraries' hypernetworks, brought to one form: a module from a dataset [n, width] to weights by name.

Each is optional. Those that read no datasets get the mean over the items of the layers that torchhyper reads them with.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass

import numpy
from torch import Tensor, nn

__all__ = ["RIVALS", "Rival", "missing"]

HIDDEN = [32, 64, 96]  # torchhyper's own sizes, for all of them
CHUNK = 4096


@dataclass(frozen=True)
class Rival:
    """`make(model, width)` is the hypernetwork for a model, of about `copies` times its weights.

    `distribution` is what pip installs, `module` what Python imports.
    """

    name: str
    distribution: str
    module: str
    copies: float
    make: Callable[[nn.Module, int], nn.Module]


class Reader(nn.Module):
    """[n, width] -> [1, 96]: layers for every item, and their mean."""

    def __init__(self, width: int):
        super().__init__()
        sizes = [width, *HIDDEN]
        pairs = zip(sizes, HIDDEN, strict=False)
        self.layers = nn.Sequential(*(part for a, b in pairs for part in (nn.Linear(a, b), nn.ReLU())))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(0, keepdim=True)


class Emitter(nn.Module):
    """A reader and a library's module, which `emit` calls with an embedding."""

    def __init__(self, width: int, library: nn.Module, emit: Callable[[nn.Module, Tensor], dict[str, Tensor]]):
        super().__init__()
        self.reader, self.library, self.emit = Reader(width), library, emit

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.emit(self.library, self.reader(x))


def torchhyper(model: nn.Module, width: int) -> nn.Module:
    # The package `torchhyper.model` imports diffusers, which its hypernetwork does not need.
    if "torchhyper.model" not in sys.modules:
        bare = types.ModuleType("torchhyper.model")
        (root,) = importlib.util.find_spec("torchhyper").submodule_search_locations
        bare.__path__ = [f"{root}/model"]
        sys.modules["torchhyper.model"] = bare
    architectures = importlib.import_module("torchhyper.model.hypernetwork_architectures")
    return architectures.HyperNetwork(width, HIDDEN, model)


def hypnettorch(model: nn.Module, width: int) -> nn.Module:
    from hypnettorch.hnets.mlp_hnet import HMLP

    shapes = [list(parameter.shape) for parameter in model.parameters()]
    library = HMLP(shapes, cond_in_size=HIDDEN[-1], layers=(), verbose=False, no_cond_weights=True, num_cond_embs=0)
    return Emitter(width, library, conditional(model))


def hypnettorch_chunked(model: nn.Module, width: int) -> nn.Module:
    from hypnettorch.hnets.chunked_mlp_hnet import ChunkedHMLP

    shapes = [list(parameter.shape) for parameter in model.parameters()]
    library = ChunkedHMLP(
        shapes,
        CHUNK,
        chunk_emb_size=64,
        cond_in_size=HIDDEN[-1],
        layers=(64,),
        verbose=False,
        no_cond_weights=True,
        num_cond_embs=0,
    )
    return Emitter(width, library, conditional(model))


def conditional(model: nn.Module) -> Callable[[nn.Module, Tensor], dict[str, Tensor]]:
    names = [name for name, _ in model.named_parameters()]
    return lambda library, embedding: dict(zip(names, library.forward(cond_input=embedding), strict=True))


def hyperlight(model: nn.Module, width: int) -> nn.Module:
    import hyperlight

    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    sizes = {"h": (HIDDEN[-1],)}
    try:
        library = hyperlight.HyperNet(sizes, shapes, [], encoding=None)
    except ValueError:  # its usual initialization fails for 1-D weights, which norms have
        library = hyperlight.HyperNet(sizes, shapes, [], encoding=None, init_independent_weights=False)
    return Emitter(width, library, lambda library, embedding: library(h=embedding))


def hyper_nn(model: nn.Module, width: int, embeddings: int = 3) -> nn.Module:
    from hypernn.torch import TorchDynamicHyperNetwork

    # Kept out of its sight after this: it holds the model's own parameters, which are not the hypernetwork's.
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    library = TorchDynamicHyperNetwork(HIDDEN[-1], model, embedding_dim=HIDDEN[-1], num_embeddings=embeddings)

    def emit(library: nn.Module, embedding: Tensor) -> dict[str, Tensor]:
        flat, weights, start = library.generate_params(x=embedding)[0].flatten(), {}, 0
        for name, shape in shapes.items():  # slice by slice, as its own call of the target does
            weights[name] = flat[start : start + shape.numel()].view(shape)
            start += shape.numel()
        return weights

    return Emitter(width, library, emit)


def hyper_nn_chunked(model: nn.Module, width: int) -> nn.Module:
    return hyper_nn(model, width, embeddings=64)


RIVALS = (
    Rival("torchhyper", "torchhyper", "torchhyper", 97, torchhyper),
    Rival("hypnettorch HMLP", "hypnettorch", "hypnettorch", 97, hypnettorch),
    Rival("hypnettorch chunked", "hypnettorch", "hypnettorch", 1, hypnettorch_chunked),
    Rival("hyperlight", "hyperlight", "hyperlight", 97, hyperlight),
    Rival("hyper-nn, 3 chunks", "hyper-nn", "hypernn", 32, hyper_nn),
    Rival("hyper-nn, 64 chunks", "hyper-nn", "hypernn", 2, hyper_nn_chunked),
)


def missing(rival: Rival) -> str | None:
    """Why a rival cannot be timed here, None where it can be imported."""
    try:
        importlib.import_module(rival.module) if rival.module != "torchhyper" else None
        found = importlib.util.find_spec(rival.module) is not None
    except ImportError as error:
        return str(error)
    return None if found else "not installed"


def restore_numpy_names() -> None:
    """numpy's names of Python's own types, which releases since 1.24 lack and these libraries still use."""
    for kind in (int, float, bool, object):
        if kind.__name__ not in vars(numpy):
            setattr(numpy, kind.__name__, kind)


restore_numpy_names()
