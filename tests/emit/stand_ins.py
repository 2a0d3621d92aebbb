"""Packages whose training side is emitted and whose weights.py and model.py are stand-ins.

The stand-ins keep the contract of the emitted ones but call the user's module, so that the training side is tested by
itself.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.emit.data import data
from hypergen_compiler.emit.export import export
from hypergen_compiler.emit.hypernetwork import hypernetwork
from hypergen_compiler.emit.objective import objective
from hypergen_compiler.emit.package_tests import package_tests
from hypergen_compiler.emit.train import train
from hypergen_compiler.layout import ParameterLayout, lay_out
from hypergen_compiler.plan import Plan, plan
from hypergen_compiler.program import Affine, Buffer, Entry, Input, Parameter, Program

__all__ = ["CASES", "LabelledVAE", "TokenModel", "VectorModel", "publish"]

N = Affine(1)
TRAINING = (hypernetwork, objective, data, train, export)

WEIGHTS = '''
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

LAYOUT = {layout}
SIZE = {size}
EMITTED = {emitted}
TIED = {tied}
STORED = torch.load(Path(__file__).parent / "tensors.pt", weights_only=True)


class Weights(NamedTuple):
{fields}


def unpack(flat):
    bounds = [offset for _, _, offset in LAYOUT] + [SIZE]
    chunks = flat.split([end - start for start, end in zip(bounds, bounds[1:])])
    return Weights(*(chunk[: torch.Size(shape).numel()].view(shape) for chunk, (_, shape, _) in zip(chunks, LAYOUT)))


def pack(state_dict):
    flat = torch.zeros(SIZE)
    for name, _, offset in LAYOUT:
        flat[offset : offset + state_dict[name].numel()] = state_dict[name].flatten()
    return flat


def to_state_dict(flat):
    found = {{name: view.detach().clone() for (name, _, _), view in zip(LAYOUT, unpack(flat))}}
    return {{**found, **{{alias: found[name].clone() for alias, name in TIED.items()}}}}


def initial_weights():
    return STORED["weights"].clone()


class State(nn.Module):
    def __init__(self):
        super().__init__()
        for name, value in STORED["buffers"].items():
            self.register_buffer(name.replace(".", "__"), value.clone())

    def to_state_dict(self):
        return {{name: getattr(self, name.replace(".", "__")).clone() for name in STORED["buffers"]}}

    def load_state_dict(self, state_dict, strict=True):
        return super().load_state_dict({{name.replace(".", "__"): v for name, v in state_dict.items()}}, strict)
'''

MODEL = '''
import torch
from torch.func import functional_call

from stand_ins import Method, {model}

from .weights import LAYOUT, STORED


def call(name, w, state, inputs, training):
    values = {{f"module.{{key}}": value for (key, _, _), value in zip(LAYOUT, w)}}
    values |= {{f"module.{{key}}": getattr(state, key.replace(".", "__")) for key in STORED["buffers"]}}
    return functional_call(METHODS[name].train(training), values, inputs)


METHODS = {{name: Method({model}(), name) for name in {entries}}}


def loss(w, state, *inputs, training=False):
    return call("loss", w, state, inputs, training)
'''

SAMPLE = '''

def sample(w, state, *inputs, training=False):
    return call("sample", w, state, inputs, training)
'''


class Method(nn.Module):
    """A method of a module as a module, for functional_call."""

    def __init__(self, module: nn.Module, name: str):
        super().__init__()
        self.module, self.name = module, name

    def forward(self, *inputs):
        return getattr(self.module, self.name)(*inputs)


class LabelledVAE(nn.Module):
    """Pictures [n, 1, 8, 8] and labels [n]; BatchNorm, a frozen table, a tied layer, a fixed value, a loss per item."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 8).requires_grad_(False)
        self.encoder, self.norm, self.to_latent = nn.Linear(72, 32), nn.BatchNorm1d(32), nn.Linear(32, 16)
        self.decoder = nn.Linear(16, 64)
        self.again = self.decoder

    def loss(self, x: Tensor, labels: Tensor, beta: float) -> Tensor:
        known = self.table(labels)
        h = F.silu(self.norm(self.encoder(torch.cat([x.flatten(1), known], 1))))
        mean, log_var = self.to_latent(h).chunk(2, 1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        logits = self.again(torch.cat([z, known], 1))
        reconstruction = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
        return reconstruction - 0.5 * beta * (1 + log_var - mean.square() - log_var.exp()).sum(1)

    def sample(self, n: int) -> Tensor:
        known = self.table(torch.randint(10, (n,)))
        return torch.sigmoid(self.decoder(torch.cat([torch.randn(n, 8), known], 1))).view(n, 1, 8, 8)


class VectorModel(nn.Module):
    """Vectors [n, 4] under a full Gaussian; no sampler is compiled."""

    def __init__(self):
        super().__init__()
        self.mean, self.root = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.eye(4))

    def loss(self, x: Tensor) -> Tensor:
        z = torch.linalg.solve_triangular(self.root.tril(), (x - self.mean).T, upper=False)
        return 0.5 * z.square().sum(0).mean() + self.root.diagonal().abs().log().sum()


class TokenModel(nn.Module):
    """Tokens [n, 6] as a Markov chain; the sampler returns them without gradient, with their log-probabilities."""

    def __init__(self):
        super().__init__()
        self.first, self.next = nn.Parameter(torch.zeros(5)), nn.Embedding(5, 5)

    def loss(self, tokens: Tensor) -> Tensor:
        start = F.cross_entropy(self.first.expand(len(tokens), -1), tokens[:, 0])
        return start + 5 * F.cross_entropy(self.next(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        drawn = [torch.multinomial(self.first.softmax(0), n, replacement=True)]
        for _ in range(5):
            drawn.append(torch.multinomial(self.next(drawn[-1]).softmax(1), 1).squeeze(1))
        return torch.stack(drawn, 1), self.first.log_softmax(0)[drawn[0]]


PICTURE = Input("x", (N, 1, 8, 8), torch.float32, 0.0, 0.99)
LABELS = Input("labels", (N,), torch.int64, 0, 9)
BETA = Input("beta", None, value=0.5)
VECTOR = Input("x", (N, 4), torch.float32, -2.0, 2.0)
TOKENS = Input("tokens", (N, 6), torch.int64, 0, 4, vocabulary=5)
N_INPUT = Input("n", None)


def node(name: str) -> torch.fx.Node:
    return torch.fx.Graph().placeholder(name)


# Model, inputs of its loss, shapes that the loss returns, and its sampler: output, shapes, differentiable.
CASES = {
    "labelled": (LabelledVAE, (PICTURE, LABELS, BETA), ((N,),), (node("x"), ((N, 1, 8, 8),), True)),
    "vectors": (VectorModel, (VECTOR,), ((),), None),
    "tokens": (TokenModel, (TOKENS,), ((),), ((node("tokens"), node("score")), ((N, 6), (N,)), False)),
}


def describe(case: str, loss: bool = True) -> tuple[Program, nn.Module]:
    """The program that capture would make of a case, with a graph that only tells which weights the loss reads."""
    make, inputs, shapes, sampler = CASES[case]
    torch.manual_seed(0)
    model = make()
    parameters, names = [], {}
    for name, value in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(value), []).append(name)
    for name, value in model.named_parameters():
        parameters.append(Parameter(name, value.detach().clone(), tuple(names[id(value)][1:]), value.requires_grad))
    graph = torch.fx.Graph()
    graph.output(tuple(graph.create_node("get_attr", parameter.name) for parameter in parameters))
    entries = [Entry("loss", "stand_ins.py:1", inputs, graph, node("loss"), shapes)]
    if sampler:
        output, sampled, differentiable = sampler
        entries.append(Entry("sample", "stand_ins.py:1", (N_INPUT,), graph, output, sampled, differentiable))
    buffers = tuple(Buffer(name, value.clone()) for name, value in model.named_buffers())
    kinds = {"loss": "loss" if loss else None, "sample": "sample" if sampler else None}
    return Program(case, make.__name__, f"{make.__name__}()", tuple(entries), tuple(parameters), buffers, **kinds), model


def publish(case: str, folder: Path, loss: bool = True) -> tuple[Program, ParameterLayout, Plan]:
    """Writes a case's package to `folder / case`."""
    program, model = describe(case, loss)
    layout = lay_out(program)
    chosen = plan(program, layout, "5x")
    package = folder / case
    package.mkdir()
    files = {f"{text.__name__}.py": text(program, layout, chosen) for text in (TRAINING if loss else ())}
    files[f"test_{case}.py"] = package_tests(program, layout, chosen)
    files["__init__.py"] = ""
    files["weights.py"] = WEIGHTS.format(
        layout=tuple((slot.name, slot.shape, slot.offset) for slot in layout.slots),
        size=layout.size,
        emitted=layout.trained,
        tied={alias: slot.name for slot in layout.slots for alias in slot.aliases},
        fields="\n".join(f"    {slot.name.replace('.', '_')}: Tensor" for slot in layout.slots),
    )
    names = [entry.name for entry in program.entries]
    files["model.py"] = MODEL.format(model=program.model, entries=names) + (SAMPLE if "sample" in names else "")
    for path, text in files.items():
        (package / path).write_text(text)
    flat = torch.zeros(layout.size)
    for parameter in program.parameters:
        slot = layout.by_name[parameter.name]
        flat[slot.offset : slot.offset + slot.size] = parameter.value.flatten()
    buffers = {buffer.name: buffer.value for buffer in program.buffers}
    torch.save({"weights": flat, "buffers": buffers}, package / "tensors.pt")
    return program, layout, chosen
