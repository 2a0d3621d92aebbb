"""What a run leaves in the model, where the package has no place for it: the next call would compute something else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.recorder import Recorder
from hypergen_compiler.capture.tape import Call, Ref, Tape, fill, same_values
from hypergen_compiler.errors import HyperGenError

__all__ = ["Held", "check_leftovers", "check_repeated"]


class Held:
    """What a model holds before a run, by name: registered tensors, plain ones, and numbers."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.registered = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.numbers = plain_numbers(model)
        self.plain = {
            (path, name): value
            for path, module in model.named_modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor)
        }


def check_leftovers(held: Held, recorder: Recorder, point: EntryPoint) -> None:
    """Raises HG204 for state that is kept outside of buffers, and for parameters and buffers that are replaced."""
    tape, model = recorder.tape, held.model
    for name, parameter in model.named_parameters():
        if held.registered.get(name, parameter) is not parameter:
            raise refusal(point, f"replaces the parameter {name}", "Make it a buffer and write into that.")
    for name, buffer in model.named_buffers():
        old = held.registered.get(name, buffer)
        if old.shape != buffer.shape or old.dtype != buffer.dtype:
            remedy = "Register it as large as it gets, and write into a part of it."
            raise refusal(point, f"gives the buffer {name} another shape or type", remedy)
    for (path, name), tensor in held.plain.items():
        ref = recorder.seen.refs.get(id(tensor), Ref("unread", 0))
        if ref.kind != "constant":
            continue
        written = first_write(tape, ref)
        now = getattr(model.get_submodule(path), name, tensor)
        replaced = now is not tensor and not (isinstance(now, torch.Tensor) and same_values(now, tensor))
        if written is not None or replaced:
            full = f"{path}.{name}" if path else name
            remedy = f"Make it a buffer: self.register_buffer({name!r}, ...)."
            where = written.where if written is not None else tape.constant_places[ref]
            raise refusal(point, f"changes {full}, a tensor that is no buffer, and reads it", remedy, where)


def check_repeated(held: Held, recorder: Recorder, point: EntryPoint, again: Callable[[], Tape]) -> None:
    """Raises HG204 for an entry point that does something else when it is called again, as it is by `again`.

    Weights that it multiplies by a mask stay the same then; a number that the model counts up, or weights that follow
    others, do not.
    """
    tape, model = recorder.tape, held.model
    refs = {name: recorder.seen.refs.get(id(parameter)) for name, parameter in model.named_parameters()}
    writes = {name: first_write(tape, ref) for name, ref in refs.items()}
    written = {name: call for name, call in writes.items() if call is not None}
    counted = [name for name, value in plain_numbers(model).items() if held.numbers.get(name) != value]
    if not written and not counted:
        return
    calls = again().calls
    direct = [name for name, call in written.items() if call.args[:1] == (refs[name],)]  # not its `.data`
    for name in direct or changed_by_calls(model, list(written), again):
        remedy = "Weights come from the hypernetwork: make it a buffer, or leave it as it is."
        raise refusal(point, f"changes the parameter {name} in place", remedy, written[name].where)
    what = f"does something else when it is called again{f', for it changes {counted[0]}' if counted else ''}"
    remedy = "Keep what changes in a buffer, as a tensor; call a model that initialises itself before compiling it."
    apart = next((one for one, other in zip(tape.calls, calls, strict=False) if apart_in_numbers(one, other)), None)
    if apart is not None or len(tape.calls) != len(calls):
        raise refusal(point, what, remedy, (apart or tape.calls[-1]).where)


def changed_by_calls(model: nn.Module, names: list[str], again: Callable[[], Tape]) -> list[str]:
    """The parameters that a second call with other weights than the model's own changes once more."""
    parameters = dict(model.named_parameters())
    if names:
        with torch.no_grad():
            for number, parameter in enumerate(filter(torch.is_floating_point, parameters.values())):
                parameter.mul_(1 + 0.01 * number)  # each moved otherwise, so that copies of one are no copies
        again()
    after = {name: parameters[name].detach().clone() for name in names}
    if names:
        again()
    return [name for name in names if not same_values(parameters[name].detach(), after[name])]


def apart_in_numbers(one: Call, other: Call) -> bool:
    return one.name != other.name or numbers_in(one) != numbers_in(other)


def numbers_in(call: Call) -> list[int | float]:
    found: list[int | float] = []
    fill((call.args, call.kwargs), lambda item: found.append(item) if isinstance(item, int | float) else None)
    return found


def plain_numbers(model: nn.Module) -> dict[str, int | float]:
    """The numbers of Python's that modules hold as attributes."""
    return {
        f"{path}.{name}" if path else name: value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, int | float) and name != "training" and value == value
    }


def first_write(tape: Tape, ref: Ref | None) -> Call | None:
    """The first call that writes into a tensor's memory."""
    return next((call for call in tape.calls if ref in tape.storages and tape.storages[ref] in call.writes), None)


def refusal(point: EntryPoint, what: str, remedy: str, where: str | None = None) -> HyperGenError:
    return HyperGenError("HG204", f"{point.name} {what}", where=where or point.origin, remedy=remedy)
