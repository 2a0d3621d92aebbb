"""`hypergen audit` on data whose answer is known, and on a small package from end to end."""

from __future__ import annotations

import importlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import hypergen_compiler as hypergen
from hypergen_compiler import cli
from hypergen_compiler.audit import forecast
from hypergen_compiler.audit.features import judge, parted
from hypergen_compiler.audit.items import Items, grouped, read_items, state_dict_of
from hypergen_compiler.audit.measure import audited, followed
from hypergen_compiler.audit.pictures import png
from hypergen_compiler.audit.report import Group, findings
from hypergen_compiler.audit.subject import Reader, Subject, plain_model

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.width = width
        self.down, self.up = nn.Linear(16, width), nn.Linear(width, 16)

    def misfit(self, x):
        return (self.up(torch.tanh(self.down(x.flatten(1)))) - x.flatten(1)).square().sum(1)

    def sample(self, n):
        return self.up(torch.randn(n, self.width)).view(n, 1, 4, 4)


def with_conditions(model, n):
    return model.sample(n), torch.zeros(n)
"""


def blobs(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of 4 x 4 with one bright row, another for each of three groups."""
    labels = torch.arange(n) % 3
    pictures = 0.2 * torch.rand(n, 1, 4, 4)
    pictures[torch.arange(n), 0, labels] += 0.8
    return pictures, labels


def items(n: int = 300) -> Items:
    pictures, labels = blobs(n)
    return Items((pictures,), labels, ("a", "b", "c"))


def quiet(_: str) -> None:
    pass


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a model, data, a package and its run."""
    folder = tmp_path_factory.mktemp("audit")
    (folder / "net.py").write_text(MODEL)
    pictures, labels = blobs(240)
    np.savez(folder / "data.npz", x=pictures.numpy(), kind=labels.numpy(), labels=labels.numpy())
    model = {}
    exec(compile(MODEL, "net.py", "exec"), model)
    package = hypergen.compile(model["Net"](), torch.rand(5, 1, 4, 4), loss="misfit", out=folder / "net_package").load()
    settings = package.training.Settings(steps=24, batch=16)
    package.training.Trainer(package.data.read_data(folder / "data.npz"), settings, out=folder / "run").run()
    return folder


def run(*words: object) -> str:
    done = CliRunner().invoke(cli.app, ["audit", *map(str, words)])
    return f"{done.exit_code} {done.output}"


def test_a_group_that_is_never_generated_is_absorbed():
    real = items()
    subject = Subject("ours", "samples", lambda n: real.inputs[0][real.labels != 2][:n])
    found = audited(subject, real, quiet)
    assert [round(group.generated, 2) for group in found.groups] == [0.5, 0.5, 0]
    assert found.groups[2].coverage < 0.1 < 0.7 < found.groups[2].coverage_of_real
    assert found.quality.frechet > 10 * found.quality_of_real.frechet
    assert any(line.startswith("Absorbed") and "c (0.0% generated" in line for line in findings(found))
    assert found.forecast.extrapolated and found.forecast.shares[1][2] == 0


def test_real_items_pass():
    real, (others, _) = items(), blobs(300)
    found = audited(Subject("ours", "samples", lambda n: others[:n]), real, quiet)
    assert found.classifier > 0.95 and found.loss is None and found.following is None
    assert all(abs(group.generated - 1 / 3) < 0.05 and group.coverage > 0.7 for group in found.groups)
    assert found.quality.frechet < 5 * found.quality_of_real.frechet + 1


def test_without_labels_there_are_no_groups():
    pictures, _ = blobs(200)
    found = audited(Subject("ours", "samples", lambda n: pictures[:n]), Items((pictures,)), quiet)
    assert found.groups == () and found.classifier is None and found.quality.recall > 0.9


def test_tokens_are_compared_by_how_often_they_occur():
    tokens = torch.randint(0, 5, (200, 6))
    found = audited(Subject("ours", "samples", lambda n: torch.zeros_like(tokens)[:n]), Items((tokens,)), quiet)
    assert found.quality.frechet > 10 * found.quality_of_real.frechet


def reader(follows: bool) -> Reader:
    """Emits the parts of the rows' brightness, and draws blobs with these shares, or with equal ones."""

    def emit(inputs):
        return inputs[0].mean((0, 1, 3))[:3] - 0.1 if follows else torch.full((3,), 1 / 3)

    def sample(flat, n):
        pictures, labels = blobs(3 * n)
        return pictures[torch.multinomial((flat.clamp_min(1e-6) / 1.0)[labels], n, replacement=True)]

    return Reader(emit, sample)


def test_following_tells_a_hypernetwork_that_reads_from_one_that_does_not():
    real = items(600)
    by = judge(*parted(real, 0), 0)
    reads, ignores = followed(reader(True), real, by), followed(reader(False), real, by)
    assert reads.slope == pytest.approx(1, abs=0.1) and reads.slope_of_real == pytest.approx(1, abs=0.05)
    assert ignores.slope == pytest.approx(0, abs=0.1) and ignores.variation == 0 < reads.variation


def test_a_forecast_drifts_no_more_than_sampling_where_shares_are_kept(monkeypatch):
    monkeypatch.setattr(forecast, "GENERATIONS", 3)
    real = items(600)
    learn, held = parted(real, 0)
    by = judge(learn, held, 0)
    kept = forecast.forecast(reader(True), real, held, by)
    assert not kept.extrapolated and len(kept.drift) == 4 and kept.drift[0] == 0
    assert kept.drift[-1] < 0.1 and kept.drift_of_sampling[-1] < 0.1


def test_what_is_extrapolated_repeats_one_generation():
    rest = {"generated_error": 0.0, "coverage": 1.0, "coverage_of_real": 1.0, "loss": None}
    pair = (Group("a", 0.5, 0.5, 0.8, **rest), Group("b", 0.5, 0.5, 0.2, **rest))
    found = forecast.extrapolated(pair)
    assert found.shares[2] == pytest.approx((16 / 17, 1 / 17)) and found.drift[2] == pytest.approx(16 / 17 - 0.5)


def test_items_that_judge_are_others_in_a_random_order_with_the_same_shares():
    real = items(300)
    real = Items((torch.arange(300.0).view(300, 1),), real.labels, real.groups)
    learn, held = parted(real, seed=1)
    assert torch.cat([learn.inputs[0], held.inputs[0]]).flatten().sort().values.tolist() == list(range(300))
    assert held.shares().tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert len(learn.labels[:20].unique()) == 3


def test_a_run_is_audited_and_its_page_needs_nothing_else(trained, monkeypatch):
    monkeypatch.chdir(trained)
    out = run("run", "data.npz", "--labels", "kind", "--json")
    assert out.startswith("0 "), out
    found = json.loads(out[out.index("{") : out.rindex("}") + 1])
    assert found["kind"] == "run" and [group["name"] for group in found["groups"]] == ["0", "1", "2"]
    assert found["following"]["variation"] > 0 and len(found["forecast"]["shares"]) == forecast.GENERATIONS + 1
    page = (trained / "audit.html").read_text()
    assert page.count("<svg") == 6 and page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=\"(?!data:|#)|url\(|@import", page)


def test_the_weights_of_a_run_are_those_that_its_package_exports(trained, monkeypatch):
    """A model with them has the same loss."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(sys, "argv", ["export", "run", "data.npz", "--out", "weights.pt"])
    importlib.import_module("net_package.export").main()
    of_model = json.loads(
        json_of(run("net.py:Net", "data.npz", "--weights", "weights.pt", "--loss", "misfit", "--json"))
    )
    of_run = json.loads(json_of(run("run", "data.npz", "--json")))
    assert of_model["kind"] == "model" and of_model["forecast"]["extrapolated"]
    assert of_model["loss"] == pytest.approx(of_run["loss"], rel=1e-4)


def test_what_a_sampler_draws_beside_its_items_is_left_out(trained, monkeypatch):
    monkeypatch.chdir(trained)
    calls = ("misfit", "net.py:with_conditions")
    subject, found = plain_model("net.py:Net", {}, None, calls, Path("data.npz"), None)
    assert subject.sample(5).shape[1:] == found.inputs[0].shape[1:]


def json_of(out: str) -> str:
    assert out.startswith("0 "), out
    return out[out.index("{") : out.rindex("}") + 1]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("nothing", "data.npz"), "HG701", "no folder with a checkpoint"),
        (("run", "data.npz", "--package", "other"), "HG701", "no package fits"),
        (("run", "flat.npz"), "HG702", "expected"),
        (("run", "data.npz", "--labels", "colour"), "HG604", "no array `colour`"),
        (("run", "rare.npz"), "HG604", "has 2 items"),
        (("flat.npz", "data.npz"), "HG702", "the samples of"),
        (("net.py:Net", "flat.npz", "--loss", "misfit"), "HG702", "does not take the items"),
        (("net.py:Net", "data.npz"), "HG201", "no method loss"),
        (("net.py:Net", "data.npz", "--weights", "data.npz"), "HG702", "does not fit the model"),
        (("data.npz", "data.npz", "--out", "no/folder.html"), "HG501", "cannot be written"),
    ],
)
def test_what_does_not_fit_is_refused(trained, monkeypatch, words, code, reason):
    monkeypatch.chdir(trained)
    pictures, labels = blobs(60)
    np.savez("flat.npz", x=np.zeros((20, 3), np.float32), labels=np.arange(20) % 2)
    np.savez("rare.npz", x=pictures.numpy(), labels=np.minimum(labels.numpy(), 0) + (np.arange(60) < 2))
    other = Path("other")
    if not other.exists():
        hypergen.compile(torch.nn.Linear(2, 2), torch.rand(3, 2), loss=lambda m, x: m(x).mean(), sample=None, out=other)
    out = run(*words)
    assert out.startswith("2 ") and f"error[{code}]" in out and reason in " ".join(out.split()), out


def test_labels_are_found_by_name_and_bytes_become_pictures(tmp_path):
    arrays = {"images": np.full((12, 4, 4), 255, np.uint8), "y": np.arange(12) % 2}
    np.savez(tmp_path / "data.npz", **arrays)
    found = read_items(tmp_path / "data.npz", None, 1)
    assert found.inputs[0].shape == (12, 1, 4, 4) and found.inputs[0].max() == 1 and found.groups == ("0", "1")
    told = read_items(tmp_path / "data.npz", "y", 2)
    assert torch.equal(told.inputs[1], torch.arange(12) % 2)


def test_groups_of_named_labels_carry_the_names():
    assert grouped(Path("data"), (torch.zeros(12, 1),), torch.arange(12) % 2, ("cat", "dog")).groups == ("cat", "dog")


def test_a_state_dict_is_read_from_safetensors(tmp_path):
    from safetensors.torch import save_file

    saved = {"b": torch.arange(3.0), "a": torch.ones(2, 2)}
    save_file(saved, tmp_path / "weights.safetensors")
    found = state_dict_of(tmp_path / "weights.safetensors")
    assert found.keys() == saved.keys() and all(torch.equal(found[name], saved[name]) for name in saved)


def test_a_png_holds_the_pictures():
    content = png(torch.eye(32).expand(8, 1, 32, 32), 0.0, 1.0)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(content[start:]), np.uint8).reshape(height, width + 1)
    assert (width, height) == (8 * 34, 34) and (np.diag(rows[:32, 1:33]) == 255).all() and rows[:, 0].max() == 0
