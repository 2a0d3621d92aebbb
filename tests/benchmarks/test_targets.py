"""The benchmark's targets as small packages, rivals as what they emit; nothing is timed."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import hypergen_compiler as hypergen
from benchmarks.cells import Cell, Entry, cells, head_entry, head_jobs, rival_entries
from benchmarks.contenders import packaged, plain, rival_contender
from benchmarks.heads import HEADS, Head, Job, compile_one
from benchmarks.measure import groups, measure
from benchmarks.rivals import RIVALS, Rival, missing
from benchmarks.speed import emission_jobs, run_cells
from benchmarks.target_gpt import GPT
from benchmarks.target_unet import UNet
from benchmarks.target_vaes import ConvVAE, MlpVAE
from benchmarks.targets import TARGETS, Target

SMALL = {
    "conv_vae": (lambda: ConvVAE(channels=2, latent=2), TARGETS["conv_vae"].data),
    "mlp_vae": (lambda: MlpVAE(size=784, hidden=8, latent=2, depth=2), TARGETS["mlp_vae"].data),
    "unet": (lambda: UNet(channels=(8, 8, 8), time=8, sampler_steps=2), TARGETS["unet"].data),
    "gpt": (lambda: GPT(width=8, depth=1, heads=2, length=4), lambda n: torch.randint(0, 256, (n, 4))),
}
WEIGHTS = {"conv_vae": 370_945, "mlp_vae": 2_433_872, "unet": 1_245_697, "gpt": 5_449_344}
NAMES = itertools.count()


def small(name: str) -> Target:
    make, data = SMALL[name]
    return Target(name, name, make, data, items=16, forwards=1)


@pytest.fixture
def compiled(tmp_path):
    """A small target's package, under a name that no other test imports."""

    def compile_small(name: str):
        target = small(name)
        path = tmp_path / f"{name}_{next(NAMES)}"
        return target, hypergen.compile(target.make(), target.data(2), out=path)

    return compile_small


@pytest.mark.parametrize("name", list(TARGETS))
def test_targets_have_the_size_that_they_are_known_by(name):
    model = TARGETS[name].make()
    assert sum(parameter.numel() for parameter in model.parameters()) == WEIGHTS[name]
    assert TARGETS[name].data(3).shape[0] == 3


@pytest.mark.parametrize("name", list(SMALL))
def test_targets_compile_and_train_with_their_penalty(name, compiled):
    target, package = compiled(name)
    datasets = [target.data(4) for _ in range(2)]
    for penalty in (False, True):
        contender = packaged(package.path, datasets, penalty)
        before = [parameter.detach().clone() for parameter in contender.modules[0].parameters()]
        contender.step()
        after = list(contender.modules[0].parameters())
        assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    model = plain(target.make(), datasets)
    model.step()
    assert model.parameters < contender.parameters


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of hyper-nn, about functorch
@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_rivals_emit_and_train_every_weight(rival):
    if (reason := missing(rival)) is not None:
        pytest.skip(reason)
    target = small("conv_vae")
    contender = rival_contender(rival, target.make(), [target.data(3), target.data(3)], penalty=True)
    emitted = contender.modules[0](torch.rand(3, 784))
    expected = {f"model.{name}": parameter.shape for name, parameter in target.make().named_parameters()}
    assert {name: value.shape for name, value in emitted.items()} == expected
    contender.step()
    trained = [p for group in contender.optimizer.param_groups for p in group["params"] if p.numel()]
    assert all(parameter.grad is not None for parameter in trained)


def test_a_rival_that_is_not_installed_is_a_row_that_says_so():
    absent = Rival("nobody's", "nobodys-hypernetwork", "nobodys_hypernetwork", 1.0, nn.Module)
    rows = run_cells([Cell(small("conv_vae"), 1, 2)], [], {}, [absent], 0.0)
    assert [(row.name, row.speed is None) for row in rows] == [("plain", False), ("nobody's", True)]
    assert "No module named 'nobodys_hypernetwork'" in rows[1].skipped


def test_a_rival_that_fails_is_a_row_that_says_so():
    def fails(model: nn.Module, width: int) -> nn.Module:
        raise ValueError("one-dimensional weights\nand more")

    cell = Cell(small("conv_vae"), 1, 2)
    rows = measure(cell, rival_entries(cell, 100, [Rival("brittle", "x", "x", 1.0, fails)]), 0.0)
    assert {row.skipped for row in rows[1:]} == {"ValueError: one-dimensional weights"}


def test_package_and_rival_are_measured_beside_the_plain_model(compiled):
    target, package = compiled("conv_vae")
    cell = Cell(target, 2, 3, penalty=True)
    assert cell.steps == 2
    rows = measure(cell, [head_entry(cell, Job(Head("default"), "conv_vae"), package.path)], 0.0)
    assert [row.name for row in rows] == ["plain", f"default ({package.manifest['plan']['head']})"]
    assert rows[1].speed.low <= rows[1].speed.median <= rows[1].speed.high
    weights = sum(parameter.numel() for parameter in target.make().parameters())
    assert rows[1].copies == pytest.approx(package.manifest["plan"]["parameters"] / weights, rel=0.05)
    assert rows[1].memory == rows[1].bytes / rows[0].bytes > 1


def test_what_does_not_fit_in_memory_is_not_built():
    entries = [sized(60), sized(60), sized(30)]
    assert [[entry.bytes for entry in group] for group in groups(entries, 100)] == [[60], [60, 30]]
    assert [[entry.bytes for entry in group] for group in groups([sized(500), sized(1)], 100)] == [[500], [1]]
    rows = measure(Cell(small("conv_vae"), 1, 2), [sized(10**15)], 0.0)
    assert rows[1].skipped.startswith("MemoryError: needs about 1000000.0 GB")


def sized(size: int):
    return Entry("large", size, lambda: pytest.fail("was built"))


def test_a_head_that_this_hypergen_lacks_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(hypergen, "compile", lambda model, example, *, out, sample, budget=None: None)
    found = compile_one(Job(Head("dense", "dense"), "conv_vae"), tmp_path)
    assert (found.path, found.reason) == (None, "this HyperGen has low-rank heads alone")
    assert Head("low rank 8", "low-rank", "9x").arguments() == {"budget": "9x"}


def test_a_head_that_is_offered_is_asked_for_and_a_refusal_is_kept(tmp_path, monkeypatch):
    asked = {}

    def compile_(model, example, *, out, sample, head=None, budget=None):
        asked.update(head=head, budget=budget)
        raise hypergen.HyperGenError("HG105", "no such head", remedy="Name another.")

    monkeypatch.setattr(hypergen, "compile", compile_)
    found = compile_one(Job(Head("low rank 8", "low-rank", "9x"), "conv_vae"), tmp_path)
    assert asked == {"head": "low-rank", "budget": "9x"}
    assert (found.path, found.reason) == (None, "no such head")


def test_cells_are_of_equal_samples_and_slow_samplers_are_timed_once():
    quick, full = list(cells(TARGETS["gpt"], True)), list(cells(TARGETS["gpt"], False))
    assert [(cell.datasets, cell.items) for cell in quick] == [(1, 16), (8, 2)]
    assert [cell.penalty for cell in full] == [False, False, True]
    assert sum(cell.large for cell in cells(TARGETS["conv_vae"], False)) == 2
    assert [job.head.name for job in head_jobs(full[-1], HEADS)] == ["default"]
    assert not any(job.sample for job in head_jobs(full[0], HEADS))
    assert rival_entries(full[-1], 100) == []


def test_heavy_rivals_are_timed_with_one_dataset_and_torchhyper_with_both_kinds_of_adam():
    one, eight = list(cells(TARGETS["gpt"], True))
    heavy = [rival for rival in RIVALS if rival.copies > 50]
    assert len(rival_entries(one, WEIGHTS["gpt"], heavy)) == len(heavy)
    assert len(rival_entries(next(cells(TARGETS["conv_vae"], True)), 100, heavy)) == len(heavy) + 1
    assert rival_entries(eight, WEIGHTS["gpt"], heavy) == []


def test_emission_is_timed_at_the_sizes_that_memory_holds(monkeypatch):
    monkeypatch.setattr("benchmarks.speed.available_bytes", lambda: 2 * 10**9)
    assert {job.layers for job in emission_jobs(HEADS, (1, 10, 100))} == {1, 10}
