"""The emitted training side: small packages of every kind of data are trained, stopped, resumed and exported."""

from __future__ import annotations

import subprocess
import sys
import zlib

import pytest
import torch
from torch import Tensor

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.files import TRAINING_FILES, emit
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import Plan, plan

from .cases import CASES, VectorModel, importable, module, publish, write_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all packages lie, each importable under its name."""
    with importable(tmp_path_factory.mktemp("packages")) as path:
        yield path


@pytest.fixture(scope="module")
def plans(folder) -> dict[str, Plan]:
    return {case: publish(case, folder / case) for case in CASES}


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
    with pytest.raises(SystemExit, match="stopped at step 33"):
        module(case, "train").main()
    done = run(case, "train", tmp_path / "data.npz", "--out", stopped, *settings, cwd=folder)
    assert done.returncode == 0, done.stderr

    read = module(case, "storage").read_safetensors
    one, other = (read(path / "checkpoint.safetensors")[0] for path in (whole, stopped))
    assert one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
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
    save = trainer.save

    def save_twice(self):
        save(self)
        if self.step == 32:
            self.advance()
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save", save_twice)


def check_export(case: str, data, run_folder, folder, tmp_path) -> None:
    for suffix in (".safetensors", ".pt"):
        done = run(case, "export", run_folder, data, "--out", tmp_path / f"weights{suffix}", cwd=folder)
        assert done.returncode == 0, done.stderr
    weights = sum(parameter.numel() for parameter in CASES[case][0]().parameters())  # tied ones once
    assert done.stdout == f"{tmp_path / 'weights.pt'}: {weights:,} weights\n"
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
    assert not {path for paths in TRAINING_FILES.values() for path in paths} & files.keys()
    (tmp_path / "plain").mkdir()
    for name, content in files.items():
        (tmp_path / "plain" / name).write_bytes(content)
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "plain")]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout[-3000:]
