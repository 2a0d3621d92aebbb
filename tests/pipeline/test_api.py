"""The Python functions: compile, plan, verify, and what they leave in the file system."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import hypergen_compiler as hypergen
from hypergen_compiler import HyperGenError, HyperGenWarning, design, pipeline
from hypergen_compiler.publishing.manifest import MANIFEST


class Autoencoder(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.decoder = nn.Linear(width, 4)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(torch.relu(self.norm(self.encoder(x))))

    def loss(self, x: Tensor) -> Tensor:
        return (self(x) - x).square().sum(1)

    def sample(self, n: int) -> Tensor:
        return self.decoder(torch.randn(n, self.width))


class Lossless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)

    def energy(self, x: Tensor) -> Tensor:
        return self(x).square().mean()


class Growing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(4)

    def loss(self, x: Tensor) -> Tensor:
        if not hasattr(self, "scale"):
            self.register_buffer("scale", torch.full((4,), 0.5))
        return (self.layer(x) * self.scale - x).square().mean()


def items(n: int) -> tuple[Tensor]:
    return (torch.rand(n, 4, generator=torch.Generator().manual_seed(n)),)


def made() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return hypergen.compile(made(), items, out=tmp_path_factory.mktemp("published") / "small", entries=["forward"])


@pytest.fixture
def damaged(package, tmp_path):
    """A copy of the package, to be changed."""
    folder = tmp_path / "small"
    folder.mkdir()
    for path, content in package.files.items():
        (folder / path).write_bytes(content)
    return folder


def nothing_in(folder: Path) -> bool:
    return not list(folder.iterdir())


class TestCompiling:
    def test_the_package_describes_itself(self, package):
        assert package.path.name == package.manifest["name"] == "small"
        assert json.loads((package.path / MANIFEST).read_text()) == package.manifest
        assert {path.name for path in package.path.iterdir()} == set(package.files)
        assert {"weights.py", "model.py", "train.py", "test_small.py"} <= package.files.keys()
        entries = package.manifest["entries"]
        assert entries["loss"]["outputs"] == [["n"]] and entries["forward"]["method"] == "forward"
        assert entries["loss"]["inputs"][0] | {"low": 0, "high": 1} == {
            "name": "x",
            "shape": ["n", 4],
            "dtype": "float32",
            "low": 0,
            "high": 1,
            "vocabulary": None,
        }
        assert package.manifest["layout"]["weights"] == sum(p.numel() for p in made().parameters())
        assert package.manifest["torch"] in torch.__version__
        assert str(package.path.parent) not in (package.path / MANIFEST).read_text()

    def test_it_agrees_with_the_model(self, package):
        found = package.verify()
        assert found.ok and found.exact
        assert {check.batch for check in found.checks} == {1, 3, 15, 17}

    def test_it_can_be_loaded_and_used(self, package):
        loaded = package.load()
        model = made().eval()
        weights = loaded.weights.unpack(loaded.weights.pack(model.state_dict()))
        (x,) = items(5)
        assert torch.equal(loaded.model.loss(weights, loaded.weights.State(), x), model.loss(x))
        assert loaded.hypernetwork.Hypernetwork()(x).shape == (loaded.weights.SIZE,)

    def test_the_model_is_left_as_it_was(self, tmp_path):
        model = made()
        model.norm.eval()
        before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
        hypergen.compile(model, items, out=tmp_path / "small")
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
        assert model.training and not model.norm.training
        assert torch.equal(torch.get_rng_state(), state)

    def test_twice_the_same_bytes_and_over_the_old_folder(self, package, tmp_path):
        again = hypergen.compile(made(), items, out=tmp_path / "other", entries=["forward"], name="small")
        assert again.files == package.files
        assert (
            hypergen.compile(made(), items, out=tmp_path / "other", entries=["forward"], name="small").files
            == again.files
        )
        assert [path.name for path in tmp_path.iterdir()] == ["other"]

    def test_entry_points_may_be_functions_with_inputs_of_their_own(self, tmp_path):
        entries = {
            "decode": (lambda model, z: model.decoder(z), lambda n: (torch.ones(n, 6),)),
            "reconstruct": lambda model, x: {"x": model(x)},
        }
        package = hypergen.compile(
            made(),
            (torch.rand(5, 4),),
            out=tmp_path / "small",
            loss=lambda model, x: model.loss(x).mean(),
            entries=entries,
        )
        assert package.verify().ok
        found = package.manifest["entries"]
        assert list(found) == ["loss", "sample", "decode", "reconstruct"]
        assert [found[name]["method"] for name in found] == [None, "sample", None, None]
        assert found["decode"]["inputs"][0]["name"] == "z"

    def test_a_model_without_sampler_trains_without_the_penalty(self, tmp_path):
        with pytest.warns(HyperGenWarning, match="Lossless has no method 'sample'"):
            package = hypergen.compile(Lossless(), items, out=tmp_path / "small", loss="energy")
        assert package.manifest["loss"] == "energy" and package.manifest["sample"] is None
        assert package.verify().ok

    def test_a_model_that_grows_in_its_first_call(self, tmp_path):
        model = Growing()
        package = hypergen.compile(model, items, out=tmp_path / "small", sample=None)
        assert package.verify().ok and hypergen.verify(package.path, Growing()).ok
        assert {slot["name"] for slot in package.manifest["layout"]["slots"]} == {"layer.weight", "layer.bias"}
        assert not hasattr(model, "scale") and isinstance(model.layer.weight, nn.UninitializedParameter)

    def test_a_network_alone(self, tmp_path):
        package = hypergen.compile(
            Lossless(), items, out=tmp_path / "small", loss=None, sample=None, entries=["forward"]
        )
        assert package.verify().ok and "train.py" not in package.files


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"loss": "missing"}, "HG201"),
            ({"sample": "missing"}, "HG201"),
            ({"entries": ["missing"]}, "HG201"),
            ({"budget": "plenty"}, "HG105"),
            ({"budget": 1}, "HG303"),
            ({"name": "2nd"}, "HG106"),
            ({"name": "class"}, "HG106"),
            ({"name": "torch"}, "HG106"),
            ({"name": "json"}, "HG106"),
            ({"example": "a shape"}, "HG104"),
            ({"example": torch.rand(5, 9)}, "HG202"),
            ({"out": "file"}, "HG501"),
            ({"out": "foreign"}, "HG502"),
            ({"out": "json"}, "HG106"),
        ],
    )
    def test_nothing_is_written(self, tmp_path, options, code):
        (tmp_path / "file").touch()
        (tmp_path / "foreign").mkdir()
        (tmp_path / "foreign" / "notes").touch()
        before = sorted(tmp_path.rglob("*"))
        arguments = {"example": items, "out": "small"} | options
        with pytest.raises(HyperGenError) as caught:
            hypergen.compile(made(), arguments.pop("example"), out=tmp_path / arguments.pop("out"), **arguments)
        assert caught.value.code == code
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_missing_loss_says_what_there_is(self, tmp_path):
        with pytest.raises(HyperGenError, match=r"(?s)HG201.*test_api.py:\d+.*energy.*None"):
            hypergen.compile(Lossless(), items, out=tmp_path / "small", sample=None)

    def test_an_unusable_folder_is_refused_before_anything_is_recorded(self, damaged, monkeypatch):
        monkeypatch.setattr(design, "capture", None)
        (damaged / "model.py").write_text("")
        with pytest.raises(HyperGenError, match="HG503"):
            hypergen.compile(made(), items, out=damaged)

    @pytest.mark.parametrize("stage", ["capture", "emit", "formatted", "describe_package", "verify_package", "swap_in"])
    @pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
    def test_an_interruption_changes_nothing(self, damaged, package, monkeypatch, stage, failure):
        def fail(*arguments, **options):
            raise failure

        monkeypatch.setattr(design if stage == "capture" else pipeline, stage, fail)
        with pytest.raises(failure):
            hypergen.compile(made(), items, out=damaged)
        assert [path.name for path in damaged.parent.iterdir()] == ["small"]
        assert {path.name: path.read_bytes() for path in damaged.iterdir()} == package.files

    def test_a_wrong_package_is_not_published(self, tmp_path, monkeypatch):
        emit = pipeline.emit

        def wrong(*arguments):
            files = emit(*arguments)
            return files | {"model.py": files["model.py"].replace(b"sum(1)", b"mean(1)")}

        monkeypatch.setattr(pipeline, "emit", wrong)
        with pytest.raises(HyperGenError, match="HG601: output of loss"):
            hypergen.compile(made(), items, out=tmp_path / "small")
        assert nothing_in(tmp_path)


class TestPlanning:
    def test_nothing_is_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        plan = hypergen.plan(made(), items)
        assert isinstance(plan, hypergen.Plan) and nothing_in(tmp_path)
        assert hypergen.plan(made(), items, budget="2x").bytes < plan.bytes

    def test_head_and_kept_weights_are_the_users_choice(self):
        chosen = hypergen.plan(made(), items, head="chunked", keep="*.bias")
        assert (chosen.head, chosen.asked, chosen.keep) == ("chunked", "chunked", ("*.bias",))
        assert chosen.parameters < hypergen.plan(made(), items, head="chunked").parameters
        with pytest.raises(HyperGenError, match="HG304"):
            hypergen.plan(made(), items, head="biases", keep=["*.bias", "norm.*"])
        with pytest.raises(HyperGenError, match="HG305"):
            hypergen.plan(made(), items, keep=["bias"])


class TestVerifying:
    def test_with_the_model_and_with_a_trained_one(self, package):
        model = made()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)
        model.norm.running_mean.fill_(0.5)
        assert hypergen.verify(package.path, made()).ok
        assert hypergen.verify(package.path, model).exact

    def test_another_model_is_told_apart(self, package):
        class Different(Autoencoder):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x) * 1.01

        found = hypergen.verify(package.path, Different())
        assert {check.entry for check in found.failures} == {"loss", "forward"}
        assert not hypergen.verify(package.path, Autoencoder(width=7)).ok

    def test_a_package_made_in_python_is_only_run(self, package):
        found = hypergen.verify(package.path)
        assert found.ok and not found.exact and {check.what for check in found.checks} == {"run"}
        assert any(
            "not compared with the model: the package was compiled from an object" in note for note in found.notes
        )

    def test_an_edit_that_changes_nothing_is_noted(self, damaged):
        text = (damaged / "model.py").read_text()
        (damaged / "model.py").write_text(text + "\n# mine\n")
        found = hypergen.verify(damaged, made())
        assert found.exact and found.notes[0] == "model.py was edited since it was published"

    def test_an_edit_that_changes_results_fails(self, damaged):
        text = (damaged / "model.py").read_text()
        (damaged / "model.py").write_text(text.replace("torch.randn(n, 6", "2 * torch.randn(n, 6"))
        assert {check.entry for check in hypergen.verify(damaged, made()).failures} == {"sample"}

    def test_a_missing_file_and_a_folder_that_is_no_package(self, damaged, tmp_path):
        (damaged / "weights.py").unlink()
        with pytest.raises(HyperGenError, match="HG602"):
            hypergen.verify(damaged, made())
        with pytest.raises(HyperGenError, match="HG504"):
            hypergen.verify(tmp_path)


class TestImporting:
    def test_the_package_is_imported_without_torch(self):
        script = "import sys, hypergen_compiler; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(hypergen.__file__).parents[1])

    def test_a_function_is_not_hidden_by_the_modules_of_its_name(self):
        importlib.import_module("hypergen_compiler.plan")
        assert callable(hypergen.plan) and callable(hypergen.verify)
        for name in hypergen.__all__:
            assert getattr(hypergen, name) is not None
        with pytest.raises(AttributeError):
            _ = hypergen.nothing
