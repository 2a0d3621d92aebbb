"""Several datasets in one pass of the model, against one pass each with plain emitted weights."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import hypergen_compiler as hypergen
from hypergen_compiler.design import Design, Request, design
from hypergen_compiler.emit.files import emit
from hypergen_compiler.plan.gains import matrices
from hypergen_compiler.plan.together import run_together
from hypergen_compiler.publishing.package import import_package
from hypergen_compiler.verification.compare import compare_gradients, compare_outputs, compare_states
from hypergen_compiler.verification.together import DATASETS, observe_together

NUMBERS = itertools.count()


def designed(model: nn.Module, example: Any, sample: Any = None, head: str = "biases", keep: Any = ()) -> Design:
    request = Request(model, example, sample=sample, head=head, keep=keep, description="tests")
    return design(request, f"together_{next(NUMBERS)}")


def written(found: Design, path: Path) -> dict[str, ModuleType]:
    """The modules of a package that is written below `path`."""
    folder = path / found.program.name
    folder.mkdir()
    for file, content in emit(found.program, found.layout, found.plan, found.together).items():
        (folder / file).write_bytes(content)
    import_package(folder, found.program.name)
    names = ("weights", "model", "hypernetwork", "objective")
    return {name: importlib.import_module(f"{found.program.name}.{name}") for name in names}


@pytest.fixture
def observed(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`observed(model, example, sample, head, keep)`: the package's objective for datasets in one pass, and for each
    alone."""

    def observe(
        model: nn.Module, example: Any, sample: Any = None, head: str = "biases", keep: Any = ()
    ) -> dict[str, Any]:
        found = designed(model, example, sample, head, keep)
        assert found.plan.together
        modules = written(found, tmp_path)
        items = example(4 * DATASETS)
        inputs = tuple(part for part in (items if isinstance(items, tuple) else (items,)) if isinstance(part, Tensor))
        return observe_together(modules, modules["weights"].initial_weights(), inputs)

    return observe


def agree(found: dict[str, Any]) -> bool:
    apart, together = found["apart"], found["together"]
    outputs = (["list", None, each["output"]] for each in (apart, together))
    return (
        compare_outputs(*outputs).ok
        and compare_gradients(apart["gradients"], together["gradients"]).ok
        and compare_states(apart["state"], together["state"], apart["state"]).ok
    )


class Layers(nn.Module):
    """Runs `net` and takes the mean square of what it returns."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def loss(self, x: Tensor) -> Tensor:
        return self.net(x).square().mean()


class Flattened(nn.Module):
    """Works on rows of items and times, and adds small parameters item by item."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 6)
        self.shift, self.gain, self.scale = (nn.Parameter(torch.rand(6)) for _ in range(3))
        self.temperature = nn.Parameter(torch.tensor(0.3))

    def loss(self, x: Tensor) -> Tensor:
        rows = self.inner(x.reshape(-1, 4))
        rows = (self.gain * rows + self.shift - self.scale) / F.softplus(self.temperature)
        return (rows - self.temperature.exp()).reshape(x.shape[0], -1).square().sum(1).mean()


class OneDimensional(nn.Module):
    """A product as `torch.addmm` writes it, and a norm by root mean squares."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.randn(6))
        self.norm = nn.RMSNorm(6)

    def loss(self, x: Tensor) -> Tensor:
        return self.norm(torch.addmm(self.bias, x, self.weight)).tanh().sum(1).mean()


MODELS = {
    "linear": (lambda: Layers(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), (6,)),
    "linear over times": (lambda: Layers(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)), (5, 6)),
    "convolution 1d": (lambda: Layers(nn.Conv1d(3, 4, 3, padding=1), nn.GroupNorm(2, 4)), (3, 8)),
    "convolution 2d": (lambda: Layers(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 1)), (3, 8, 8)),
    "convolution 3d": (lambda: Layers(nn.Conv3d(2, 4, 3), nn.GroupNorm(4, 4, affine=True)), (2, 4, 4, 4)),
    "transposed 1d": (lambda: Layers(nn.ConvTranspose1d(3, 4, 4, stride=2, output_padding=1)), (3, 5)),
    "transposed 2d": (lambda: Layers(nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1)), (3, 5, 5)),
    "batch norm": (lambda: Layers(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)), (3, 6, 6)),
    "batch norm of vectors": (lambda: Layers(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)), (6,)),
    "no biases": (lambda: Layers(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 3)), (6,)),
    "convolution in groups": (lambda: Layers(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Conv2d(8, 2, 1)), (4, 5, 5)),
    "transposed 3d": (lambda: Layers(nn.ConvTranspose3d(2, 4, 3)), (2, 3, 3, 3)),
    "dropout": (lambda: Layers(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2)), (6,)),
    "small parameters and rows of items": (Flattened, (3, 4)),
    "addmm and rms norm": (OneDimensional, (4,)),
}


@pytest.mark.parametrize("head", ["biases", "gains"])
@pytest.mark.parametrize("make, shape", MODELS.values(), ids=MODELS.keys())
def test_one_pass_is_one_each(make: Callable[[], nn.Module], shape: tuple[int, ...], head: str, observed):
    torch.manual_seed(0)
    model = make()
    found = observed(model, lambda n: torch.randn(n, *shape), head=head)
    assert agree(found)
    small = {name for name, parameter in model.named_parameters() if parameter.ndim < 2}
    layout = designed(model, lambda n: torch.randn(n, *shape), head=head).layout
    assert {slot.name for slot in layout.slots if slot.conditioned} == small
    large = {name for name, _ in model.named_parameters()} - small if head == "gains" else set()
    assert {slot.name for slot in layout.slots if slot.gain is not None} == large


class Labelled(nn.Module):
    """A noisy decoder of labels whose sampler makes pictures only."""

    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(3, 4), nn.Linear(4, 6)

    def loss(self, x: Tensor, label: Tensor) -> Tensor:
        drawn = self.embed(label) + torch.randn(x.shape[0], 4)
        return (self.out(drawn) - x).square().sum(1)

    def sample(self, n: int) -> Tensor:
        return self.out(torch.randn(n, 4))


@pytest.mark.parametrize("head", ["biases", "gains"])
def test_samples_follow_their_dataset_and_keep_its_labels(head, observed):
    torch.manual_seed(0)
    found = observed(Labelled(), lambda n: (torch.rand(n, 6), torch.arange(n) % 3), "sample", head)
    assert agree(found) and found["together"]["output"][1] != 0


def test_what_all_datasets_share_does_not_learn_from_the_penalty(tmp_path):
    torch.manual_seed(0)
    modules = written(designed(Labelled(), lambda n: (torch.rand(n, 6), torch.arange(n) % 3), "sample"), tmp_path)
    hypernetwork, state = modules["hypernetwork"].Hypernetwork(), modules["weights"].State()
    datasets = [(torch.rand(8, 6), torch.arange(8) % 3) for _ in range(2)]
    penalty = modules["objective"].objective(hypernetwork, state, *datasets).penalty
    penalty.backward()
    assert hypernetwork.base.grad is None and hypernetwork.head.grad.any()


def test_a_single_number_moves_no_further_than_its_own_size(tmp_path):
    module = written(designed(Flattened(), lambda n: torch.randn(n, 3, 4)), tmp_path)
    hypernetwork, flat = module["hypernetwork"], module["weights"].initial_weights()
    scale = hypernetwork.magnitudes(flat)
    place = {name: offset for name, _, offset in module["weights"].LAYOUT}
    torch.testing.assert_close(scale[place["temperature"]], flat[place["temperature"]].abs())
    shift = flat[place["shift"] : place["shift"] + 6]
    torch.testing.assert_close(scale[place["shift"]], hypernetwork.REACH * shift.square().mean().sqrt())


class Contrastive(nn.Module):
    """Compares items with each other."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(6, 4)

    def loss(self, x: Tensor) -> Tensor:
        z = self.net(x)
        return (z @ z.T).logsumexp(1).mean()


class Summed(nn.Module):
    """Adds up over items."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(6, 4)

    def loss(self, x: Tensor) -> Tensor:
        return self.net(x).square().sum()


@pytest.mark.parametrize("head", ["biases", "gains"])
@pytest.mark.parametrize("make", [Contrastive, Summed])
def test_a_model_that_mixes_items_is_found_out(make, head, observed, tmp_path):
    torch.manual_seed(0)
    assert not agree(observed(make(), lambda n: torch.randn(n, 6), head=head))
    package = hypergen.compile(
        make(), lambda n: torch.randn(n, 6), sample=None, out=tmp_path / f"mixing_{make.__name__}_{head}", head=head
    )
    assert not package.manifest["plan"]["together"]
    assert not (package.path / "layers.py").exists() and package.verify().ok


def test_what_the_pass_cannot_tell_apart_is_not_conditioned():
    class Unusual(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.weight = nn.Linear(6, 4), nn.Parameter(torch.rand(4))

        def loss(self, x: Tensor) -> Tensor:
            return (self.net(x) @ self.weight).square().mean()

    found = designed(Unusual(), lambda n: torch.randn(n, 6))
    assert found.plan.together
    assert {slot.name for slot in found.layout.slots if slot.conditioned} == {"net.bias"}
    reasons = run_together(found.program).reasons
    assert reasons.keys() == {"weight"} and "test_together.py:" in reasons["weight"]


def test_a_batch_norm_without_running_statistics_rules_the_pass_out():
    model = Layers(nn.Linear(6, 8), nn.BatchNorm1d(8, track_running_stats=False))
    found = designed(model, lambda n: torch.randn(n, 6))
    assert not found.plan.together
    assert "keeps no running statistics" in run_together(found.program).obstacle


@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_norm_takes_the_datasets_of_a_pass_for_one_batch(affine, tmp_path):
    torch.manual_seed(0)
    model = Layers(nn.Linear(6, 8), nn.BatchNorm1d(8, affine=affine), nn.Tanh(), nn.Linear(8, 2))
    found = designed(model, lambda n: torch.randn(n, 6))
    modules = written(found, tmp_path)
    hypernetwork = modules["hypernetwork"].Hypernetwork(modules["weights"].pack(model.state_dict()))
    state, items = modules["weights"].State(), torch.randn(12, 6) + torch.arange(12.0).unsqueeze(1)
    terms = modules["objective"].objective(hypernetwork, state, *items.chunk(DATASETS))
    torch.testing.assert_close(terms.loss, model.train().loss(items))
    torch.testing.assert_close(state.to_state_dict()["net.1.running_var"], model.net[1].running_var)


def test_layers_holds_what_the_model_calls_and_nothing_else():
    found = designed(Layers(nn.Linear(6, 8), nn.Tanh()), lambda n: torch.randn(n, 6))
    text = emit(found.program, found.layout, found.plan, found.together)["layers.py"].decode()
    assert [line.split("(")[0] for line in text.splitlines() if line.startswith("def ")] == [
        "def per_item",
        "def linear",
    ]


def test_datasets_of_one_pass_have_one_size(tmp_path):
    model = Layers(nn.Linear(6, 8))
    package = hypergen.compile(
        model, lambda n: torch.randn(n, 6), sample=None, out=tmp_path / "one_size", head="biases"
    ).load()
    hypernetwork, state = package.hypernetwork.Hypernetwork(), package.weights.State()
    with pytest.raises(ValueError, match="same number of items"):
        package.objective.objective(hypernetwork, state, torch.randn(3, 6), torch.randn(5, 6))


class Tied(nn.Module):
    """Reads tokens with the matrix that also writes them, and with an embedding of its own."""

    def __init__(self):
        super().__init__()
        self.read, self.place = nn.Embedding(7, 4), nn.Embedding(5, 4)
        self.other, self.write = nn.Embedding(7, 4), nn.Linear(4, 7)
        self.padded, self.grouped = nn.Embedding(7, 4, padding_idx=0), nn.ConvTranspose1d(4, 4, 1, groups=2)
        self.write.weight = self.read.weight

    def loss(self, tokens: Tensor) -> Tensor:
        h = self.read(tokens) + self.place(torch.arange(5)) + self.other(tokens) + self.padded(tokens)
        h = h + self.grouped(h.transpose(1, 2)).transpose(1, 2)
        return F.cross_entropy(self.write(h).transpose(1, 2), tokens)


def tokens(n: int) -> Tensor:
    return torch.arange(5 * n).reshape(n, 5) % 7


def test_matrices_without_channels_of_their_own_have_no_gain(observed):
    torch.manual_seed(0)
    assert agree(observed(Tied(), tokens, head="gains"))
    found = designed(Tied(), tokens, head="gains")
    assert {slot.name for slot in found.layout.slots if slot.gain is not None} == {"other.weight"}
    reasons = run_together(found.program, matrices(found.program)).reasons
    assert reasons.keys() == {"read.weight", "place.weight", "padded.weight", "grouped.weight"}
    assert "disagrees" in reasons["read.weight"] and "embedding takes it at" in reasons["place.weight"]


def test_kept_matrices_have_no_gain(observed):
    torch.manual_seed(0)
    model, example = Layers(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), lambda n: torch.randn(n, 6)
    keep = ("net.0.weight", "net.2.bias")
    assert agree(observed(model, example, head="gains", keep=keep))
    slots = designed(model, example, head="gains", keep=keep).layout.slots
    assert {slot.name for slot in slots if slot.gain is not None} == {"net.2.weight"}
    assert {slot.name for slot in slots if slot.conditioned} == {"net.0.bias"}


class Step(nn.Module):
    """Takes the matrix of its product from elsewhere."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor, matrix: Tensor) -> Tensor:
        x = x + torch.tanh(F.linear(x, matrix, self.bias))
        x = x - 0.1 * x.square()
        return x * torch.sigmoid(x) + torch.cos(x)


class Passing(nn.Module):
    """Hands its matrices to its parts."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.randn(6, 6) / 3) for _ in range(2))
        self.one, self.other = Step(), Step()

    def loss(self, x: Tensor) -> Tensor:
        return self.other(self.one(x, self.first), self.second).square().mean()


def test_a_function_says_that_its_matrix_may_have_gains(observed):
    torch.manual_seed(0)
    assert agree(observed(Passing(), lambda n: torch.randn(n, 6), head="gains"))
    found = designed(Passing(), lambda n: torch.randn(n, 6), head="gains")
    text = emit(found.program, found.layout, found.plan, found.together)["model.py"].decode()
    assert "Tensor | Gained" in text and "import Gained, State, Step, Weights" in text


@pytest.mark.parametrize(
    "make, example", [(lambda: MODELS["convolution 2d"][0](), lambda n: torch.rand(n, 3, 8, 8)), (Tied, tokens)]
)
def test_what_is_exported_is_what_each_dataset_had_in_the_pass(make, example, tmp_path):
    torch.manual_seed(0)
    modules = written(designed(make(), example, head="gains"), tmp_path)
    hypernetwork, state = modules["hypernetwork"].Hypernetwork(), modules["weights"].State()
    assert torch.equal(hypernetwork.emit(torch.randn(16)), modules["weights"].initial_weights())
    with torch.no_grad():
        hypernetwork.head.normal_(std=0.05)
    embeddings, items = torch.randn(3, 16), example(12)
    own = hypernetwork.emit(embeddings)
    assert not torch.allclose(own[0], own[1])
    whole = modules["model"].loss(hypernetwork.emit_together(embeddings), state, items)
    each = [
        modules["model"].loss(modules["weights"].unpack(flat), state, part)
        for flat, part in zip(own, items.chunk(3), strict=True)
    ]
    torch.testing.assert_close(whole, torch.stack(each).mean())
    alone = hypernetwork.emit_together(embeddings[:1])
    assert all(isinstance(tensor, Tensor) for tensor in alone)
    torch.testing.assert_close(modules["model"].loss(alone, state, items.chunk(3)[0]), each[0])


def test_without_a_common_pass_gains_stay():
    found = designed(
        Layers(nn.Linear(6, 8), nn.BatchNorm1d(8, track_running_stats=False)), lambda n: torch.randn(n, 6), head="gains"
    )
    assert not found.plan.together and found.layout.gains == 8


def test_a_package_without_gains_does_not_mention_them():
    found = designed(Layers(nn.Linear(6, 8), nn.Tanh()), lambda n: torch.randn(n, 6))
    texts = emit(found.program, found.layout, found.plan, found.together)
    assert not any(b"Gained" in texts[name] or b"GAIN" in texts[name] for name in texts if name.endswith(".py"))


def test_the_manifest_says_which_matrices_have_no_gain_and_why(tmp_path):
    package = hypergen.compile(Tied(), tokens, sample=None, out=tmp_path / "tied_gains", head="gains")
    assert package.verify().ok and package.manifest["plan"]["together"]
    layout = package.manifest["layout"]
    assert layout["gains"] == 4 and "read.weight" in layout["without_gain"]
    assert {slot["name"]: slot["gain"] for slot in layout["slots"] if "gain" in slot} == {"other.weight": 1}
