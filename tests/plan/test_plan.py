"""The plan: ranks from budgets, encoders from inputs, and refusals."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch
import torch.fx

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.inspection.plan_rows import plan_rows
from hypergen_compiler.layout import ParameterLayout, Slot
from hypergen_compiler.plan import BYTES, HEADS, Plan, plan
from hypergen_compiler.program import Affine, Entry, Input, Program

N = Affine(1)
IMAGE = Input("x", (N, 1, 28, 28), torch.float32)


def program(*inputs: Input, loss: str | None = "loss") -> Program:
    entry = Entry("loss", "model.py:7", inputs, torch.fx.Graph(), None, ((),))
    return Program("vae", "VAE", "model.VAE()", (entry,), (), (), loss=loss)


def layout(size: int, trained: int | None = None) -> ParameterLayout:
    return ParameterLayout((Slot("weight", (size,), 0),), trained or size, trained or size, size)


def words(found: Plan) -> dict[str, str]:
    return dict(plan_rows(asdict(found)))


def choose(budget: str | int | None, size: int = 1000) -> Plan:
    return plan(program(IMAGE), layout(size), budget)


def refusal(budget: str | int, size: int = 1000) -> HyperGenError:
    with pytest.raises(HyperGenError) as error:
        choose(budget, size)
    return error.value


@pytest.mark.parametrize(
    ("budget", "rank"),
    [
        ("2x", 1),
        ("9x", 8),
        ("9.9X", 8),
        ("33x", 32),
        ("1000x", 32),
        (17 * 16_000, 16),
        (17 * 16_000 - 1, 15),
        ("272000", 16),
        ("272kB", 16),
        (" 0.16 MB ", 9),
        ("1GiB", 32),
    ],
)
def test_rank_is_what_the_budget_holds(budget, rank):
    assert choose(budget).rank == rank


def test_without_a_budget_the_rank_is_16_and_falls_for_huge_models():
    assert choose(None).rank == 16
    assert choose(None, 4 * 2**30 // BYTES // 5).rank == 4
    assert choose(None, 2**40).head == "chunked"


@pytest.mark.parametrize(
    ("budget", "head"),
    [("5x", "low-rank"), ("4.99x", "chunked"), ("1.5x", "chunked"), ("1x", "chunked-alone"), ("0.1x", "chunked-alone")],
)
def test_small_budgets_ask_for_chunks_and_then_for_no_base(budget, head):
    chosen = choose(budget, 1_000_000)
    assert chosen.head == head
    assert chosen.bytes - 16 * 128 * chosen.rank <= float(budget[:-1]) * 16_000_000


def test_parameters_of_every_head():
    matrices = (Slot("a", (20, 32), 0, gain=1), Slot("b", (20, 4, 8), 640), Slot("c", (16,), 1280), Slot("d", (), 1296))
    sizes = ParameterLayout(matrices, 1312, 1312, 1312)
    encoder, rank = 128 * 16, 16
    expected = {
        "dense": 1312 + 128 * 1312,
        "low-rank": 1312 + rank * 1312 + encoder,
        "factors": 1312 + rank * (2 * (20 + 32) + 32) + encoder,
        "biases": 1312 + rank * 32 + encoder,
        "gains": 1312 + rank * (32 + 32) + encoder,
        "chunked": 1312 + 82 * 16 + 64 * (16 + rank + 16) + encoder,
        "chunked-alone": 82 * 16 + 64 * (16 + rank + 16) + encoder,
        "base": 1312,
    }
    found = {head: plan(program(IMAGE), sizes, head=head).parameters for head in HEADS}
    assert found == expected


@pytest.mark.parametrize("head", ["low-rank", "factors", "biases", "gains"])
def test_a_given_head_is_as_large_as_the_budget_allows(head):
    sizes = ParameterLayout((Slot("a", (10, 16), 0, gain=0), Slot("b", (16,), 160)), 176, 176, 176)
    limit = 16 * (176 + 5 * {"low-rank": 176, "factors": 42, "biases": 16, "gains": 26}[head])
    assert plan(program(IMAGE), sizes, limit, head).rank == 5
    assert plan(program(IMAGE), sizes, limit - 1, head).rank == 4


def test_without_anything_to_condition_there_is_only_a_base():
    sizes = ParameterLayout((Slot("a", (16,), 0, conditioned=False),), 0, 16, 16)
    assert plan(program(IMAGE), sizes).head == "base"


@pytest.mark.parametrize(
    ("head", "shape"), [("biases", (4, 4)), ("gains", (4, 4)), ("factors", (16,)), ("wide", (16,))]
)
def test_a_head_that_cannot_be_had_is_refused(head, shape):
    with pytest.raises(HyperGenError) as error:
        plan(program(IMAGE), ParameterLayout((Slot("a", shape, 0),), 16, 16, 16), head=head)
    assert error.value.code == "HG304"


def test_only_trained_elements_cost():
    whole = plan(program(IMAGE), layout(1000), "9x")
    part = plan(program(IMAGE), layout(1000, trained=500), 9 * 16_000)
    assert (whole.rank, part.rank) == (8, 17)
    assert part.parameters < plan(program(IMAGE), layout(1000), "18x").parameters


def test_predicted_bytes_are_those_of_value_gradient_and_moments():
    chosen = choose("9x")
    assert chosen.bytes == 16 * chosen.parameters
    embedding = 2 * 64 * 8
    assert chosen.parameters == 1000 * 9 + embedding


@pytest.mark.parametrize("budget", ["1.9x", 31_999, "1 kB", "0"])
def test_too_small_a_budget_names_the_smallest_that_works(budget):
    error = refusal(budget)
    assert error.code == "HG303"
    assert "32,000 bytes" in error.remedy
    assert choose(32_000).rank == 1


@pytest.mark.parametrize("budget", ["much", "-5", "", "64 M B", "2xx", "1e9", True, -3])
def test_what_is_no_size_is_refused(budget):
    assert refusal(budget).code == "HG105"


@pytest.mark.parametrize(
    ("value", "kind", "rows"),
    [
        (Input("x", (N, 3, 4, 4), torch.float32), "image", 48),
        (Input("x", (N, 1, 28, 2), torch.uint8, 0, 255), "image", 56),
        (Input("x", (N, 3, 256, 20), torch.float32), "image", 3 * 32 * 20),
        (Input("x", (N, 784), torch.float32), "vector", 784),
        (Input("x", (N, 5, 7), torch.float64), "vector", 35),
        (Input("x", (N,), torch.float32), "vector", 1),
        (Input("x", (N, 6), torch.bool), "vector", 6),
        (Input("x", (N, 16), torch.int64, 0, 9), "tokens", 10),
        (Input("x", (N, 16), torch.int64, 0, 9, vocabulary=27), "tokens", 27),
        (Input("x", (N,), torch.int64, 0, 9), "label", 10),
    ],
)
def test_encoder_suits_the_input(value, kind, rows):
    (part,) = plan(program(value), layout(100), None).encoder
    assert (part.kind, part.rows, part.shape) == (kind, rows, value.shape[1:])


def test_several_inputs_have_a_part_each_and_fixed_values_none():
    inputs = IMAGE, Input("beta", None, value=0.5), Input("labels", (N,), torch.int64, 0, 9)
    chosen = plan(program(*inputs), layout(100), None)
    assert [(part.name, part.kind) for part in chosen.encoder] == [("x", "image"), ("labels", "label")]


@pytest.mark.parametrize(
    "inputs",
    [
        (IMAGE, Input("table", (5, 3), torch.float32)),
        (Input("x", (12, N), torch.float32),),
        (Input("x", (N, N), torch.float32),),
        (Input("n", None),),
    ],
)
def test_a_dataset_has_a_row_per_item(inputs):
    with pytest.raises(HyperGenError) as error:
        plan(program(*inputs), layout(100), None)
    assert error.value.code == "HG104"
    assert error.value.where == "model.py:7"
    without_loss = plan(program(*inputs, loss=None), layout(100), None)
    assert len(without_loss.encoder) == (inputs[0] is IMAGE)


def test_rows_for_people():
    rows = words(choose("9x"))
    assert rows["head"] == "low-rank with a learned base, rank 8"
    assert rows["reads"] == "x: image 1 x 28 x 28"
    assert rows["budget"] == "9x"


MATRIX = ParameterLayout((Slot("a", (4, 4), 0, gain=1), Slot("b", (4,), 16)), 32, 32, 32)


def test_without_a_budget_the_rank_is_the_largest_up_to_16_within_4_gib():
    most = 4 * 2**30 // (BYTES * 17)
    assert [choose(None, most + extra).rank for extra in (0, 1)] == [16, 15]


def test_a_chunk_is_a_multiple_of_16_near_the_root():
    found = {size: plan(program(IMAGE), layout(size), head="chunked").chunk for size in (1, 1000, 10_000, 1_000_000)}
    assert found == {1: 16, 1000: 16, 10_000: 48, 1_000_000: 496}


@pytest.mark.parametrize(("rows", "rank"), [(1, 5), (4, 20), (5, 16)])
def test_a_statistical_model_reads_moments_of_few_numbers(rows, rank):
    found = plan(program(Input("x", (N, rows), torch.float32)), layout(99))
    assert (found.rank, found.reads_moments, found.learned_encoder) == (rank, rows < 5, rows == 5)
    assert found.parameters == 99 + rank * 99 + (0 if rows < 5 else 128 * 16) and found.bytes == 16 * found.parameters


def test_tokens_have_no_moments():
    tokens = Input("t", (N, 2), torch.int64, 0, 9)
    assert not plan(program(tokens), layout(99)).reads_moments
    assert not plan(program(Input("x", (N, 2), torch.float32), tokens), layout(99)).reads_moments


@pytest.mark.parametrize(("head", "moments"), [("dense", True), ("biases", True), ("chunked", False), ("base", False)])
def test_only_heads_of_one_matrix_read_moments(head, moments):
    found = plan(program(Input("x", (N, 2), torch.float32)), layout(99), head=head)
    assert found.reads_moments == moments
    expected = {"dense": 99 * 11, "biases": 99 + 10 * 112}  # slots on boundaries of 16
    assert found.parameters == expected.get(head, found.parameters)


@pytest.mark.parametrize(
    ("slots", "statistical"),
    [
        ((Slot("a", (99,), 0),), True),
        ((Slot("a", (100,), 0),), False),
        ((Slot("a", (50,), 0), Slot("b", (49,), 64)), True),
        ((Slot("a", (50,), 0), Slot("b", (50,), 64)), False),
        ((Slot("a", (2, 2), 0),), False),
        ((Slot("a", (2,), 0), Slot("b", (200, 2), 16, trained=False, conditioned=False)), True),
    ],
)
def test_few_weights_without_a_matrix_are_statistical(slots, statistical):
    found = plan(program(IMAGE), ParameterLayout(slots, 112, 112, 512), head="low-rank")
    assert found.statistical == statistical and found.space == ("weights" if statistical else "embedding")


def test_a_plan_without_a_head_compares_embeddings():
    found = plan(program(IMAGE), layout(10), head="base")
    assert (found.statistical, found.space, found.penalty) == (True, "embedding", "unbiased")


@pytest.mark.parametrize(
    ("head", "penalty", "space", "what"),
    [
        ("dense", "magic", None, "there is no penalty 'magic'"),
        ("dense", None, "images", "a penalty compares no 'images'"),
        ("base", None, "weights", "with the head 'base' the weights are the same for every dataset"),
        (
            "gains",
            None,
            "weights",
            "with the head 'gains' the weights are never made for each dataset, only their gains",
        ),
    ],
)
def test_a_penalty_that_cannot_be_had(head, penalty, space, what):
    with pytest.raises(HyperGenError) as error:
        plan(program(IMAGE), MATRIX, None, head, (), penalty, space)
    assert (error.value.code, error.value.what) == ("HG306", what)


@pytest.mark.parametrize("head", ["dense", "biases", "low-rank", "chunked"])
def test_a_penalty_that_was_asked_for(head):
    found = plan(program(IMAGE), MATRIX, None, head, ("b*",), "mean", "weights")
    assert (found.penalty, found.space, found.keep, found.asked) == ("mean", "weights", ("b*",), head)


def rows(**options):
    return words(plan(program(IMAGE), MATRIX, **options))


def test_rows_for_people_of_other_heads():
    assert rows(head="base")["head"] == "none, a learned base"
    assert rows(head="chunked")["head"] == "chunked with a learned base, chunks of 16"
    assert rows(head="chunked-alone")["head"] == "chunked-alone without a base, chunks of 16"
    assert rows(penalty="none")["penalty"] == "none" and rows()["penalty"] == "unbiased, of embedding"
    assert rows()["budget"] == "none given" and rows()["parameters"] == "2,592"
    assert rows()["memory in training"] == "0.0 MB for values, gradients and moments"
    scalars = Input("t", (N,), torch.float32), Input("k", (N, 2, 3), torch.float32)
    assert words(plan(program(*scalars), MATRIX))["reads"] == "t: vector per item; k: vector 2 x 3"
    without = plan(program(Input("n", None), loss=None), MATRIX)
    assert words(without)["reads"] == "nothing: no tensor goes in"


def test_rows_for_people_tell_how_datasets_go_through_the_model_and_what_is_alike():
    apart = plan(program(IMAGE), MATRIX, keep=("b*",))
    assert words(apart)["datasets of a step"] == "in a pass each"
    assert words(replace(apart, apart=True))["datasets of a step"] == "in a pass each: in one they did not agree"
    assert words(replace(apart, together=True))["datasets of a step"] == "in one pass of the model"
    assert words(replace(apart, spared=("a",)))["the same for all datasets"] == "b*, a"
    assert "the same for all datasets" not in words(plan(program(IMAGE), MATRIX))


def test_a_layout_counts_gains_and_room():
    first, second = MATRIX.slots
    assert (first.channels, second.channels, MATRIX.gains, MATRIX.weights) == (4, 0, 4, 20)
    assert [MATRIX.room(Slot("s", (size,), 0)) for size in (0, 1, 16, 17)] == [0, 16, 16, 32]
