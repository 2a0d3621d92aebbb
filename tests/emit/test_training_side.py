"""The emitted training side: small packages of every kind of data are trained, stopped, resumed and exported."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zlib
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.files import emit
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import Plan, plan


class LabelledVAE(nn.Module):
    """Pictures and labels; BatchNorm, a frozen table, a tied layer, a fixed value and a loss per item."""

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
    """A Gaussian over vectors; it is compiled without a sampler."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_scale = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))

    def loss(self, x: Tensor) -> Tensor:
        return (0.5 * ((x - self.mean) * torch.exp(-self.log_scale)).square() + self.log_scale).sum(1).mean()


class TokenModel(nn.Module):
    """A Markov chain over tokens; its samples carry no gradient and come with their scores."""

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


CASES = {
    "labelled": (LabelledVAE, lambda n: (torch.rand(n, 1, 8, 8), torch.randint(10, (n,)), 0.5), "sample"),
    "vectors": (VectorModel, lambda n: (torch.randn(n, 4),), None),
    "tokens": (TokenModel, lambda n: (torch.randint(5, (n, 6)),), "sample"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all packages lie, each importable under its name."""
    path = tmp_path_factory.mktemp("packages")
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


@pytest.fixture(scope="module")
def plans(folder) -> dict[str, Plan]:
    return {case: publish(case, folder / case) for case in CASES}


def publish(case, path) -> Plan:
    make, example, sample = CASES[case]
    torch.manual_seed(0)
    model = make()
    points = entry_points(model, example, loss="loss", sample=sample)
    program = capture(model, points, name=case, source=f"{make.__name__}()", loss="loss", sample=sample)
    layout = lay_out(program)
    chosen = plan(program, layout, "5x")
    path.mkdir()
    for name, content in emit(program, layout, chosen).items():
        (path / name).write_bytes(content)
    return chosen


def module(case: str, name: str) -> ModuleType:
    return importlib.import_module(f"{case}.{name}")


def write_data(case: str, path) -> None:
    """A .npz of 96 items in 4 groups that differ."""
    generator = np.random.default_rng(0)
    labels = np.arange(96) % 4
    if case == "labelled":
        images = generator.integers(0, 64, (96, 8, 8)) + 60 * labels[:, None, None]
        np.savez(path, images=images.astype(np.uint8), labels=labels)
    elif case == "vectors":
        np.savez(path, x=(generator.normal(size=(96, 4)) + labels[:, None]).astype(np.float32), y=labels)
    else:
        np.savez(path, tokens=(generator.integers(0, 2, (96, 6)) + labels[:, None]).astype(np.int32), labels=labels)


def run(case: str, command: str, *arguments, cwd) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", f"{case}.{command}", *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("case", CASES)
def test_the_package_passes_its_own_tests(folder, plans, case):
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / case)]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("case", CASES)
def test_the_plan_counts_the_parameters(plans, case):
    hypernetwork = module(case, "hypernetwork").Hypernetwork()
    assert sum(parameter.numel() for parameter in hypernetwork.parameters()) == plans[case].parameters


@pytest.mark.parametrize("case", CASES)
def test_a_step_compiles_without_graph_breaks(plans, case):
    dataset = tuple(part for part in CASES[case][1](8) if isinstance(part, Tensor))
    hypernetwork, state = module(case, "hypernetwork").Hypernetwork(), module(case, "weights").State()
    compiled = torch.compile(module(case, "objective").objective, fullgraph=True, backend="eager")
    terms = compiled(hypernetwork, state, dataset, dataset, strength=1.0)
    terms.total.backward()
    assert hypernetwork.base.grad.isfinite().all()


@pytest.mark.parametrize("case", CASES)
def test_train_resume_and_export(folder, plans, case, tmp_path, monkeypatch):
    write_data(case, tmp_path / "data.npz")
    settings = ["--steps", 40, "--batch", 16, "--episodes", 2, "--lr", 0.03, "--checkpoint-every", 16]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    done = run(case, "train", tmp_path / "data.npz", "--out", whole, *settings, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "step 40/40" in done.stderr and "40 steps" in done.stdout

    stop_after_second_checkpoint(case, monkeypatch)
    monkeypatch.setattr(sys, "argv", ["train", *map(str, [tmp_path / "data.npz", "--out", stopped, *settings])])
    with pytest.raises(KeyboardInterrupt):
        module(case, "train").main()
    done = run(case, "train", tmp_path / "data.npz", "--out", stopped, *settings, cwd=folder)
    assert done.returncode == 0, done.stderr

    one, other = (torch.load(path / "checkpoint.pt", weights_only=True) for path in (whole, stopped))
    for part in ("hypernetwork", "state"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    rows = [[row.split(",")[:3] for row in (path / "log.csv").read_text().splitlines()] for path in (whole, stopped)]
    assert rows[0] == rows[1] and len(rows[0]) == 41
    losses = [float(row[1]) for row in rows[0][1:]]
    assert sum(losses[-5:]) < sum(losses[:5])

    done = run(case, "train", tmp_path / "data.npz", "--out", whole, *settings, "--seed", 1, cwd=folder)
    assert done.returncode == 1 and "--seed 0" in done.stderr
    check_export(case, tmp_path / "data.npz", whole, folder, tmp_path)
    check_samples(case, whole)


def stop_after_second_checkpoint(case: str, monkeypatch) -> None:
    trainer = module(case, "training").Trainer
    save, calls = trainer.save, []

    def save_twice(self, path):
        save(self, path)
        calls.append(path)
        if len(calls) == 2:
            self.advance()
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save", save_twice)


def check_export(case: str, data, run_folder, folder, tmp_path) -> None:
    for suffix in (".safetensors", ".pt"):
        done = run(case, "export", run_folder, data, "--out", tmp_path / f"weights{suffix}", cwd=folder)
        assert done.returncode == 0, done.stderr
    state_dict = torch.load(tmp_path / "weights.pt", weights_only=True)
    safetensors = pytest.importorskip("safetensors.torch")
    loaded = safetensors.load_file(tmp_path / "weights.safetensors")
    assert loaded.keys() == state_dict.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state_dict.items())
    torch.manual_seed(0)
    model = CASES[case][0]()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(loaded, strict=True)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name != "table.weight"}
    done = run(case, "export", run_folder, data, "--out", tmp_path / "weights.bin", cwd=folder)
    assert done.returncode == 2 and ".safetensors or .pt" in done.stderr


def check_samples(case: str, run_folder) -> None:
    if case == "labelled":
        content = (run_folder / "samples.png").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82")
        width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
        assert (width, height) == (8 * (8 * 7 + 2),) * 2
        length = int.from_bytes(content[33:37], "big")
        assert len(zlib.decompress(content[41 : 41 + length])) == height * (width + 1)
    elif case == "tokens":
        samples = torch.load(run_folder / "samples.pt", weights_only=True)
        assert samples.shape == (64, 6) and samples.dtype == torch.int64
    else:
        assert not list(run_folder.glob("samples*"))


def test_the_penalty_reaches_the_weights_through_samples_where_it_can(plans):
    for case, through in (("labelled", True), ("tokens", False)):
        hypernetwork, state = module(case, "hypernetwork").Hypernetwork(), module(case, "weights").State()
        dataset = tuple(part for part in CASES[case][1](16) if isinstance(part, Tensor))
        module(case, "objective").objective(hypernetwork, state, dataset, strength=1.0).penalty.backward()
        assert hypernetwork.encoder.out.weight.grad.any()
        assert (hypernetwork.base.grad is not None and bool(hypernetwork.base.grad.any())) == through


def test_tokens_are_read_in_order(plans):
    encoder = module("tokens", "hypernetwork").Hypernetwork().encoder
    one, other = torch.tensor([[0, 1, 2, 3, 4, 0]]), torch.tensor([[0, 2, 1, 3, 4, 0]])
    assert not torch.allclose(encoder.features(one), encoder.features(other))


def test_without_a_loss_only_weights_and_entries_are_tested(tmp_path):
    model = VectorModel()
    points = entry_points(model, torch.randn(6, 4), loss=None, sample=None, entries=["loss"])
    program = capture(model, points, name="plain", source="VectorModel()", loss=None, sample=None)
    layout = lay_out(program)
    files = emit(program, layout, plan(program, layout, None))
    assert not {"hypernetwork.py", "objective.py", "processes.py", "data.py", "training.py", "train.py"} & files.keys()
    (tmp_path / "plain").mkdir()
    for name, content in files.items():
        (tmp_path / "plain" / name).write_bytes(content)
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "plain")]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout[-3000:]


# --- reading data


def read(case: str, path) -> tuple[Tensor, ...]:
    return module(case, "data").read_data(path).inputs


def test_bytes_become_levels_and_axes_fit(plans, tmp_path):
    labels = np.arange(3)
    for shape in ((3, 8, 8), (3, 1, 8, 8), (3, 8, 8, 1), (3, 64)):
        np.savez(tmp_path / "data.npz", labels=labels, pixels=np.full(shape, 255, np.uint8))
        x, y = read("labelled", tmp_path / "data.npz")
        assert x.shape == (3, 1, 8, 8) and x.eq(1).all()
        assert y.tolist() == [0, 1, 2] and y.dtype == torch.int64


def test_other_files(plans, tmp_path):
    values = torch.randn(5, 4)
    np.save(tmp_path / "data.npy", values.numpy().astype(">f8"))
    assert torch.equal(read("vectors", tmp_path / "data.npy")[0], values)
    for content in (values, [values], {"values": values}):
        torch.save(content, tmp_path / "data.pt")
        assert torch.equal(read("vectors", tmp_path / "data.pt")[0], values)
    np.save(tmp_path / "data.npy", np.arange(20) % 5)
    assert read("tokens", tmp_path / "data.npy")[0].tolist()[2] == [2, 3, 4, 0, 1, 2]


@pytest.mark.parametrize(
    ("case", "arrays", "message"),
    [
        ("labelled", {"images": np.zeros((3, 9, 9), np.uint8), "labels": np.arange(3)}, "uint8 [3, 9, 9]; expected"),
        ("labelled", {"images": np.zeros((3, 8, 8), np.uint8)}, "no array for `labels`"),
        ("labelled", {"images": np.zeros((3, 8, 8)), "labels": np.arange(4)}, "[3, 4] items"),
        ("labelled", {"images": np.zeros((3, 8, 8)), "labels": np.arange(3) + 8}, "values from 8 to 10"),
        ("vectors", {"x": np.full((3, 4), np.nan)}, "not finite"),
        ("vectors", {"x": np.zeros((3, 4)), "labels": np.zeros((3, 2), int)}, "labels are int64 [3, 2]"),
        ("vectors", {"names": np.array(["a", "b"])}, "no array of numbers"),
        ("tokens", {"tokens": np.zeros((3, 6))}, "float64 [3, 6]; expected `tokens` int64 [n, 6]"),
    ],
)
def test_data_that_does_not_fit_ends_with_what_was_expected(plans, tmp_path, case, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(SystemExit) as error:
        read(case, tmp_path / "data.npz")
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["missing.npz", "torn.npz", "torn.pt", "objects.npy"])
def test_what_cannot_be_read_is_said(plans, tmp_path, name):
    if name == "objects.npy":
        np.save(tmp_path / name, np.array([print], dtype=object), allow_pickle=True)
    elif name != "missing.npz":
        (tmp_path / name).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(SystemExit, match="cannot be read"):
        read("vectors", tmp_path / name)


def test_episodes_mix_the_labels_and_keep_one_at_the_own_mixture(plans):
    data = module("vectors", "data")
    labels = torch.arange(1000) % 4
    source = data.Episodes(data.Data((labels.float().unsqueeze(1).expand(-1, 4),), labels), size=64, seed=0)
    shares = []
    for own, *mixed in (source.step(3) for _ in range(50)):
        assert len(mixed) == 2
        shares.append([(part[:, 0] == 0).float().mean() for part in (own, *mixed)])
    spread = torch.tensor(shares).std(0)
    assert spread[0] < 0.1 < 0.2 < spread[1:].min()
    state = source.generator.get_state()
    expected = source.step(2)
    source.generator.set_state(state)
    assert all(torch.equal(one, other) for one, other in zip(expected, source.step(2), strict=True))
