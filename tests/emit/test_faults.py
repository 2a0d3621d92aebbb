"""Numbers that are not finite: what they stop, and how a run goes on."""

from __future__ import annotations

import copy

import pytest
import torch

from .runs import equal, module, tensors, trainer


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
