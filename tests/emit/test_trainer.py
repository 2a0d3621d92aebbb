"""The emitted Trainer: what a step does, what stops it, and what a run leaves in its folder."""

from __future__ import annotations

import copy
import functools
import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

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


def module(package: str, name: str) -> ModuleType:
    return importlib.import_module(f"{package}.{name}")


def trainer(folder: Path, package: str = "quiet", out: Path | None = None, **settings):
    data = module(package, "data").read_data(folder / "data.npz")
    chosen = {"steps": 16, "batch": 8, "episodes": 2, **settings}
    training = module(package, "training")
    return training.Trainer(data, training.Settings(**chosen), out)


def tensors(found) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in found.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "--steps 0: expected 1 or more"),
        ({"batch": -8}, "--batch -8: expected 1 or more"),
        ({"episodes": 0}, "--episodes 0: expected 1 or more"),
        ({"penalty_every": 0}, "--penalty-every 0: expected 1 or more"),
        ({"warmup": -1}, "--warmup -1: expected 0 or more"),
        ({"lr": float("nan")}, "--lr nan: expected 0 or more"),
        ({"ema": 1.0}, "--ema 1.0: expected less than 1"),
    ],
)
def test_settings_of_which_no_run_can_be_made_are_refused(folder, settings, said):
    with pytest.raises(SystemExit, match=said):
        trainer(folder, **settings)


def test_a_device_that_is_not_there_is_refused(folder):
    with pytest.raises(SystemExit, match="--device nothing: "):
        module("quiet", "processes").join("nothing")


# --- a step


def test_a_run_takes_the_steps_that_advance_takes(folder, tmp_path):
    stepped, run = trainer(folder, "noisy", steps=120), trainer(folder, "noisy", tmp_path / "run", steps=120)
    torch.manual_seed(0)
    while stepped.step < 120:
        stepped.advance()
    torch.manual_seed(0)
    run.run()
    for part in ("hypernetwork", "averaged", "state"):
        assert equal(tensors(getattr(stepped, part)), tensors(getattr(run, part))), part


def test_rates_rise_and_fall(folder):
    settings = module("quiet", "settings").Settings
    assert [settings(steps=100).rate(step) for step in (0, 50)] == [1.0, 0.5]
    assert settings(steps=100).rate(99) == 0.05
    rising = [settings(steps=10**6, warmup=9).rate(step) for step in range(11)]
    assert rising == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0])
    run = trainer(folder, warmup=9, lr=1e-2)
    run.advance()
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([1e-3, 1e-3 / 3])


def test_passes_of_one_step_are_averaged(folder):
    run, source = trainer(folder, accumulate=3), trainer(folder).source
    start = copy.deepcopy(run.hypernetwork)
    run.clip = lambda optimizer, norms: None
    run.clip.norms = lambda optimizer: {}
    run.advance()
    objective, state = module("quiet", "objective").objective, module("quiet", "weights").State()
    for _ in range(3):
        objective(start, state, source.plain(16), strength=0.0).total.backward()
    torch.testing.assert_close(run.hypernetwork.base.grad, start.base.grad / 3)


def test_the_moving_average_follows_and_shares_buffers(folder):
    run = trainer(folder, ema=0.5, steps=80)
    for _ in range(10):
        run.advance()
    expected, seen = None, 0
    while run.step < 20:
        run.advance()
        seen += 1
        decay = min(0.5, (seen - 1) / (9 + seen))
        now = run.hypernetwork.head.detach()
        expected = now.clone() if expected is None else decay * expected + (1 - decay) * now
    torch.testing.assert_close(run.averaged.head, expected)
    assert run.averaged.head.any() and not torch.equal(run.averaged.head, run.hypernetwork.head)
    for one, other in zip(run.averaged.buffers(), run.hypernetwork.buffers(), strict=True):
        assert one is other
    assert trainer(folder, ema=0).averaged is None


def test_autocast_leaves_weights_in_single_precision(folder):
    single, half = trainer(folder), trainer(folder, bf16=True)
    losses = [[run.advance().loss.item() for _ in range(4)] for run in (single, half)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)
    assert all(parameter.dtype == torch.float32 for parameter in half.hypernetwork.parameters())


def test_a_compiled_step_is_one_graph_and_the_same(folder, monkeypatch):
    compiled, calls = nn.Module.compile, []

    @functools.wraps(compiled)
    def by_eager(self, **options):
        calls.append(options)
        compiled(self, **options, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", by_eager)
    runs = [trainer(folder, steps=8), trainer(folder, steps=8, compile=True)]
    for run in runs:
        while run.step < 8:
            run.advance()
    assert calls == [{"fullgraph": True}]
    assert equal(*(tensors(run.hypernetwork) for run in runs))


# --- numbers that are not finite


def poisoned(monkeypatch, package: str, *steps: int, what=float("nan")) -> None:
    """The loss of these calls is not finite."""
    processes = module(package, "processes")
    objective, calls = processes.objective, []

    def broken(*arguments, **options):
        terms = objective(*arguments, **options)
        calls.append(terms)
        return terms._replace(total=terms.total * what, loss=terms.loss * what) if len(calls) in steps else terms

    monkeypatch.setattr(processes, "objective", broken)


def test_a_loss_that_is_not_finite_changes_no_weight(folder, monkeypatch):
    run = trainer(folder)
    run.advance()
    before, usual = tensors(run.hypernetwork), copy.deepcopy(run.clip.usual)
    poisoned(monkeypatch, "quiet", 1)
    with pytest.raises(module("quiet", "faults").NotFinite, match="step 2: the loss is not finite"):
        run.advance()
    assert equal(before, tensors(run.hypernetwork)) and run.clip.usual == usual and run.step == 1
    run.advance()
    assert not equal(before, tensors(run.hypernetwork))


@pytest.mark.parametrize(
    ("part", "said"),
    [("data", "the data"), ("head", "the hypernetwork's head"), ("buffer", "the buffer norm.running_mean")],
)
def test_the_first_tensor_that_is_not_finite_is_named(folder, part, said):
    run = trainer(folder, "noisy")
    for _ in range(3):
        run.advance()
    with torch.no_grad():
        if part == "data":
            run.source.data.inputs[0].fill_(torch.inf)
        elif part == "head":
            run.hypernetwork.head[0, 0] = torch.nan
        else:
            run.state.norm_running_mean.fill_(torch.nan)
            run.hypernetwork.embedding_spread.fill_(torch.nan)
    with pytest.raises(module("noisy", "faults").NotFinite, match=f"step 4: {said} is not finite"):
        run.advance()


@pytest.fixture(params=["at once", "a step later"])
def late(request):
    """Whether a step's numbers are known when the next one is on its way, as on a GPU."""
    return request.param == "a step later"


def test_a_gradient_that_is_not_finite_is_named(folder, monkeypatch, late):
    run = trainer(folder)
    run.late = late
    before = tensors(run.hypernetwork)
    processes = module("quiet", "processes")
    objective = processes.objective

    def broken(hypernetwork, *arguments, **options):
        terms = objective(hypernetwork, *arguments, **options)
        return terms._replace(total=terms.total + 0 * (0 * hypernetwork.base).abs().sum().sqrt())

    monkeypatch.setattr(processes, "objective", broken)
    with pytest.raises(RuntimeError, match="step 1: the gradient of the hypernetwork's base is not finite"):
        for _ in range(1 + late):
            run.advance()
    assert equal(before, tensors(run.hypernetwork)) and run.step == 0


def test_of_the_gradients_of_a_group_the_first_that_is_not_finite_is_named(folder, late):
    run = trainer(folder)
    run.late = late
    while run.step < 5:
        run.advance()
    weight = run.hypernetwork.encoder.out.weight
    weight.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(RuntimeError, match=r"step 6: the gradient of the hypernetwork's encoder\.out\.weight is not"):
        for _ in range(1 + late):
            run.advance()


def test_a_loss_whose_fault_is_known_a_step_later_changes_no_weight_either(folder, monkeypatch):
    run = trainer(folder)
    run.late = True
    run.advance()
    before = tensors(run.hypernetwork)
    poisoned(monkeypatch, "quiet", 1)
    run.advance()
    assert equal(before, tensors(run.hypernetwork)) and run.clip.usual[0].isfinite() and run.sums.isfinite().all()
    with pytest.raises(module("quiet", "faults").NotFinite, match="step 2: the loss is not finite"):
        run.advance()
    assert equal(before, tensors(run.hypernetwork)) and run.step == 1
    run.advance()
    run.settle()
    assert not equal(before, tensors(run.hypernetwork))


def test_steps_are_the_same_where_faults_are_known_later(folder):
    runs = [trainer(folder, "noisy") for _ in range(2)]
    runs[1].late = True
    for run in runs:
        torch.manual_seed(0)
        for _ in range(6):
            run.advance()
        run.settle()
    assert equal(*(tensors(run.hypernetwork) for run in runs)) and equal(*(tensors(run.averaged) for run in runs))


def test_a_run_goes_back_once_and_on_at_half_the_rate(folder, tmp_path, monkeypatch, capsys, late):
    poisoned(monkeypatch, "quiet", 7)
    run = trainer(folder, out=tmp_path / "run", lr=1e-2)
    run.late = late
    run.run(checkpoint_every=4)
    assert run.step == 16 and run.pace == 0.5
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0.5e-2 * run.settings.rate(15))
    said = "step 7: the loss is not finite; back to step 4, and on at half the learning rate"
    assert said in capsys.readouterr().err and said in (tmp_path / "run" / "messages.txt").read_text()
    steps = [int(row.split(",")[0]) for row in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
    assert steps == list(range(1, 17))


def test_a_second_time_it_gives_up(folder, tmp_path, monkeypatch):
    poisoned(monkeypatch, "quiet", 7, 9)
    with pytest.raises(SystemExit, match="step 6: the loss is not finite, also at half the rate"):
        trainer(folder, out=tmp_path / "run").run(checkpoint_every=4)
    content = module("quiet", "checkpoint").read_checkpoint(tmp_path / "run")
    assert content["step"] == 4 and all(value.isfinite().all() for value in content["hypernetwork"].values())
    poisoned(monkeypatch, "quiet", 1)
    with pytest.raises(SystemExit, match="step 1: the loss is not finite: try a smaller learning rate"):
        trainer(folder).run()


# --- the folder of a run


def command(folder: Path, monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["train", str(folder / "data.npz"), *map(str, words)])
    module("noisy", "train").main()


def test_settings_are_kept_and_read_again(folder, tmp_path, monkeypatch):
    options = "--steps 4 --batch 8 --episodes 2 --lr 0.01 --bf16".split()
    command(folder, monkeypatch, "--out", tmp_path / "one", *options)
    config = tmp_path / "one" / "settings.json"
    command(folder, monkeypatch, "--out", tmp_path / "two", "--config", config, "--episodes", 3)
    one, two = (json.loads((tmp_path / name / "settings.json").read_text()) for name in ("one", "two"))
    assert two == {**one, "episodes": 3} and one["lr"] == 0.01 and one["bf16"] is True
    for text, said in (('{"step": 4}', "unexpected keyword argument 'step'"), ("{", "Expecting"), ("[]", "")):
        config.write_text(text)
        with pytest.raises(SystemExit, match=f"holds no settings: .*{said}"):
            command(folder, monkeypatch, "--out", tmp_path / "two", "--config", config)


def test_a_folder_that_is_full_keeps_what_it_has(folder, tmp_path, monkeypatch):
    synced, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        synced(file)

    options = "--steps 8 --batch 8 --episodes 2 --checkpoint-every 2".split()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit, match=r"cannot be written: .*No space left on device; the same command goes on"):
        command(folder, monkeypatch, "--out", tmp_path / "run", *options)
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert module("noisy", "checkpoint").read_checkpoint(tmp_path / "run")["step"] == 2
    command(folder, monkeypatch, "--out", tmp_path / "run", *options)
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 9


def test_a_place_that_is_no_folder_is_said(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="file/run cannot be written"):
        command(folder, monkeypatch, "--out", tmp_path / "file" / "run", "--steps", 2)


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: b"PK" * 100])
def test_a_checkpoint_that_is_torn_is_said(folder, tmp_path, damage):
    run = trainer(folder, out=tmp_path)
    run.save()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SystemExit, match="is no checkpoint"):
        run.run()


def test_what_is_kept_of_a_log_is_whole(tmp_path, folder):
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n4,")
    module("quiet", "log").begin(path, ["step", "loss"], 2)
    assert path.read_text() == "step,loss\n1,0.5\n2,0.4\n"
    module("quiet", "log").begin(path, ["step", "loss", "more"], 2)
    assert path.read_text() == "step,loss,more\n"


def test_a_run_shows_itself(folder, tmp_path, capsys):
    out = tmp_path / "run"
    run = trainer(folder, "noisy", out, steps=200, lr=1e-2)
    run.run()
    error = capsys.readouterr().err
    assert error.count("the penalty, taken every") == 1 and "% of the time" in error
    assert error.count("\n") == 101 and "\r" not in error
    rows = [row.split(",") for row in (out / "dependence.csv").read_text().splitlines()]
    assert rows[0][:4] == ["step", "real", "synthetic", "gap"] and "norm.weight" in rows[0]
    assert [row[0] for row in rows[1:]] == ["100", "200"]
    assert all(float(value) > 0 for value in rows[2])
    samples, averaged = (torch.load(out / f"{name}.pt", weights_only=True) for name in ("samples", "samples_averaged"))
    assert samples.shape == averaged.shape == (64, 5) and not torch.equal(samples, averaged)
    pytest.importorskip("matplotlib")
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_gets_what_the_csv_files_have(folder, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer(folder, out=tmp_path, steps=100).run()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    losses = [float(row.split(",")[1]) for row in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert [event.value for event in events.Scalars("log/loss")] == pytest.approx(losses, rel=1e-5)
    assert {"dependence/real", "log/penalty"} <= set(events.Tags()["scalars"])


def test_neither_tensorboard_nor_matplotlib_is_needed(folder, tmp_path, monkeypatch):
    for name in ("torch.utils.tensorboard.writer", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    trainer(folder, out=tmp_path, steps=4).run()
    found = {path.name for path in tmp_path.iterdir()}
    samples = {"samples.pt", "samples_averaged.pt"}
    assert found == {"checkpoint.safetensors", "dependence.csv", "log.csv", "settings.json", *samples}


# --- dependence on the data


def test_dependence_is_what_it_says(folder):
    run = trainer(folder)
    for _ in range(6):
        run.advance()
    hypernetwork, weights = run.hypernetwork, module("quiet", "weights")
    found = module("quiet", "dependence").dependence(hypernetwork, run.state, run.datasets)
    with torch.no_grad():
        emitted = torch.stack([hypernetwork(dataset) for dataset in run.datasets])
    apart, parts = [], {}
    for name, shape, offset in weights.LAYOUT:
        place = slice(offset, offset + torch.Size(shape).numel())
        base = hypernetwork.base[place].norm()
        own = emitted[:, place]
        apart.append((own - own.mean(0)).norm(dim=1).square().mean().sqrt() / base)
        parts[name] = ((own - hypernetwork.base[place]).norm(dim=1).square().mean().sqrt() / base).item()
    assert found.tensors == pytest.approx(parts, rel=1e-4)
    assert found.real == pytest.approx(torch.stack(apart).square().mean().sqrt().item(), rel=1e-4)


def test_a_hypernetwork_that_ignores_its_input_is_warned_of(folder):
    found = module("quiet", "dependence")
    parts = {"one": 0.2, "two": 0.1}
    made = functools.partial(found.Dependence, synthetic=0.1, gap=0.1)
    assert found.warning(made(real=0.1, tensors=parts)) is None
    assert "ignores its input" in found.warning(made(real=0.009, tensors=parts))
    assert "ignores its input" in found.warning(made(real=0.0, tensors={"one": 0.0}))
    assert "no weight of two depends" in found.warning(made(real=0.1, tensors={**parts, "two": 0.0}))


def test_a_run_warns_in_its_second_half(folder, tmp_path, capsys):
    run = trainer(folder, out=tmp_path, steps=400, lr=1e-9)
    run.run()
    assert capsys.readouterr().err.count("the hypernetwork ignores its input") == 1
