"""The experiment `fairness` in miniature, its data, its rivals and its page."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from hypergen_compiler.commands.experiment import experiments
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.evidence.fairness import experiment as fairness
from hypergen_compiler.evidence.fairness import hypernetworks
from hypergen_compiler.evidence.fairness.effort import LADDER, PLAIN, REAL, Contest, Effort, Results
from hypergen_compiler.evidence.fairness.families import FAMILIES
from hypergen_compiler.evidence.fairness.page import as_values, page, write
from hypergen_compiler.evidence.fairness.plain import Jobs, fitted, stacked
from hypergen_compiler.evidence.fairness.recipes import CALIBRATED, MAIN, NO_PENALTY
from hypergen_compiler.evidence.groups import Part, pictures, problem
from hypergen_compiler.evidence.kept import Kept


def some(counts: tuple[int, ...]) -> Part:
    """Pictures whose group is the column that is white."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    images = torch.zeros(len(labels), 1, 8, 8)
    images[torch.arange(len(labels)), 0, :, labels] = 1
    return Part(images, labels)


def test_the_second_class_is_made_rare_and_parts_do_not_overlap():
    everything = some((200, 200, 50))
    everything.images[:, 0, 7, 7] = torch.arange(450) / 450  # tells one from another
    first, second = (problem("some", everything, (1, 0), 0.05, seed) for seed in (0, 1))
    assert torch.bincount(first.train.labels).tolist() == [106, 6]
    assert first.shares[1].item() == pytest.approx(0.05, abs=0.005)
    assert first.train.images[first.train.labels == 0][:, 0, 0, 1].eq(1).all()  # group 0 is the class named first
    own = [set(part.images[:, 0, 7, 7].tolist()) for part in (first.train, first.validation, first.test)]
    assert not (own[0] & own[1] or own[0] & own[2] or own[1] & own[2])
    assert first.test.images.equal(second.test.images) and not first.train.images.equal(second.train.images)


def test_data_that_do_not_serve_are_refused(tmp_path):
    with pytest.raises(HyperGenError, match="has no label 7") as refused:
        problem("some", some((20, 20)), (0, 7), 0.05, 0)
    assert refused.value.code == "HG604"
    with pytest.raises(HyperGenError, match="absent"):
        pictures(tmp_path / "absent.npz")


class Level(nn.Module):
    """The loss is smallest where the level is the mean of the data."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(()))

    def loss(self, x: Tensor) -> Tensor:
        return (x - self.level).square()


def test_runs_are_trained_apart_each_on_its_own_weights_of_the_rows():
    data = torch.tensor([0.0, 1.0]).expand(2, 2)
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    jobs = Jobs((data,), weights, (data,), weights)
    start = stacked([Level().state_dict()] * 2)
    found, rates = fitted(Level(), start, jobs, torch.tensor([[1e-5] * 2, [0.05] * 2]), steps=300, batch=64, seed=0)
    assert found["level"].tolist() == pytest.approx([0.0, 0.75], abs=0.05)
    assert rates[1].item() == pytest.approx(0.05)  # 1e-5 goes nowhere


def test_what_was_interrupted_goes_on(tmp_path):
    path = tmp_path / "new" / "parts"
    Kept(path, "one").add("a", {"x": [1.5]})
    assert Kept(path, "one").known("a") == {"x": [1.5]}
    assert Kept(path, "one").known("b") is None and Kept(path, "another").known("a") is None
    Kept(path, "one").forget()
    assert not path.exists()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    effort = Effort(2, 24, 24, (MAIN, CALIBRATED), (), workers=1)
    everything = some((60, 60, 60))
    everything.images.add_(0.1 * torch.rand(everything.images.shape, generator=torch.Generator().manual_seed(0)))
    usual = {"head": "biases", "batch": 64, "episodes": 4, "lr": 3e-3, "strength": 3.0, "ema": 0.999}
    contest = Contest(FAMILIES["vae"], usual, effort, Kept(None, ""), lambda _: None)
    pair = fairness.measure_pair(contest, "some", everything, (1, 0), 0.1)
    mixtures = fairness.measure_mixtures(contest, "some", everything)
    return Results("fairness", "vae", "some", (1, 0), 0.1, (30, 4), 2, 24, 24, usual, pair, mixtures)


def test_every_method_has_a_value_for_every_seed(results):
    assert {len(seeds) for seeds in (*results.of_pair.values(), *results.of_mixtures.values())} == {2}
    real = results.of_pair[REAL][0]
    assert real["slope"] == pytest.approx(1, abs=0.05) and real["mean error"] < 0.03


def test_a_plain_training_has_no_knob_and_a_ladder_of_them_has(results):
    plain, ladder = results.of_pair[PLAIN], results.of_pair[LADDER]
    assert all(abs(values["slope"]) < 0.1 for values in plain)
    assert all(values["slope"] > 0.3 for values in ladder)


def test_results_are_written(results, tmp_path):
    write(tmp_path / "new", results)
    values = json.loads((tmp_path / "new" / "fairness.json").read_text())
    assert set(values["knob"]) == set(values["uncalibrated_knob"]) >= {"slope", "mean_error"}
    assert values["seeds"] == [0, 1] and values["versions"]["torch"] == torch.__version__
    assert values == json.loads(json.dumps(as_values(results)))
    assert (tmp_path / "new" / "fairness.png").read_bytes().startswith(b"\x89PNG")
    text = page(results)
    assert text.count(f"| {MAIN.name} |") == 2 and "0 against 1 in some" in text


def test_a_family_that_there_is_not_is_refused_by_name():
    found = CliRunner().invoke(experiments, ["fairness", "--model", "gan"])
    assert found.exit_code == 2 and "vae, flow, diffusion" in " ".join(found.output.split())


def test_a_recipe_that_changed_is_trained_again_and_one_that_did_not_is_not(monkeypatch, tmp_path):
    trained = []

    def recipe_values(recipe, **_):
        trained.append(recipe.name)
        return [{"slope": 1.0}]

    monkeypatch.setattr(hypernetworks, "recipe_values", recipe_values)
    setting = SimpleNamespace(problem=SimpleNamespace(classes=(0, 1)))
    for strength in (3.0, 3.0, 5.0):
        kept = Kept(tmp_path / "parts", "one")
        contest = Contest(FAMILIES["flow"], {"strength": strength}, Effort(1, 1, 1, (), (), 1), kept, lambda _: None)
        found = hypernetworks.hypernetworks(contest, [MAIN, NO_PENALTY], [setting], 1, None)
        assert found == {MAIN.name: [{"slope": 1.0}], NO_PENALTY.name: [{"slope": 1.0}]}
    assert trained == 2 * [MAIN.name, NO_PENALTY.name]
