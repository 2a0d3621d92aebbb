"""`objective.py`: the loss under emitted weights, and the autophagy penalty where the model has a sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypergen_compiler.emit.batches import argument, batch_names, loss_arguments, shape_text
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import LINEAR, TEMPLATES, is_long, is_penalised
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import SYNTHETIC, Plan
from hypergen_compiler.program import Affine, Container, Entry, Program

__all__ = ["chains", "drawn", "has_chains", "objective", "samples_from_statistics", "unpacked"]


def objective(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The training objective as a function of hypernetwork, state and datasets."""
    names = batch_names(plan)
    shapes = [shape_text((Affine(1), *part.shape)) for part in plan.encoder]
    sampler = None if program.sample is None else program.entry(program.sample)
    paths = drawn(sampler, plan) if sampler else [Code("")]
    kept = names[len(paths) :]
    penalised = is_penalised(program, plan)
    weights = plan.space == "weights"
    unit = "unit" if weights else "spread"
    return render(
        "objective.py.j2",
        model=prose(program.model),
        header=header(program),
        loss=identifier(program.loss),
        sample=identifier(program.sample) if sampler else None,
        penalty=Code(f"penalties/{plan.penalty}.py.j2") if penalised else None,
        synthetic=SYNTHETIC.get(plan.penalty),
        pairs=plan.penalty in ("unbiased", "lagrangian", "chains"),
        chains=has_chains(program, plan),
        ascent=plan.penalty == "lagrangian",
        average=plan.penalty == "mean" and weights and TEMPLATES[plan.head] in LINEAR,
        mean=not weights,
        space=plan.space,
        statistical=weights and plan.statistical,
        unit=Code(unit),
        unit_shape=Code("[..., d]" if weights and plan.statistical else "[d]" if weights else "[]"),
        divisor=Code(f"{unit}.unsqueeze(-2)" if weights and plan.statistical else unit),
        differentiable=bool(sampler and sampler.differentiable and not weights and not is_long(sampler)),
        long=sampler is not None and is_long(sampler),
        from_statistics=samples_from_statistics(program),
        together=plan.together,
        unpacked=unpacked(names),
        sampled_for=unpacked([name if name in (names[0], *kept) else Code("_") for name in names]),
        packed=Code(f"({', '.join(names)}{',' if len(names) == 1 else ''})"),
        kept=Code(", ".join(kept)),
        repeated=kept,
        made=Code(", ".join(f"samples{path}" for path in paths)),
        single=len(names) == 1,
        count=count(sampler, names[0]) if sampler else None,
        dataset=Code(f"a tensor {shapes[0]}" if len(shapes) == 1 else f"a tuple of {', '.join(shapes)}"),
        arguments=loss_arguments(program, names),
        per_item=program.entry(program.loss).shapes[:1] != ((),),
    )


def chains(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What keeps the chains of self-consumed datasets, where the penalty follows some."""
    if not has_chains(program, plan):
        return None
    return render("chains.py.j2", model=prose(program.model), header=header(program))


def has_chains(program: Program, plan: Plan) -> bool:
    """Whether the penalty follows chains of self-consumed datasets."""
    return is_penalised(program, plan) and plan.penalty == "chains"


def samples_from_statistics(program: Program) -> bool:
    """Whether samples with a gradient may be made with running statistics, whose writes autograd does not notice."""
    if program.sample is None or not program.entry(program.sample).differentiable or not program.buffers:
        return False
    calls = (node.meta.get("name", "") for graph in program.entry(program.sample).graphs for node in graph.nodes)
    return any(name.endswith((".batch_norm", ".instance_norm")) for name in calls)


def unpacked(names: Sequence[Code]) -> Code:
    """What a dataset's tensors are assigned to, one or more."""
    return Code(", ".join(names) if len(names) > 1 else f"({names[0]},)")


def count(sampler: Entry, first: Code) -> Code:
    """What the sampler is called with to make SYNTHETIC datasets as large as the one that `first` belongs to."""
    return Code(", ".join(argument(value, f"SYNTHETIC * {first}.shape[0]") for value in sampler.inputs))


def drawn(sampler: Entry, plan: Plan) -> list[Code]:
    """How to get at each leading tensor of the sampler's output that has the shape of the data; at least the first."""
    paths = access(sampler.output)
    wanted = [(Affine(1), *part.shape) for part in plan.encoder]
    alike = 1
    while alike < min(len(paths), len(wanted), len(sampler.shapes)) and sampler.shapes[alike] == wanted[alike]:
        alike += 1
    return paths[:alike]


def access(output: Any) -> list[Code]:
    """The expressions that follow a call to reach each item of its output: indices, keys or fields."""
    if isinstance(output, Container):
        return [Code(f".{identifier(name)}") for name in output.fields]
    if isinstance(output, dict):
        return [Code(f"[{literal(key)}]") for key in output]
    if isinstance(output, Sequence):
        return [Code(f"[{index}]") for index in range(len(output))]
    return [Code("")]
