"""The GPU's script on a CPU: the same code on small data, compiled by aot_eager."""

from __future__ import annotations

import pytest
import torch

import hypergen_compiler as hypergen
from benchmarks import gpu
from benchmarks.gpu_steps import KINDS, Unsupported, prepared
from benchmarks.heads import Compiled, Head, Job
from benchmarks.target_vaes import ConvVAE
from benchmarks.targets import TARGETS, Target

SMALL = Target("conv_vae", "conv VAE", lambda: ConvVAE(channels=2, latent=2), TARGETS["conv_vae"].data, 16, 1)
JOB = Job(Head("default"), "conv_vae")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    return hypergen.compile(SMALL.make(), SMALL.data(2), out=folder / "gpu_small_vae", sample=None).path


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "graph"])
def test_steps_start_equal_and_train(package, kind):
    datasets = [SMALL.data(2), SMALL.data(2)]
    model = SMALL.make()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    pair = prepared(model, package, kind, datasets)
    assert (pair.loss_apart, pair.gradient_apart) < (1e-6, 1e-5)
    pair.own()
    pair.plain()
    assert not all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_difference_is_seen(package):
    class Other(ConvVAE):
        def loss(self, x: torch.Tensor) -> torch.Tensor:
            return 1.5 * super().loss(x)

    pair = prepared(Other(channels=2, latent=2), package, "float32", [SMALL.data(2)])
    assert pair.loss_apart == pytest.approx(1 / 3, rel=1e-4)
    assert pair.gradient_apart == pytest.approx(1 / 3, rel=1e-4)


def test_graphs_need_a_gpu(package):
    with pytest.raises(Unsupported):
        prepared(SMALL.make(), package, "graph", [SMALL.data(2)])


def test_rows_of_all_kinds_and_of_what_cannot_run(package, monkeypatch):
    kinds = ("float32", "bfloat16", "graph")  # compiling takes a while, and is tested above
    monkeypatch.setattr(gpu, "KINDS", kinds)
    found = [Compiled(JOB, package), Compiled(Job(Head("dense", "dense"), "conv_vae"), None, "no such head")]
    rows = gpu.measure_target(SMALL, found, torch.device("cpu"), 4, 0.0)
    assert [(row.datasets, row.kind, row.reason) for row in rows[::2]] == [
        (datasets, kind, "CUDA graphs need a GPU" if kind == "graph" else "") for datasets in (1, 8) for kind in kinds
    ]
    assert {row.reason for row in rows[1::2]} == {"no such head"}
    text = gpu.gpu_page(rows, [], torch.device("cpu"))
    assert text.count("| conv VAE | 8 | default |") == 2
    assert "- not run: dense in float32, bfloat16, graph (no such head)" in text
    assert "a rehearsal on the CPU" in text


def test_the_command_compiles_measures_and_writes(tmp_path, package, monkeypatch):
    monkeypatch.setitem(TARGETS, "conv_vae", SMALL)
    monkeypatch.setattr(gpu, "compile_all", lambda jobs, folder: [Compiled(job, package) for job in jobs])
    monkeypatch.setattr(gpu, "KINDS", ("float32",))
    arguments = ["--device", "cpu", "--targets", "conv_vae", "--layers", "--seconds", "0", "--items", "4"]
    assert gpu.main([*arguments, "--out", str(tmp_path / "gpu.md")], [JOB.head]) == 0
    assert (tmp_path / "gpu.md").read_text().count("| default | float32 |") == 2


def test_a_step_that_fails_is_a_row_and_an_exit_code(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "compile_all", lambda jobs, folder: [Compiled(job, tmp_path / "nowhere") for job in jobs])
    arguments = ["--device", "cpu", "--targets", "conv_vae", "--layers", "--out", str(tmp_path / "gpu.md")]
    assert gpu.main(arguments, [JOB.head]) == 1
    assert "ModuleNotFoundError" in (tmp_path / "gpu.md").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_how_to_rehearse(capsys):
    assert gpu.main([]) == 1
    assert "--device cpu" in capsys.readouterr().err
