"""One entry point in one mode: three runs on copies of the model, merged into one tape."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import nn

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.fake import faking, needs_faking
from hypergen_compiler.capture.leftovers import Held, check_leftovers, check_repeated
from hypergen_compiler.capture.merge import merge_batches, merge_outputs, merge_sizes
from hypergen_compiler.capture.outputs import describe
from hypergen_compiler.capture.prepare import RUN_SEED, clear_caches, fresh_copy, restored, seeded
from hypergen_compiler.capture.randomness import check_randomness, outside_state
from hypergen_compiler.capture.rebound import keep_written_constants, rebind
from hypergen_compiler.capture.recorder import Recorder, run
from hypergen_compiler.capture.tape import Ref, Tape, tensors
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.where import blame

__all__ = ["batch_sizes", "record_mode", "tensor_names"]

CANDIDATE_SIZES = (11, 5, 14, 7, 13, 17, 19, 23, 29, 31, 37)


def batch_sizes(model: nn.Module) -> tuple[int, ...]:
    """Three batch sizes that no dimension of a parameter or buffer has, so that none is mistaken for the other.

    Odd ones and an even one, where there is one: what a model does may depend on that.
    """
    taken = {size for tensor in (*model.parameters(), *model.buffers()) for size in tensor.shape}
    free = [size for size in CANDIDATE_SIZES if size not in taken]
    return tuple((*free, *CANDIDATE_SIZES)[:3])


def record_mode(model: nn.Module, point: EntryPoint, sizes: Sequence[int], *, training: bool) -> Tape:
    """The merged tape of an entry point in training or in evaluation mode.

    Raises HG202 where it fails on the example, HG203 where it runs at one batch size only.
    """
    tapes = []
    for size in sizes:
        known = len(sys.modules)
        try:
            tape = record_run(model, point, (size,), training, scopes=not tapes)
            if len(sys.modules) > known:  # what was imported only now may have made calls of its own
                tape = record_run(model, point, (size,), training, scopes=not tapes)
            tapes.append(tape)
        except HyperGenError:
            raise
        except Exception as error:
            raise failure(point, error, size, sizes, training) from error
    merged = merge_batches(tapes, sizes, point.name)
    merged.out = merge_outputs(tapes, sizes, point.name, point.origin)
    if point.usual_size is not None:
        merged.free_size = follow_size(model, point, sizes, merged, training)
    return merged


def follow_size(model: nn.Module, point: EntryPoint, sizes: Sequence[int], merged: Tape, training: bool) -> int | None:
    """Records at other sequence lengths or picture sides; one of them where the numbers of all runs follow it.

    A picture's side must often be a multiple of some power of two, and a sequence no longer than the example.
    """
    usual = point.usual_size
    for tried in ((usual * 2, usual * 3), (usual // 2, usual - 1, usual - 3), (usual // 2, usual * 2)):
        points = [(size, other) for size, other in zip(sizes * 2, tried, strict=False) if other > 0]
        try:
            others = [record_run(model, point, place, training, scopes=False) for place in points]
        except HyperGenError:
            raise
        except Exception:
            continue
        if merge_sizes(merged, others, [(sizes[0], usual), *points]):
            return points[0][1]
    return None


def record_run(model: nn.Module, point: EntryPoint, sizes: tuple[int, ...], training: bool, *, scopes: bool) -> Tape:
    """One run on a copy of the model, or on the model itself where the entry point holds on to it.

    `sizes` are what the example is made for: the batch, and perhaps a second size.
    """
    clear_caches()
    if needs_faking(model):
        with faking(model) as fake:
            return record_on(fake, point, sizes, training, scopes=scopes, fake=True)
    copy = fresh_copy(model)
    if copy is model:
        with restored(model):
            return record_on(model, point, sizes, training, scopes=scopes)
    tape = record_on(copy, point, sizes, training, scopes=scopes)
    own = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    if own & tape.constant_ids:
        with restored(model):
            return record_on(model, point, sizes, training, scopes=scopes)
    return tape


def record_on(
    model: nn.Module, point: EntryPoint, sizes: tuple[int, ...], training: bool, *, scopes: bool, fake: bool = False
) -> Tape:
    with seeded():
        inputs = point.example(*sizes)
    model.train(training)
    before, held = tensor_names(model), Held(model)
    recorder = Recorder(model, tensors(inputs), scopes=scopes, fake=fake)
    with seeded(RUN_SEED):
        start = outside_state(model)
        output = run(recorder, point.call, model, inputs)
        check_randomness(model, point, inputs, recorder, start)
    tape = recorder.tape
    check_leftovers(held, recorder, point)
    if scopes and not fake:
        check_repeated(held, recorder, point, lambda: record_on(model, point, sizes, training, scopes=False))
    tape.out = describe(output, lambda tensor: made_by_call(recorder, tensor, point), point.name, point.origin)
    made = tensors(output)
    tape.differentiable = bool(made) and made[0].requires_grad and (fake or not scopes or has_gradient(made[0], model))
    replaced = {name: tensor for name, tensor in model.named_buffers() if before.get(name) != id(tensor)}
    values = {Ref("buffer", name): recorder.seen.refs.get(id(tensor)) for name, tensor in replaced.items()}
    rebind(tape, {buffer: value for buffer, value in values.items() if value is not None})
    keep_written_constants(tape)
    return tape


def tensor_names(model: nn.Module) -> dict[str, int]:
    """Every parameter and buffer by name, with its identity."""
    return {name: id(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def has_gradient(tensor: torch.Tensor, model: nn.Module) -> bool:
    """Whether autograd can go back through what was computed: not where a write changed what it needs for that."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        torch.autograd.grad(tensor.abs().sum(), trained, allow_unused=True)
    except RuntimeError:
        return False
    return True


def made_by_call(recorder: Recorder, tensor: torch.Tensor, point: EntryPoint) -> Ref:
    ref = recorder.seen.refs.get(id(tensor))
    if ref is None:
        raise HyperGenError(
            "HG206",
            f"{point.name} returns a tensor that no recorded call made",
            where=point.origin,
            remedy="Compute outputs with torch functions; numpy and compiled extensions are not seen.",
        )
    return ref


def failure(point: EntryPoint, error: Exception, size: int, sizes: Sequence[int], training: bool) -> HyperGenError:
    where = blame(error) or point.origin
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if size == sizes[0]:
        mode = "training" if training else "evaluation"
        return HyperGenError(
            "HG202",
            f"{point.name} fails on the example (a batch of {size}, in {mode} mode): {text}",
            where=where,
            remedy="Check the example's shape and type against what the method takes.",
        )
    return HyperGenError(
        "HG203",
        f"{point.name} runs for a batch of {sizes[0]} but not for one of {size}: {text}",
        where=where,
        remedy="Take the batch size from the input (`x.shape[0]`, or -1 in a view) instead of writing it down.",
    )
