"""The command line: results on stdout, messages on stderr, exit status 0, 1 or 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hypergen_compiler
from hypergen_compiler import cli
from hypergen_compiler.demo import demo
from hypergen_compiler.errors import HyperGenError

ROOT = Path(hypergen_compiler.__file__).parents[1]

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()
        self.layer = nn.Linear(4, width)
        self.back = nn.Linear(width, 4)
        self.width = width

    def loss(self, x):
        return (self.back(torch.tanh(self.layer(x))) - x).square().mean()

    def sample(self, n):
        return self.back(torch.randn(n, self.width))

    def encode(self, x):
        return torch.tanh(self.layer(x))

    def stuck(self, x):
        return x.view(11, 4) @ self.layer.weight.T


class Silent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def loss(self, x):
        return self.layer(x).mean()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTORCH_JIT", "0")
    yield tmp_path
    sys.modules.pop("nets", None)


@pytest.fixture
def run(folder):
    def run(*arguments: str):
        result = CliRunner().invoke(cli.app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def compile_net(run, *options: str):
    return run("compile", "nets.py:Net", "--example", "4", "--out", "made/net", *options)


class TestTheWholePath:
    def test_a_head_and_kept_weights(self, run, folder):
        done = compile_net(run, "--head", "low-rank", "--keep", "*.bias")
        assert done.exit_code == 0, done.stderr
        manifest = json.loads((folder / "made" / "net" / "hypergen.json").read_text())
        assert (manifest["plan"]["asked"], manifest["plan"]["keep"]) == ("low-rank", ["*.bias"])
        assert manifest["layout"]["conditioned"] < manifest["layout"]["emitted"]
        shown = run("inspect", "made/net").stdout
        assert "the same for all datasets" in shown and "of these for each dataset" in shown
        assert run("verify", "made/net").exit_code == 0

    def test_compile_inspect_verify(self, run, folder):
        done = compile_net(run, "--set", "width=5", "--entry", "encode", "--budget", "1MB")
        assert done.exit_code == 0, done.stderr
        assert "nets.Net(width=5)" in done.stdout and "python -m net.train" in done.stdout
        assert "recording the entry points" in done.stderr and "recording" not in done.stdout
        manifest = json.loads((folder / "made" / "net" / "hypergen.json").read_text())
        assert (manifest["source"], manifest["settings"], manifest["example"]) == ("nets.py:Net", {"width": 5}, "4")

        shown = run("inspect", "made/net")
        assert shown.exit_code == 0 and shown.stderr == ""
        for text in ("x[n, 4]", "nets.py:13", "layer.weight", "[5, 4]", "low-rank", "model.py"):
            assert text in shown.stdout

        checked = run("verify", "made/net")
        assert checked.exit_code == 0 and "equal bit for bit" in checked.stdout and "note" not in checked.stdout

        (folder / "nets.py").write_text(
            MODEL.replace("return self.back(torch.randn", "return 2 * self.back(torch.randn")
        )
        failed = run("verify", "made/net")
        assert failed.exit_code == 1 and "failed: output of sample" in failed.stdout

        (folder / "nets.py").rename(folder / "moved.py")
        alone = run("verify", "made/net")
        assert alone.exit_code == 0 and "note: not compared with the model" in alone.stdout
        moved = run("verify", "made/net", "moved.py:Net", "--json")
        assert moved.exit_code == 1 and json.loads(moved.stdout)["ok"] is False
        unknown = run("verify", "made/net", "lost.py:Net")
        assert unknown.exit_code == 2 and "error[HG603]" in unknown.stderr

    def test_json(self, run):
        made = json.loads(compile_net(run, "--json").stdout)
        assert made["path"] == "made/net" and made["name"] == "net" and "model.py" in made["files"]
        shown = json.loads(run("inspect", "made/net", "--json").stdout)
        assert shown["edited"] == shown["unknown"] == [] and shown["sizes"].keys() == shown["files"].keys()
        found = json.loads(run("verify", "made/net", "--json").stdout)
        assert (
            found["ok"] and found["exact"] and found["checks"][0].keys() >= {"entry", "mode", "batch", "what", "detail"}
        )

    def test_plan_writes_nothing(self, run, folder):
        before = sorted(folder.rglob("*"))
        shown = run("plan", "nets.py:Net", "--example", "4")
        assert shown.exit_code == 0 and "layer.weight" in shown.stdout and "low-rank" in shown.stdout
        planned = json.loads(run("plan", "nets.py:Net", "--example", "4", "--json").stdout)
        assert planned["plan"]["bytes"] == 16 * planned["plan"]["parameters"]
        assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts] == before

    def test_plan_takes_the_penalty_that_compile_takes(self, run):
        asked = ("nets.py:Net", "--example", "4", "--penalty", "literal", "--penalty-space", "weights", "--json")
        planned = json.loads(run("plan", *asked).stdout)["plan"]
        compiled = json.loads(run("compile", *asked, "--out", "net").stdout)["plan"]
        assert (
            (planned["penalty"], planned["space"]) == (compiled["penalty"], compiled["space"]) == ("literal", "weights")
        )

    def test_warnings_are_messages(self, run):
        done = run("compile", "nets.py:Silent", "--example", "4", "--out", "silent")
        assert done.exit_code == 0 and "warning: Silent has no method 'sample'" in done.stderr

    def test_none_leaves_an_entry_point_out(self, run, folder):
        done = run("compile", "nets.py:Net", "--example", "4", "--out", "net", "--loss", "none", "--sample", "none",
                   "--entry", "encode", "--json")  # fmt: skip
        assert list(json.loads(done.stdout)["entries"]) == ["encode"], done.stderr

    def test_edits_are_shown_and_not_overwritten(self, run, folder):
        compile_net(run)
        (folder / "made" / "net" / "model.py").write_text("")
        assert "edited" in run("inspect", "made/net").stdout
        refused = compile_net(run)
        assert refused.exit_code == 2 and "error[HG503]: model.py in net changed" in refused.stderr
        assert compile_net(run, "--force").exit_code == 0

    def test_loss_and_sampler_may_be_functions_of_another_file(self, run, folder):
        (folder / "losses.py").write_text(
            "import torch\n\n\ndef misfit(model, x, y):\n    return ((model.encode(x).sum(1) - y) ** 2).mean()\n\n\n"
            "def draw(model, n):\n    return model.sample(n), torch.zeros(n)\n\n\nthree = 3\n"
        )
        np.savez(folder / "data.npz", x=np.ones((6, 4), np.float32), y=np.ones(6, np.float32), further=np.ones(6))
        words = ("compile", "nets.py:Net", "--example", "data.npz", "--out", "net", "--loss", "losses:misfit")
        done = run(*words, "--sample", str(folder / "losses.py:draw"), "--entry", "losses.py:misfit")
        assert done.exit_code == 0, done.stderr
        manifest = json.loads((folder / "net" / "hypergen.json").read_text())
        assert {name: entry["method"] for name, entry in manifest["entries"].items()} == {
            "loss": "losses:misfit",
            "sample": "losses.py:draw",
            "misfit": "losses.py:misfit",
        }
        assert (manifest["loss"], manifest["options"]["sample"]) == ("loss", "losses.py:draw")
        assert [item["name"] for item in manifest["entries"]["loss"]["inputs"]] == ["x", "y"]
        checked = run("verify", "net")
        assert checked.exit_code == 0 and "note" not in checked.stdout, checked.stdout
        assert run("check", "net").exit_code == 0
        refused = run(*words[:-1], "losses.py:three", "--force")
        assert refused.exit_code == 2 and "error[HG102]: losses.py:three is no function" in refused.stderr


class TestWrongInput:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nets.py:Net", "--example", "4", "--set", "width"], "error[HG105]"),
            (["nets.py:Net", "--example", "4", "--set", "depth=3"], "error[HG103]: nets.Net(depth=3)"),
            (["nets.py:Nat", "--example", "4"], "error[HG102]: nets.py has no 'Nat'"),
            (["nats.py:Net", "--example", "4"], "error[HG101]"),
            (["nets.py:Net", "--example", "four"], "error[HG104]"),
            (["nets.py:Net", "--example", "5"], "error[HG202]: loss fails on the example"),
            (["nets.py:Net", "--example", "4", "--entry", "stuck"], "error[HG203]"),
            (["nets.py:Net", "--example", "4", "--loss", "lost"], "error[HG201]"),
            (["nets.py:Net", "--example", "4", "--budget", "3 bags"], "error[HG105]"),
            (["nets.py:Net", "--example", "4", "--head", "tall"], "error[HG304]"),
            (["nets.py:Net", "--example", "4", "--keep", "nothing.*"], "error[HG305]"),
            (["nets.py:Net", "--example", "4", "--name", "not this"], "error[HG106]"),
        ],
    )
    def test_a_message_and_nothing_else(self, run, folder, arguments, said):
        before = sorted(folder.rglob("*"))
        done = run("compile", *arguments, "--out", "made/net")
        assert done.exit_code == 2 and done.stdout == ""
        assert said in done.stderr and "Traceback" not in done.stderr
        assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts] == before

    def test_place_and_remedy_follow(self, run):
        done = run("compile", "nets.py:Net", "--example", "5", "--out", "net")
        lines = done.stderr.splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("error[HG202]"))
        assert lines[start + 1] == "  at nets.py:14" and lines[start + 2].startswith("  Check the example")

    def test_an_unusable_folder_is_refused_before_the_model_is_imported(self, run, folder):
        (folder / "net").touch()
        done = run("compile", "absent.py:Net", "--example", "4", "--out", "net")
        assert done.exit_code == 2 and "error[HG501]: net is a file" in done.stderr

    def test_a_folder_that_is_no_package(self, run):
        for command in ("inspect", "verify"):
            done = run(command, ".")
            assert done.exit_code == 2 and "error[HG504]" in done.stderr

    def test_usage(self, run):
        assert run("compile", "nets.py:Net").exit_code == 2
        assert run("unknown").exit_code == 2


class TestTheDemo:
    def test_it_is_run(self, run, monkeypatch):
        calls = []
        monkeypatch.setattr(demo, "run", lambda *arguments: calls.append(arguments))
        assert run("demo", "--out", "there", "--data", "digits.npz").exit_code == 0
        assert calls == [(Path("there"), Path("digits.npz"))]

    def test_its_refusals_are_messages(self, run, monkeypatch):
        def refuse(out, data):
            raise HyperGenError("HG604", "no images", remedy="Give some.")

        monkeypatch.setattr(demo, "run", refuse)
        done = run("demo")
        assert done.exit_code == 2 and done.stderr == "error[HG604]: no images\n  Give some.\n"


def test_help_does_not_wait_for_torch():
    script = (
        "import sys; from typer.testing import CliRunner; from hypergen_compiler.cli import app\n"
        "assert 'verify' in CliRunner().invoke(app, ['--help']).stdout\n"
        "assert CliRunner().invoke(app, ['compile', '--help']).exit_code == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_the_command_rarely_looks_for_garbage_and_not_at_its_end():
    script = (
        "import gc, sys; from hypergen_compiler.cli import main; sys.argv[1:] = ['--version']\n"
        "try: main()\n"
        "except SystemExit: sys.exit(gc.get_threshold()[0] < 100_000 or gc.get_freeze_count() == 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "hypergen_compiler", "--version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == f"hypergen {hypergen_compiler.__version__}\n"
