"""The emitted penalties against references written by hand, in float64, and what is emitted for each choice."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.files import emit
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import PENALTIES, SPACES, SYNTHETIC, plan


class Line(nn.Module):
    """A Gaussian over pairs, with more weights than a statistical model; all in float64."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 40), nn.Linear(40, 2)
        self.double()

    def loss(self, x: Tensor) -> Tensor:
        return (x - self.second(self.first(x).tanh())).square().mean()

    def sample(self, n: int) -> Tensor:
        return self.second(torch.randn(n, 40, dtype=torch.float64).tanh())


class Spread(nn.Module):
    """A statistical model: a mean and a variance."""

    def __init__(self):
        super().__init__()
        self.mean, self.variance = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0))
        self.double()

    def loss(self, x: Tensor) -> Tensor:
        return ((x - self.mean).square() / self.variance.square() + torch.log(self.variance.square())).mean()

    def sample(self, n: int) -> Tensor:
        return torch.randn(n, dtype=torch.float64) * self.variance + self.mean


MODELS = {"line": (Line, (2,)), "spread": (Spread, ())}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A function that emits and imports a package for a model, a penalty, a space and a head."""
    folder = tmp_path_factory.mktemp("penalties")
    sys.path.insert(0, str(folder))

    def package(model: str, penalty: str, space: str, head: str = "low-rank") -> str:
        name = f"{model}_{penalty}_{space}_{head}".replace("-", "_")
        if not (folder / name).exists():
            make, shape = MODELS[model]
            torch.manual_seed(0)
            example = lambda n: (torch.randn(n, *shape, dtype=torch.float64),)  # noqa: E731
            points = entry_points(make(), example, loss="loss", sample="sample")
            program = capture(make(), points, name=name, source=f"{make.__name__}()", loss="loss", sample="sample")
            layout = lay_out(program)
            (folder / name).mkdir()
            for path, content in emit(program, layout, plan(program, layout, None, head, (), penalty, space)).items():
                (folder / name / path).write_bytes(content)
        return name

    yield package
    sys.path.remove(str(folder))


def module(name: str, part: str):
    return importlib.import_module(f"{name}.{part}")


def reference(penalty: str, real: Tensor, synthetic: Tensor, unit: Tensor, multiplier: Tensor) -> Tensor:
    """Written out pair by pair, for one real dataset: real [d], synthetic [k, d]."""
    residual = [(estimate - real.detach()) / unit for estimate in synthetic]
    if penalty == "literal":
        return residual[0] @ residual[0]
    mean = sum(residual) / len(residual)
    if penalty == "mean":
        return mean @ mean
    pairs = [(i, j) for i in range(len(residual)) for j in range(len(residual)) if i != j]
    unbiased = sum(residual[i] @ residual[j] for i, j in pairs) / len(pairs)
    return unbiased + (multiplier @ mean if penalty == "lagrangian" else 0)


def arguments(penalty: str, d: int, multiplier: Tensor) -> tuple[Tensor, ...]:
    return (multiplier,) if penalty == "lagrangian" else ()


@pytest.mark.parametrize("penalty", SYNTHETIC)
@pytest.mark.parametrize("space", SPACES)
def test_a_penalty_is_its_equation(packages, penalty, space):
    found = module(packages("line", penalty, space), "objective").autophagy_penalty
    torch.manual_seed(1)
    real, synthetic = torch.randn(3, 5).double(), torch.randn(3, SYNTHETIC[penalty], 5).double().requires_grad_()
    unit, multiplier = torch.rand(5).double() + 0.5, torch.randn(5).double()
    more = arguments(penalty, 5, multiplier)
    expected = torch.stack([reference(penalty, r, s, unit, multiplier) for r, s in zip(real, synthetic, strict=True)])
    torch.testing.assert_close(found(real, synthetic, unit, *more) * (5 if space == "embedding" else 1), expected)
    assert torch.autograd.gradcheck(lambda s: found(real, s, unit, *more), (synthetic,))


def test_the_real_dataset_is_a_target(packages):
    for penalty in SYNTHETIC:
        found = module(packages("line", penalty, "weights"), "objective").autophagy_penalty
        real = torch.randn(2, 5).requires_grad_()
        synthetic = torch.randn(2, SYNTHETIC[penalty], 5).requires_grad_()
        found(real, synthetic, torch.ones(5), *arguments(penalty, 5, torch.ones(5))).sum().backward()
        assert real.grad is None and synthetic.grad.any()


@pytest.mark.parametrize("penalty", SYNTHETIC)
@pytest.mark.parametrize("head", ["low-rank", "factors", "chunked", "dense"])
def test_what_is_computed_through_emission_is_the_direct_form(packages, penalty, head):
    """Values and gradients of every parameter, against estimates that are emitted one by one."""
    name = packages("line", penalty, "weights", head)
    weights, objective = module(name, "weights"), module(name, "objective")
    torch.manual_seed(2)
    hypernetwork, state = module(name, "hypernetwork").Hypernetwork(), weights.State()
    with torch.no_grad():
        for parameter in hypernetwork.groups()[1]:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        if penalty == "lagrangian":
            hypernetwork.multiplier.normal_()
    multiplier = hypernetwork.multiplier.clone() if penalty == "lagrangian" else torch.zeros(weights.SIZE)
    datasets = [torch.randn(6, 2, dtype=torch.float64) for _ in range(3)]

    torch.manual_seed(3)
    found = objective.objective(hypernetwork, state, *datasets, strength=1.0).penalty
    parameters = [p for p in hypernetwork.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(found, parameters, allow_unused=True)

    torch.manual_seed(3)
    expected = torch.zeros(())
    for dataset in datasets:
        real = hypernetwork(dataset)
        with torch.no_grad():
            samples = module(name, "model").sample(weights.unpack(real), state, 6 * SYNTHETIC[penalty])
        estimates = torch.stack([hypernetwork(part) for part in samples.chunk(SYNTHETIC[penalty])])
        own = reference(penalty, real, estimates, units(weights, hypernetwork), multiplier.double())
        expected = expected + own / len(datasets)
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-8)
    for one, other in zip(gradients, torch.autograd.grad(expected, parameters, allow_unused=True), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def units(weights, hypernetwork) -> Tensor:
    unit = torch.full((weights.SIZE,), torch.inf, dtype=torch.float64)
    for _, shape, offset in weights.LAYOUT:
        size = torch.Size(shape).numel()
        place = slice(offset, offset + size)
        unit[place] = hypernetwork.scale[place] * (size * len(weights.LAYOUT)) ** 0.5
    return unit


def test_scalars_of_one_sign_are_in_units_of_themselves(packages):
    find = module(packages("spread", "unbiased", "weights"), "objective").scalar_units
    values = torch.tensor([[-1.0, 2.0], [1.0, 4.0], [1e-9, 1e-9]], requires_grad=True)
    usual = torch.tensor([[0.0, 1.0], [1.0, 9.0]])
    found = find(values, usual)
    assert not found.requires_grad
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0], [1.0, 4.0], [1.0, 0.15]]))


def test_embeddings_are_in_one_unit_however_little_a_coordinate_varies(packages):
    """In units of its own, a coordinate in which datasets are alike would outweigh all others."""
    name = packages("line", "unbiased", "embedding")
    objective, state = module(name, "objective").objective, module(name, "weights").State()
    torch.manual_seed(3)
    hypernetwork = module(name, "hypernetwork").Hypernetwork()
    with torch.no_grad():
        hypernetwork.encoder.out.weight[0] *= 1e-3
    datasets = [torch.randn(6, 2, dtype=torch.float64) + shift for shift in (-1.0, 0.0, 1.0)]
    embeddings = torch.stack([hypernetwork.embed(dataset) for dataset in datasets]).detach()
    first = objective(hypernetwork, state, *datasets, strength=1.0).penalty
    usual = embeddings.float().var(0).mean().sqrt()
    assert hypernetwork.embedding_spread.item() == pytest.approx(0.95 + 0.05 * usual.item(), rel=1e-5)
    assert first.isfinite()


def test_the_multiplier_grows_by_the_mean_residual(packages):
    found = module(packages("spread", "lagrangian", "weights"), "objective")
    multiplier, real = torch.zeros(2), torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    synthetic = real.unsqueeze(1) + torch.tensor([[[1.0, 0.0], [3.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    found.raise_multiplier(multiplier, real, synthetic, torch.full((2, 2), 2.0))
    torch.testing.assert_close(multiplier, found.ASCENT * torch.tensor([0.5, 0.25]))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_only_the_chosen_penalty_is_emitted(packages, penalty):
    text = Path(module(packages("line", penalty, "embedding"), "objective").__file__).read_text()
    assert ("def autophagy_penalty" in text) == (penalty != "none")
    assert ("raise_multiplier" in text) == (penalty == "lagrangian")
    assert ("model.sample" in text) == (penalty != "none")
    datasets = [torch.randn(4, 2, dtype=torch.float64) for _ in range(2)]
    name = packages("line", penalty, "embedding")
    hypernetwork = module(name, "hypernetwork").Hypernetwork()
    terms = module(name, "objective").objective(hypernetwork, module(name, "weights").State(), *datasets)
    assert (terms.penalty != 0) == (penalty != "none")


@pytest.mark.parametrize("every", [1, 3])
def test_a_seldom_penalty_counts_more(packages, every):
    name = packages("line", "unbiased", "embedding")
    training, data = module(name, "training"), module(name, "data")
    settings = training.Settings(steps=8, batch=4, episodes=2, strength=1.0, penalty_every=every)
    run = training.Trainer(data.Data((torch.randn(20, 2, dtype=torch.float64),)), settings)
    run.step, strengths = 6, []
    run.hypernetwork.encoder.calibrate([torch.randn(4, 2, dtype=torch.float64) for _ in range(32)])
    run.replicated = lambda *given, strength: strengths.append(strength) or run.step_module(*given, strength=strength)
    run.advance()
    run.advance()
    assert strengths == ([1.0, 1.0] if every == 1 else [3.0, 0.0])


def planned(model: str, **options):
    make, shape = MODELS[model]
    example = lambda n: (torch.randn(n, *shape, dtype=torch.float64),)  # noqa: E731
    points = entry_points(make(), example, loss="loss", sample="sample")
    program = capture(make(), points, name="p", source="p", loss="loss", sample="sample")
    return plan(program, lay_out(program), **options)


def test_few_weights_are_compared_themselves_and_networks_by_embeddings():
    found, other = planned("spread"), planned("line")
    assert (found.penalty, found.space, found.statistical, found.encoder[0].kind) == (
        "unbiased",
        "weights",
        True,
        "moments",
    )
    assert (other.penalty, other.space, other.statistical, other.encoder[0].kind) == (
        "unbiased",
        "embedding",
        False,
        "vector",
    )


@pytest.mark.parametrize("options", [{"penalty": "biased"}, {"space": "loss"}, {"space": "weights", "head": "base"}])
def test_what_cannot_be_chosen_is_refused(options):
    with pytest.raises(HyperGenError) as caught:
        planned("line", **options)
    assert caught.value.code == "HG306"
