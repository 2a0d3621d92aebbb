"""The emitted Trainer: its settings, and what a step does."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from torch import nn

from .packages import Quiet, publish
from .runs import equal, module, tensors, trainer

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


@pytest.mark.parametrize("late", [False, True])
def test_means_are_over_the_steps_since_the_last_call(folder, late):
    run = trainer(folder)
    run.late = late
    for steps in (1, 6):
        terms = [run.advance() for _ in range(steps)]
        loss, penalty = (torch.stack([getattr(each, what) for each in terms]).mean() for what in ("loss", "penalty"))
        assert run.means() == pytest.approx({"loss": loss.item(), "penalty": run.every * penalty.item()})
    assert penalty


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


class Walk(Quiet):
    """Samples by so many calls that no gradient goes through them."""

    def sample(self, n: int) -> torch.Tensor:
        x = torch.zeros(n, 5)
        for _ in range(100):
            x = x + 0.01 * self(x)
        return x


def test_a_long_sampler_is_no_part_of_what_is_compiled(folder, monkeypatch):
    publish(Walk(), folder / "walk", "biases")
    compiled, calls = nn.Module.compile, []

    def counted(graph, _):
        calls.append(sum(node.op.startswith("call_") for node in graph.graph.nodes))
        return graph.forward

    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: compiled(self, **options, backend=counted))
    runs = [trainer(folder, "walk", steps=4, penalty_every=1, compile=compile) for compile in (False, True)]
    for run in runs:
        terms = [run.advance() for _ in range(3)]
        assert terms[-1].penalty
    assert equal(*(tensors(run.hypernetwork) for run in runs))
    assert max(calls) < 100


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
