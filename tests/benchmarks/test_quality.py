"""How heads are compared: what is kept, how a time becomes a length, and what tells whether samples follow."""

from __future__ import annotations

import pytest
import torch

import hypergen_compiler as hypergen
from benchmarks import quality
from benchmarks.quality_page import at_length, page, plain_row, row
from benchmarks.quality_runs import Run, train_plain, training
from benchmarks.quality_tasks import TASKS, Digits, share_slope
from hypergen_compiler.publishing.package import import_package

LASTING = {1: [Run(41.0, 40.0, 0.0), Run(45.0, 44.0, 0.1)], 2: [Run(31.0, 30.0, 0.0), Run(35.0, 34.0, 0.1)]}


def striped(n: int = 200) -> Digits:
    """Pictures whose bright column is their label."""
    labels = torch.arange(n) % 10
    images = torch.zeros(n, 1, 10, 10)
    images[torch.arange(n), 0, :, labels] = 1.0
    return Digits(images, labels, images[:8], images[8:16])


@pytest.mark.parametrize(("length", "loss"), [(1.0, 42.0), (2**0.5, 37.0), (2.0, 32.0), (0.7, 42.0), (3.0, 32.0)])
def test_a_length_between_two_trainings_is_read_off_between_their_losses(length, loss):
    assert at_length(LASTING, length)[0] == pytest.approx(loss)


def test_a_row_compares_with_plain_after_equal_steps_and_after_equal_time():
    found = row("biases (default)", [Run(34.0, 33.0, 0.5), Run(36.0, 35.0, 0.6)], LASTING, 2.0)
    assert (found.contender, found.to_steps[0], found.to_time[0]) == ("biases (default)", -8.0, 2.0)
    assert found.to_time[1] == pytest.approx((1.0 + 4.0) ** 0.5)
    untimed = row("no penalty", [Run(34.0, 33.0, 0.5), Run(36.0, 35.0, 0.6)], LASTING)
    text = page({"digits": [plain_row(3e-3, LASTING), found, untimed]}, 2)
    assert "| biases (default) | 34.00 ± 1.00 | -8.00 ± 2.24 | +2.00 ± 2.24 | 2.00 | 0.55 ± 0.05 |" in text
    assert "| no penalty | 34.00 ± 1.00 | -8.00 ± 2.24 |  |  | 0.55 ± 0.05 |" in text
    assert "| plain, learning rate 0.003 | 42.00 ± 2.00 |  |  | 1.00 | 0.05 ± 0.05 |" in text


def test_samples_that_are_the_dataset_follow_it_and_samples_that_are_not_do_not():
    digits = striped()
    assert share_slope(digits, lambda dataset, n: dataset) == pytest.approx(1.0, abs=0.02)
    assert abs(share_slope(digits, lambda dataset, n: digits.images[:n])) < 0.05


def test_the_plain_model_learns():
    task, digits = TASKS["digits"], striped()
    eight = Digits(digits.images[..., :8, :8], digits.labels, digits.validation[..., :8, :8], digits.test[..., :8, :8])
    torch.set_num_threads(1)
    runs = [train_plain(task, eight, steps, 1e-2, seed=0) for steps in (1, 20)]
    assert runs[1].loss < runs[0].loss - 5


def test_a_package_trains_without_the_penalty_and_without_mixtures(tmp_path):
    hypergen.compile(TASKS["digits"].make(), torch.rand(2, 1, 8, 8), out=tmp_path / "without")
    package, digits = import_package(tmp_path / "without", "without"), striped()
    whole, less = (training(digits, package, 8, 1e-3, 0, without) for without in ((), ("penalty", "mixtures")))
    assert whole.settings.strength > 0 == less.settings.strength
    assert (len(whole.source.counts), len(less.source.counts)) == (10, 1)


def test_what_is_kept_is_not_trained_again(tmp_path, monkeypatch):
    kept = quality.Kept(tmp_path, workers=1)
    monkeypatch.setattr(kept.pool, "submit", lambda *given: pytest.fail("was trained"))
    (tmp_path / "digits-plain-1000-0.003-1.json").write_text('{"validation": 2.5, "loss": 1.5, "slope": 0.25}')
    assert kept.plain("digits", None, 1, 0.003, 1)() == Run(2.5, 1.5, 0.25)
    calls = []
    folder = tmp_path / "digits_biases"
    folder.mkdir()
    for _ in range(2):
        assert kept.ratio(lambda given: calls.append(given) or 1.5, folder) == 1.5
    (folder / "model.py").write_text("changed")
    kept.ratio(lambda given: calls.append(given) or 1.5, folder)
    assert calls == [folder, folder]
