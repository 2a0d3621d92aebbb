"""The text of `State`: how the model's buffers are registered, and the properties that group them as records."""

from __future__ import annotations

from hypergen_compiler.emit.literals import literal, tensor_literal
from hypergen_compiler.emit.names import Namespace
from hypergen_compiler.emit.record_text import read_text
from hypergen_compiler.emit.records import STATE_NAMES_TAKEN, Field, Records
from hypergen_compiler.emit.stored import needs_file
from hypergen_compiler.program import Buffer, Program

__all__ = ["buffer_attributes", "buffer_table", "state_text", "transient_text"]


def buffer_attributes(program: Program, state: Records) -> dict[str, str]:
    """The attribute of `State` that registers each buffer: its path with underscores."""
    fields = {str(item.name) for item in state.root.fields}
    names = Namespace(fields | {"read", "training", "T_destination", *STATE_NAMES_TAKEN})
    result = {}
    for buffer in program.buffers:
        steps = state.steps[buffer.name]
        result[buffer.name] = str(steps[0]) if len(steps) == 1 else names.claim(buffer.name.replace(".", "_"), "buffer")
    return result


def state_text(program: Program, state: Records, names: dict[str, str]) -> str:
    """The buffers' types, the body of `State.__init__` and a property for every record of buffers."""
    lines = [f"    {names[buffer.name]}: Tensor" for buffer in program.buffers]
    lines += ["", "    def __init__(self):", "        super().__init__()"]
    if any(needs_file(buffer.value) for buffer in program.buffers):
        lines.append('        stored = torch.load(TENSORS, weights_only=True)["buffers"]')
    lines += [f"        {registration(buffer, names[buffer.name])}" for buffer in program.buffers]
    for item in state.root.fields:
        if item.record is not None or item.items is not None:
            lines += ["", "    @property", f"    def {item.name}(self) -> {property_type(item)}:"]
            lines.append(f"        tensors = self.tensors()\n        return {read_text(item, at='')}")
    return "\n".join(lines)


def registration(buffer: Buffer, attribute: str) -> str:
    value = f"stored[{literal(buffer.name)}]" if needs_file(buffer.value) else tensor_literal(buffer.value)
    return f'self.register_buffer("{attribute}", {value})'


def property_type(item: Field) -> str:
    if item.items is None:
        return str(item.record.name)
    kinds = list(dict.fromkeys(inner.name if inner else "Tensor" for _, inner in item.items))
    return f"tuple[{kinds[0]}, ...]" if len(kinds) == 1 else f"tuple[{' | '.join(kinds)}, ...]"


def buffer_table(program: Program, names: dict[str, str]) -> str:
    """A row for every name of every buffer."""
    pairs = [(name, names[buffer.name]) for buffer in program.buffers for name in (buffer.name, *buffer.aliases)]
    return "\n".join(f"    {literal(name)}: {literal(attribute)}," for name, attribute in pairs)


def transient_text(program: Program, names: dict[str, str]) -> str:
    return literal(tuple(names[buffer.name] for buffer in program.buffers if not buffer.persistent))
