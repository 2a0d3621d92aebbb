"""Verification, on a package written by hand: it passes, and every kind of damage is found."""

from __future__ import annotations

import copy
import itertools
import random
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.capture.entry import EntryPoint, entry_points
from hypergen_compiler.capture.steps import steps
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.verification.alone import run_package
from hypergen_compiler.verification.compare import compare_gradients, compare_outputs, compare_states
from hypergen_compiler.verification.findings import Verification
from hypergen_compiler.verification.observation import perturb
from hypergen_compiler.verification.process import VerificationProcess
from hypergen_compiler.verification.verify import verify_package
from hypergen_compiler.verification.worker import describe, weighted_sum


class Code(NamedTuple):
    mean: Tensor
    spread: Tensor | None


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.decoder = nn.Linear(3, 4)
        self.dropout = nn.Dropout(0.2)

    def encode(self, x: Tensor) -> Code:
        return Code(self.norm(self.encoder(x)), None)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(self.dropout(torch.tanh(z)))

    def loss(self, x: Tensor) -> Tensor:
        return (self.decode(self.encode(x).mean) - x).square().sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        return self.decode(torch.randn(n, 3))

    def tokens(self, x: Tensor) -> dict[str, Tensor]:
        return {"tokens": torch.multinomial(torch.softmax(self.decode(self.encode(x).mean), 1), 2)}


WEIGHTS = """
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Weights(NamedTuple):
    encoder_weight: Tensor
    encoder_bias: Tensor
    norm_weight: Tensor
    norm_bias: Tensor
    decoder_weight: Tensor
    decoder_bias: Tensor


LAYOUT = (
    ("encoder.weight", (3, 4), 0),
    ("encoder.bias", (3,), 16),
    ("norm.weight", (3,), 32),
    ("norm.bias", (3,), 48),
    ("decoder.weight", (4, 3), 64),
    ("decoder.bias", (4,), 80),
)
SIZE = 96


def to_state_dict(flat):
    return {n: flat[o : o + torch.Size(s).numel()].view(s).detach().clone() for n, s, o in LAYOUT}


def unpack(flat):
    return Weights(*(flat[o : o + torch.Size(s).numel()].view(s) for _, s, o in LAYOUT))


def pack(state_dict):
    flat = torch.zeros(SIZE)
    for name, _, offset in LAYOUT:
        flat[offset : offset + state_dict[name].numel()] = state_dict[name].flatten()
    return flat


def initial_weights():
    return pack(torch.load(Path(__file__).with_name("tensors.pt"), weights_only=True))


class State(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("norm_running_mean", torch.zeros(3))
        self.register_buffer("norm_running_var", torch.ones(3))
        self.register_buffer("norm_num_batches_tracked", torch.tensor(0))

    def load_state_dict(self, tensors, strict=True):
        return super().load_state_dict({name.replace(".", "_"): value for name, value in tensors.items()})

    def tensors(self):
        return {name.replace("_", ".", 1): value for name, value in self.state_dict().items()}
"""

MODEL = """
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Code(NamedTuple):
    mean: Tensor
    spread: Tensor | None


def encode(w, state, x, training=False):
    h = F.linear(x, w.encoder_weight, w.encoder_bias)
    if training:
        state.norm_num_batches_tracked += 1
    mean, var = state.norm_running_mean, state.norm_running_var
    return Code(F.batch_norm(h, mean, var, w.norm_weight, w.norm_bias, training, 0.1, 1e-5), None)


def decode(w, state, z, training=False):
    return F.linear(F.dropout(torch.tanh(z), 0.2, training), w.decoder_weight, w.decoder_bias)


def loss(w, state, x, training=False):
    return (decode(w, state, encode(w, state, x, training).mean, training) - x).square().sum(1)


def sample(w, state, n, training=False):
    return decode(w, state, torch.randn(n, 3), training)


def tokens(w, state, x, training=False):
    logits = decode(w, state, encode(w, state, x, training).mean, training)
    return {"tokens": torch.multinomial(torch.softmax(logits, 1), 2)}
"""


def items(n: int) -> tuple[Tensor]:
    return (torch.rand(n, 4, generator=torch.Generator().manual_seed(n)),)


@pytest.fixture
def model() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder()


@pytest.fixture
def points(model) -> tuple[EntryPoint, ...]:
    return entry_points(model, items, entries=["encode", "tokens"])


@pytest.fixture
def folder(tmp_path, model):
    package = tmp_path / "some folder"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "weights.py").write_text(WEIGHTS)
    (package / "model.py").write_text(MODEL)
    torch.save(dict(model.named_parameters()), package / "tensors.pt")
    return package


@pytest.fixture(scope="module")
def process():
    """One process for all tests: importing torch takes longer than they do."""
    with VerificationProcess() as process:
        yield process


METHODS, MODES = ("loss", "encode"), ("training", "evaluation")
NAMES = (f"autoencoder_{number}" for number in itertools.count())  # a process imports one name once


@pytest.fixture
def verified(process, folder, model, points):
    def verify(**options) -> Verification:
        options = {"batches": (1, 3), "start": True, "process": process} | options
        return verify_package(folder, next(NAMES), model, points, **options)

    return verify


def damage(folder, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def test_a_right_package_agrees_bit_for_bit(verified):
    found = verified()
    assert found.ok and found.exact
    checked = {(check.entry, check.mode, check.batch, check.weights, check.what) for check in found.checks}
    for weights in ("own", "perturbed"):
        assert ("loss", "training", 3, weights, "gradients") in checked
        assert ("loss", "evaluation", 1, weights, "output") in checked
        assert ("encode", "training", 3, weights, "state") in checked
    assert ("sample", "training", 3, "own", "gradients") not in checked  # the model's sampler has none
    assert ("initial_weights", "any", 0, "own", "start") in checked
    found.require()


def test_what_knows_no_mode_is_run_in_one_mode_with_each_of_the_weights(verified):
    found = verified(modeless=["loss"])
    tried = {name: {(check.weights, check.mode) for check in found.checks if check.entry == name} for name in METHODS}
    assert tried["loss"] == {("own", "evaluation"), ("perturbed", "training")}
    assert tried["encode"] == {(weights, mode) for weights in ("own", "perturbed") for mode in MODES}


def test_a_batch_size_at_which_the_model_fails_is_noted(verified):
    found = verified()
    assert all(
        "at a batch of 1 the model itself fails: ValueError: Expected more than 1 value" in n for n in found.notes
    )
    assert [note.partition(":")[0] for note in found.notes] == [
        f"{e}, training mode" for e in ("loss", "encode", "tokens")
    ]


def test_an_entry_point_that_never_ran_is_not_called_right(verified):
    found = verified(batches=(1,))
    with pytest.raises(HyperGenError, match="not compared: at a batch of 1 the model itself fails"):
        found.require()


def test_a_model_that_does_not_repeat_itself_is_not_taken_for_a_wrong_package(verified, model):
    calls = itertools.count()
    model.norm.register_forward_hook(lambda module, inputs, output: output * next(calls))
    with pytest.raises(HyperGenError, match="gives something else when it is called again") as caught:
        verified().require()
    assert caught.value.code == "HG204"


def test_a_buffer_of_expanded_memory_is_left_alone(verified, model):
    model.register_buffer("ones", torch.ones(1).expand(3))
    assert verified(batches=(3,)).checks and model.ones.stride() == (0,)


def test_the_model_and_the_random_state_are_left_alone(verified, model):
    model.train()
    model.norm.eval()
    model.encoder.weight.grad = torch.ones(3, 4)
    before, random_state, numbers = copy.deepcopy(model.state_dict()), torch.get_rng_state(), random.getstate()
    buffer = model.norm.running_mean
    verified()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and not model.norm.training and model.norm.running_mean is buffer
    assert torch.equal(model.encoder.weight.grad, torch.ones(3, 4)) and model.decoder.weight.grad is None
    assert torch.equal(torch.get_rng_state(), random_state) and random.getstate() == numbers


def test_a_long_loop_is_not_run_out_to_see_whether_weights_are_taken(model):
    ran = []
    perturb(model, [EntryPoint("sample", lambda model, n: ran.extend(steps(1000)), lambda n: (n,))], 0)
    assert ran == [0, 1, 2]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("model.py", "0.1, 1e-5", "0.1, 2e-3", "output of loss"),
        ("model.py", "w.encoder_weight, w.encoder_bias", "w.encoder_weight", "norm.running_mean"),
        ("model.py", "w.norm_weight, w.norm_bias", "w.norm_weight, None", "gradient of norm.bias"),
        ("model.py", "F.dropout(torch.tanh(z), 0.2, training)", "torch.tanh(z)", "output of loss"),
        ("model.py", "training, 0.1,", "training, 0.2,", "state of loss"),
        ("model.py", "num_batches_tracked += 1", "num_batches_tracked += 2", "num_batches_tracked differs in 1 of 1"),
        ("model.py", "torch.tanh(z)", "torch.tanh(z.detach())", "gradients of loss"),
        ("model.py", "- x).square()", "- x.detach().clone()).square().detach()", "has no gradient in the package"),
        ("model.py", '{"tokens"', '{"token"', "output holds token, in the model tokens"),
        ("model.py", "return Code(", "return tuple(Code(", None),
        (
            "model.py",
            ".square().sum(1)",
            ".square().sum(1, keepdim=True)",
            r"\[3, 1\], in the model torch.float32 \[3\]",
        ),
        ("model.py", ".square().sum(1)", ".square().sum(1).double()", "torch.float64"),
        ("model.py", "torch.randn(n, 3)", "torch.randn(11, 3)", r"\[11, 4\], in the model torch.float32 \[1, 4\]"),
        ("model.py", "torch.randn(n, 3)", "torch.randn(n, 2)", "model.py:.*RuntimeError"),
        ("model.py", "def sample(", "def draw(", "has no attribute 'sample'"),
        ("model.py", "import torch\n", "import torch\nimport hypergen_compiler\n", "import of hypergen_compiler"),
        ("model.py", "def sample(", "def sample((", "model.py:.*SyntaxError"),
        ("weights.py", "return pack(", "return 2 * pack(", "start of initial_weights"),
        ("weights.py", '"norm_running_var", torch.ones(3)', '"norm_running_var", torch.zeros(3)', "norm.running_var"),
        ("weights.py", '("norm.bias", (3,), 48)', '("norm.bias", (3,), 32)', "start of initial_weights"),
    ],
)
def test_damage_is_found(verified, folder, file, old, new, said):
    damage(folder, file, old, new)
    if said is None:
        damage(folder, file, "0.1, 1e-5), None)", "0.1, 1e-5), None))")
        said = "tuple"
    with pytest.raises(HyperGenError, match=said) as caught:
        verified().require()
    assert caught.value.code in ("HG601", "HG602")
    assert not list(folder.rglob("__pycache__"))


def test_whatever_the_package_prints_does_not_disturb(verified, folder):
    damage(
        folder,
        "model.py",
        "    return decode(w, state, torch.randn",
        "    print('{}')\n    return decode(w, state, torch.randn",
    )
    assert verified().ok


def test_running_without_the_model(folder):
    found = run_package(folder, "autoencoder", {"loss": items, "sample": lambda n: (n,)}, batches=(3,))
    assert found.ok and len(found.checks) == 4 and not found.exact
    damage(folder, "model.py", "torch.randn(n, 3)", "torch.randn(n, 2)")
    found = run_package(folder, "autoencoder", {"loss": items, "sample": lambda n: (n,)}, batches=(3,))
    assert [check.entry for check in found.failures] == ["sample", "sample"]


def test_a_package_that_ends_the_process_is_found(verified, folder):
    damage(folder, "model.py", "torch.randn(n, 3)", "exit_now()")
    damage(folder, "model.py", "def loss(", "def exit_now():\n    import os\n\n    os._exit(1)\n\n\ndef loss(")
    with VerificationProcess() as process:
        scratch = process.folder
        found = verified(process=process)
    assert not found.ok and found.failures[0].entry == "sample" and "the process ended" in found.failures[0].detail
    assert process.process.poll() is not None and not scratch.exists()


class TestComparison:
    def test_structures(self):
        one, two = torch.tensor([1.0]), torch.tensor([2.0])
        for value in (one, (one, two), [one], {"a": one, "b": (two, None)}, Code(one, None), (3, "x", True, None)):
            assert compare_outputs(describe(value), describe(copy.deepcopy(value))).exact
        for value, other in [
            (one, two),
            ((one, two), [one, two]),
            ((one, two), (two, one)),
            ((one,), (one, two)),
            ({"a": one}, {"b": one}),
            (one, None),
            (3, 4),
            (one, one.int()),
            ((one, None), Code(one, None)),
        ]:
            assert not compare_outputs(describe(value), describe(other)).ok

    def test_a_record_stands_for_another_librarys_container(self):
        class Output(dict):
            pass

        one = torch.ones(2)
        assert compare_outputs(describe(Output(mean=one)), describe(Code(one, None))).exact
        pair = torch.eye(2).max(1)
        assert describe(pair)[:2] == ["record", ["values", "indices"]]

    def test_tolerances(self):
        one = torch.linspace(0.0, 1.0, 5)
        near = compare_outputs(one, one + 5e-6)
        assert near.ok and not near.exact and "5." in near.detail
        assert not compare_outputs(one, one + 1e-3).ok
        assert compare_outputs(torch.tensor([float("nan")]), torch.tensor([float("nan")])).exact
        assert not compare_outputs(torch.tensor([1]), torch.tensor([2])).ok

    def test_gradients(self):
        wanted = {"a": torch.tensor([1.0, -10.0]), "b": None}
        assert compare_gradients(wanted, {"a": torch.tensor([1.0, -10.0]), "b": torch.zeros(2)}).exact
        close = compare_gradients(wanted, {"a": torch.tensor([1.0005, -10.0]), "b": torch.zeros(2)})
        assert close.ok and not close.exact and close.detail.endswith(", a")
        assert not compare_gradients(wanted, {"a": torch.tensor([1.01, -10.0]), "b": torch.zeros(2)}).ok
        assert not compare_gradients(wanted, {"a": torch.tensor([1.0, -10.0]), "b": torch.ones(2)}).ok
        assert not compare_gradients(wanted, None).ok
        assert not compare_gradients(wanted, {"a": torch.tensor([float("nan"), -10.0])}).ok

    def test_states(self):
        before = {"mean": torch.zeros(2)}
        assert compare_states(before, {}, before).exact
        assert not compare_states({"mean": torch.ones(2)}, {}, before).ok

    def test_complex_outputs_have_gradients_too(self):
        x = torch.ones(3, requires_grad=True)
        total = weighted_sum(describe((torch.complex(x, 2 * x), torch.ones(2, dtype=torch.int64))), 0)
        assert total is not None and torch.autograd.grad(total, x)[0].all()
