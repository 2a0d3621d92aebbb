from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.capture.entry import batches, entry_points, place
from hypergen_compiler.errors import HyperGenError


class Model(nn.Module):
    def loss(self, x):
        return x.mean()

    def sample(self, n):
        return torch.randn(n, 3)

    def encode(self, x):
        return x

    def forward(self, x):
        return x + 1


def test_a_tensor_gives_batches_of_any_size_that_begin_with_its_own_rows():
    given = torch.arange(12.0).view(3, 4)
    batch = batches(given)
    (smaller,), (larger,) = batch(2), batch(8)
    assert torch.equal(smaller, given[:2])
    assert torch.equal(larger[:3], given)
    assert larger.shape == (8, 4)
    assert len(larger.unique(dim=0)) == 8, "rows must differ, or a mix-up of rows would go unseen"
    assert set(larger.flatten().tolist()) <= set(given.flatten().tolist())


def test_batches_are_the_same_each_time_and_no_views_of_the_example():
    given = torch.rand(2, 5)
    batch = batches(given)
    assert torch.equal(batch(7)[0], batch(7)[0])
    batch(2)[0].zero_()
    assert given.any()


def test_a_vector_of_labels_is_repeated():
    assert torch.equal(batches(torch.tensor([4, 9]))(5)[0], torch.tensor([4, 9, 4, 9, 4]))


def test_tensors_that_share_the_first_dimension_grow_together_and_the_rest_stays():
    table = torch.rand(6, 2)
    images, labels, other, scalar, number = batches(
        (torch.rand(3, 1, 2, 2), torch.arange(3), table, torch.tensor(1.0), 5)
    )(4)
    assert images.shape == (4, 1, 2, 2)
    assert labels.shape == (4,)
    assert other is table
    assert scalar.shape == ()
    assert number == 5


@pytest.mark.parametrize(
    "give", [lambda n: torch.ones(n, 2), lambda n: (torch.ones(n, 2),), lambda n: [torch.ones(n, 2)]]
)
def test_a_function_may_return_a_tensor_a_tuple_or_a_list(give):
    (tensor,) = batches(give)(6)
    assert tensor.shape == (6, 2)


def test_a_function_with_a_second_size_takes_it_and_has_a_usual_one():
    def tokens(n, length=16):
        return torch.zeros(n, length, dtype=torch.int64)

    (point,) = entry_points(Model(), tokens, loss="loss", sample=None)
    assert point.usual_size == 16
    assert point.example(3)[0].shape == (3, 16)
    assert point.example(3, 9)[0].shape == (3, 9)


def test_a_second_parameter_that_is_no_number_is_no_size():
    (point,) = entry_points(Model(), lambda n, kind="x": torch.zeros(n, 2), loss="loss", sample=None)
    assert point.usual_size is None


@pytest.mark.parametrize("example", ["1x28x28", {"x": 1}, lambda n: "text"])
def test_an_example_that_is_no_tensor_is_refused(example):
    with pytest.raises(HyperGenError) as caught:
        batches(example)(2)
    assert caught.value.code == "HG104"


def test_loss_and_sampler_come_first_and_the_sampler_takes_a_number():
    points = entry_points(Model(), torch.rand(2, 3), entries=["encode", "forward"])
    assert [point.name for point in points] == ["loss", "sample", "encode", "forward"]
    assert points[1].example(4) == (4,)
    assert [point.method for point in points] == ["loss", "sample", "encode", "forward"]


def test_a_callable_is_called_loss_or_sample_and_gets_the_model():
    model = Model()
    loss, sample = entry_points(model, torch.rand(2, 3), loss=lambda m, x: (m, x), sample=lambda m, n: (m, n))
    assert (loss.name, sample.name) == ("loss", "sample")
    assert (loss.method, sample.method) == (None, None)
    assert loss.call(model, 1) == (model, 1)


def test_forward_runs_through_the_module_so_that_hooks_run():
    model = Model()
    model.register_forward_hook(lambda module, inputs, output: output * 2)
    (point,) = entry_points(model, torch.rand(2, 3), loss=None, sample=None, entries="forward")
    assert torch.equal(point.call(model, torch.ones(1)), torch.full((1,), 4.0))


def test_a_mapping_names_methods_functions_and_examples_of_their_own():
    entries = {"embed": "encode", "twice": lambda m, x: 2 * x, "decode": ("encode", torch.rand(2, 9))}
    embed, twice, decode = entry_points(Model(), torch.rand(2, 3), loss=None, sample=None, entries=entries)
    assert (embed.name, embed.method) == ("embed", "encode")
    assert twice.method is None
    assert decode.example(5)[0].shape == (5, 9)


def test_an_entry_point_that_is_the_loss_already_is_recorded_once():
    points = entry_points(Model(), torch.rand(2, 3), sample=None, entries=["loss", "encode"])
    assert [point.name for point in points] == ["loss", "encode"]


def test_a_missing_method_is_refused_at_the_class_with_what_there_is():
    with pytest.raises(HyperGenError) as caught:
        entry_points(Model(), torch.rand(2, 3), loss="elbo", sample=None)
    assert caught.value.code == "HG201"
    assert caught.value.where == place(Model)
    assert "encode" in caught.value.remedy
    assert "loss" in caught.value.remedy


@pytest.mark.parametrize("name", ["class", "2nd", "two words", "Weights", "training", "torch", "n"])
def test_a_name_that_no_function_can_have_is_refused(name):
    with pytest.raises(HyperGenError) as caught:
        entry_points(Model(), torch.rand(2, 3), loss=None, sample=None, entries={name: "encode"})
    assert caught.value.code == "HG211"
    assert repr(name) in caught.value.what


def test_two_entry_points_of_one_name_are_refused():
    with pytest.raises(HyperGenError) as caught:
        entry_points(Model(), torch.rand(2, 3), loss=lambda m, x: x.mean(), sample=None, entries={"loss": "encode"})
    assert caught.value.code == "HG211"


def test_places_are_file_and_line_without_the_folder():
    def here(x: Tensor) -> Tensor:
        return x

    assert place(here) == f"test_entry.py:{here.__code__.co_firstlineno}"
    assert place(Model).startswith("test_entry.py:")
    assert place(math.sin) is None
