"""What a run leaves in the model, where the package has no place for it: the next call would compute something else."""

from __future__ import annotations

import torch
from torch import nn

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.recorder import Recorder
from hypergen_compiler.capture.tape import Call, Ref, Tape, references, same_values
from hypergen_compiler.errors import HyperGenError

__all__ = ["Held", "check_leftovers"]


class Held:
    """The tensors that a model holds before a run, by name: registered ones, and plain attributes."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.registered = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.plain = {
            (path, name): value
            for path, module in model.named_modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor)
        }


def check_leftovers(held: Held, recorder: Recorder, point: EntryPoint) -> None:
    """Raises HG204 for state that is kept outside of buffers, for parameters that are written into, and for parameters
    and buffers that are replaced."""
    tape, model = recorder.tape, held.model
    for name, parameter in model.named_parameters():
        if held.registered.get(name, parameter) is not parameter:
            raise refusal(point, f"replaces the parameter {name}", "Make it a buffer and write into that.")
        if written := write_into(tape, recorder.refs.get(id(parameter))):
            remedy = "Weights come from the hypernetwork: make it a buffer, or leave it as it is."
            raise refusal(point, f"changes the parameter {name} in place", remedy, written.where)
    for name, buffer in model.named_buffers():
        old = held.registered.get(name, buffer)
        if old.shape != buffer.shape or old.dtype != buffer.dtype:
            remedy = "Register it as large as it gets, and write into a part of it."
            raise refusal(point, f"gives the buffer {name} another shape or type", remedy)
    for (path, name), tensor in held.plain.items():
        ref = recorder.refs.get(id(tensor), Ref("unread", 0))
        if ref.kind != "constant":
            continue
        written = next((call for call in tape.calls if tape.storages[ref] in call.writes), None)
        now = getattr(model.get_submodule(path), name, tensor)
        replaced = now is not tensor and not (isinstance(now, torch.Tensor) and same_values(now, tensor))
        if written is not None or replaced:
            full = f"{path}.{name}" if path else name
            remedy = f"Make it a buffer: self.register_buffer({name!r}, ...)."
            where = written.where if written is not None else tape.constant_places[ref]
            raise refusal(point, f"changes {full}, a tensor that is no buffer, and reads it", remedy, where)


def write_into(tape: Tape, ref: Ref | None) -> Call | None:
    """The first call that writes into a parameter, other than through its `data`, which autograd does not see."""
    storage = tape.storages.get(ref) if ref is not None else None
    unseen: set[Ref] = set()
    for call in tape.calls if storage is not None else ():
        views = {other for other in references((call.args, call.kwargs)) if tape.storages[other] == storage}
        if storage in call.writes and call.name != "Tensor.data.__set__" and views - unseen:
            return call
        if call.name == "Tensor.data.__get__" or views & unseen:
            unseen.update(references(call.out))
    return None


def refusal(point: EntryPoint, what: str, remedy: str, where: str | None = None) -> HyperGenError:
    return HyperGenError("HG204", f"{point.name} {what}", where=where or point.origin, remedy=remedy)
