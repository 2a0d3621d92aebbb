"""Every head, with frozen and kept weights: its package passes its own tests, starts as the model, and keeps apart what
depends on the dataset."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.files import emit
from hypergen_compiler.layout import lay_out, matching
from hypergen_compiler.plan import HEADS, left_out, plan
from hypergen_compiler.plan.gains import matrices
from hypergen_compiler.plan.together import run_together

KEPT = ("twin.*", "second.*")
CHANGED = {
    "biases": {"up.bias", "norm.weight", "norm.bias", "down.bias", "gain"},
    "base": set(),
}
OTHERS = {"up.weight", "up.bias", "norm.weight", "norm.bias", "down.weight", "down.bias", "gain"}


class Model(nn.Module):
    """Matrices of several shapes, two of one shape, odd sizes, a scalar, a frozen and a tied parameter, buffers."""

    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 5)
        self.twin, self.second = nn.Linear(5, 7), nn.Linear(5, 7, bias=False)
        self.also = self.second
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.table = nn.Parameter(torch.randn(3, 3), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.norm(self.up(x)) + self.twin(x) + self.second(x) * self.also(x))
        return self.down(h) * self.gain + self.table.sum()

    def loss(self, x: Tensor) -> Tensor:
        return (self(x) - x).square().mean()

    def sample(self, n: int) -> Tensor:
        return self(torch.randn(n, 5, dtype=self.gain.dtype))


def name_of(head: str, keep: tuple[str, ...], dtype: torch.dtype) -> str:
    return f"{head.replace('-', '_')}_{'kept' if keep else 'whole'}_{dtype}".replace("torch.", "")


CASES = {
    name_of(head, keep, dtype): (head, keep, dtype)
    for head in HEADS
    for keep, dtype in (((), torch.float32), (KEPT, torch.float64))
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all packages lie, each importable under its name."""
    path = tmp_path_factory.mktemp("packages")
    for name, case in CASES.items():
        publish(name, path / name, *case)
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


def publish(name, path, head, keep, dtype) -> None:
    torch.manual_seed(0)
    model = Model().to(dtype)
    points = entry_points(model, lambda n: (torch.randn(n, 5, dtype=dtype),), loss="loss", sample="sample")
    program = capture(model, points, name=name, source="Model()", loss="loss", sample="sample")
    kept = matching(program, keep)
    gains = run_together(program, matrices(program, kept)).gains if head == "gains" else {}
    chosen = plan(program, lay_out(program, kept, gains), head=head, keep=keep)
    layout = lay_out(program, kept | left_out(program, head), gains)
    path.mkdir()
    for file, content in emit(program, layout, chosen).items():
        (path / file).write_bytes(content)


@pytest.fixture(params=CASES)
def package(request, folder) -> tuple[ModuleType, ModuleType]:
    """The modules `hypernetwork` and `weights` of each package."""
    return tuple(importlib.import_module(f"{request.param}.{module}") for module in ("hypernetwork", "weights"))


def test_every_package_passes_its_own_tests(folder):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CASES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_start_is_the_models_own(package):
    hypernetwork, weights = package
    torch.manual_seed(1)
    own = weights.to_state_dict(weights.initial_weights())
    emitted = weights.to_state_dict(hypernetwork.Hypernetwork()(torch.randn(6, 5)))
    for name in own:
        if "chunked_alone" in hypernetwork.__name__ and ("whole" in hypernetwork.__name__ or name in OTHERS):
            got, expected = emitted[name].std(correction=0), own[name].std(correction=0)
            torch.testing.assert_close(got, expected, rtol=0.1, atol=1e-6)
        else:
            assert torch.equal(emitted[name], own[name]), name


def test_only_what_is_not_kept_depends_on_the_dataset(package):
    hypernetwork, weights = package
    head, keep, _ = CASES[hypernetwork.__name__.partition(".")[0]]
    torch.manual_seed(1)
    trained = hypernetwork.Hypernetwork()
    with torch.no_grad():
        for parameter in trained.groups()[1]:
            parameter.normal_()
    first, second = (weights.to_state_dict(flat) for flat in trained.emit(torch.randn(2, hypernetwork.RANK)))
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    alike = set() if keep or head == "biases" else {"twin.weight", "second.weight", "also.weight"}
    assert changed == CHANGED.get(head, OTHERS | alike) | ({"twin.bias"} if not keep and head != "base" else set())


def test_all_parameters_are_in_one_group_and_as_many_as_planned(package):
    hypernetwork, _ = package
    trained = hypernetwork.Hypernetwork()
    shared, conditional = trained.groups()
    assert {id(p) for p in trained.parameters()} == {id(p) for p in shared} ^ {id(p) for p in conditional}
    planned = int(hypernetwork.__doc__.partition(" parameters emit")[0].rpartition(" ")[2].replace(",", ""))
    assert sum(p.numel() for p in trained.parameters()) == planned


def test_factors_are_sums_of_outer_products(folder):
    name = name_of("factors", KEPT, torch.float64)
    hypernetwork, weights = (importlib.import_module(f"{name}.{module}") for module in ("hypernetwork", "weights"))
    torch.manual_seed(1)
    trained = hypernetwork.Hypernetwork()
    with torch.no_grad():
        for parameter in trained.head.parameters():
            parameter.normal_()
    embedding = torch.randn(hypernetwork.RANK)
    change = weights.to_state_dict(trained.emit(embedding))["down.weight"]
    own = weights.to_state_dict(weights.initial_weights())["down.weight"]
    position = list(trained.head.counts).index((5, 7))
    left, right = trained.head.left[position][0], trained.head.right[position][0]
    expected = sum(embedding[k] * torch.outer(left[:, k], right[k]) for k in range(hypernetwork.RANK))
    torch.testing.assert_close(change, own + own.square().mean().sqrt() * expected)
