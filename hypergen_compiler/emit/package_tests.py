"""`test_NAME.py`: the checks that a package carries with it."""

from __future__ import annotations

import torch
import torch.fx

from hypergen_compiler.emit.batches import argument, size_tuple
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import is_penalised
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Entry, Input, Program

__all__ = ["package_tests"]

WITHOUT_GRADIENT = ("detach", "detach_", "data", "no_grad")


def package_tests(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """Tests of weights and entry points and, where there is a loss, of everything that trains."""
    entries = program.entries
    made = [make(value) for entry in entries for value in entry.inputs]
    critic = program.loss is not None and program.critic is not None
    names = ["EMITTED", "LAYOUT", "SIZE", "State", "initial_weights", "pack", "to_state_dict", "unpack"]
    return render(
        "test_package.py.j2",
        package=Code(program.name),
        header=header(program),
        loss=None if program.loss is None else identifier(program.loss),
        sample=None if program.loss is None or program.sample is None else identifier(program.sample),
        floats=any(code.startswith("floats") for code in made),
        integers=any(code.startswith("integers") for code in made),
        from_weights=Code(", ".join(["CRITIC", *names] if critic else names)),
        inputs=[row(entry.name, "(", [make(value) for value in entry.inputs], ")") for entry in entries],
        shapes=[row(entry.name, "[", returned(entry), "]") for entry in entries],
        critic=critic,
        base=plan.head != "chunked-alone",
        conditional=plan.head != "base",
        factors=plan.head == "factors",
        moments=plan.reads_moments,
        penalised=program.loss is not None and is_penalised(program, plan),
        unbiased=program.loss is not None and is_penalised(program, plan) and plan.penalty == "unbiased",
        per_dataset=plan.space == "weights" and plan.statistical,
        summed=plan.space == "weights",
        gradients=any(takes_gradients(graph) for entry in entries for graph in entry.graphs),
        unreached=None if program.loss is None else unreached(program.entry(program.loss), layout),
    )


def takes_gradients(graph: torch.fx.Graph) -> bool:
    """Whether a call asks for gradients itself, which has none to give under `torch.no_grad()`."""
    return any(node.target is torch.autograd.grad for node in graph.nodes)


def returned(entry: Entry) -> list[Code]:
    return [size_tuple(shape) for shape in (entry.evaluation or entry).shapes]


def row(name: str, opening: str, parts: list[Code], closing: str) -> Code:
    """A row of a table of functions of n, on one line where that is not too long."""
    start = f'    "{identifier(name)}": lambda n: {opening}'
    comma = "," if opening == "(" and len(parts) == 1 else ""
    line = f"{start}{', '.join(parts)}{comma}{closing},"
    lines = [start, *(f"        {part}," for part in parts), f"    {closing},"]
    return Code(line if len(line) <= 120 else "\n".join(lines))


def make(value: Input) -> Code:
    """The expression of an input for a batch of n, in the range of the example's values."""
    if not value.is_tensor:
        return argument(value, "n")
    sizes = size_tuple(value.shape)[1:-1].rstrip(",")
    start = f"{sizes}, " if sizes else ""
    if value.dtype.is_floating_point or value.dtype.is_complex:
        kind = "" if value.dtype == torch.float32 else f", dtype={value.dtype}"
        return Code(f"floats({start}low={literal(short(value.low))}, high={literal(short(value.high))}{kind})")
    kind = "" if value.dtype == torch.int64 else f", dtype={value.dtype}"
    return Code(f"integers({start}low={int(value.low)}, high={int(value.high)}{kind})")


def short(bound: float) -> float:
    """Three digits, towards zero, so that the range stays within the example's."""
    digits = f"{abs(float(bound)):.2e}"
    nearest = float(digits)
    if nearest > abs(bound):
        nearest = float(f"{nearest - 10.0 ** (int(digits.partition('e')[2]) - 2):.2e}")
    return nearest if bound >= 0 else -nearest


def unreached(loss: Entry, layout: ParameterLayout) -> list[Code]:
    """The names of trained tensors that the loss's recorded calls give no gradient, or may give none."""
    reached, waiting = set(), list(loss.graph.find_nodes(op="output"))
    while waiting:
        node = waiting.pop()
        if node not in reached and carries_gradient(node):
            reached.add(node)
            waiting.extend(node.all_input_nodes)
    names = {layout.by_name[node.target].name for node in reached if node.target in layout.by_name}
    return [literal(slot.name) for slot in layout.slots if slot.trained and slot.size and slot.name not in names]


def carries_gradient(node: torch.fx.Node) -> bool:
    """False where backward stops, and where it runs code of the user's own that may stop it."""
    dtype = node.meta.get("dtype")
    owner = getattr(node.target, "__self__", None)
    return (
        node.meta.get("grad", True)
        and (dtype is None or dtype.is_floating_point or dtype.is_complex)
        and getattr(node.target, "__name__", "") not in WITHOUT_GRADIENT
        and not (isinstance(owner, type) and issubclass(owner, torch.autograd.Function))
    )
