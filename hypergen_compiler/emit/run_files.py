"""What a run leaves: `checkpoint.py`, `log.py` and what is shown of a run, and the best of it by `validation.py`."""

from __future__ import annotations

from hypergen_compiler.emit.batches import argument, batch_names, is_picture, loss_arguments, reads_text
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import is_penalised
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.objective import drawn, unpacked
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Program

__all__ = ["checkpoint", "curves", "dependence", "is_validated", "log", "samples", "storage", "validation"]


def checkpoint(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """How a run is kept on disk."""
    return render("checkpoint.py.j2", header=header(program), validated=is_validated(program))


def storage(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """How tensors are kept in files."""
    return render("storage.py.j2", header=header(program))


def log(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """How a run is told of."""
    return render(
        "log.py.j2",
        header=header(program),
        conditional=plan.head != "base",
        penalised=is_penalised(program, plan),
        validated=is_validated(program),
    )


def dependence(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What measures how far weights depend on the data, where they do at all."""
    if plan.head == "base":
        return None
    sampled = is_penalised(program, plan)
    if layout.gains:
        depends = " and (offset < CONDITIONED or name in dict(GAINED))"
    elif layout.conditioned < layout.trained:
        depends = " and offset < CONDITIONED"
    else:
        depends = " and offset < EMITTED" if layout.trained < layout.size else ""
    names = ["LAYOUT", *(["State"] if sampled else []), *(["unpack"] if sampled and not plan.together else [])]
    names += [name for name in ("CONDITIONED", "EMITTED", "GAINED") if name in depends]
    return render(
        "dependence.py.j2",
        model=prose(program.model),
        header=header(program),
        sampled=sampled,
        together=plan.together,
        kept=bool(sampled and batch_names(plan)[len(drawn(program.entry(program.sample), plan)) :]),
        depends=Code(depends),
        imports=Code(", ".join(sorted(names, key=lambda name: (not name.isupper(), name.islower(), name)))),
    )


def curves(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The log as a picture."""
    shown = '"real", "synthetic", "gap"' if is_penalised(program, plan) else '"real",'
    return render(
        "curves.py.j2",
        header=header(program),
        conditional=plan.head != "base",
        dependence=Code(shown),
        validated=is_validated(program),
    )


def samples(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What draws samples in the course of training, where the model has a sampler."""
    if program.sample is None:
        return None
    sampler = program.entry(program.sample)
    return render(
        "samples.py.j2",
        header=header(program),
        sample=identifier(program.sample),
        count=Code(", ".join(argument(value, "count") for value in sampler.inputs)),
        access=drawn(sampler, plan)[0],
        picture=is_picture(program, plan),
        text=reads_text(plan),
    )


def validation(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What finds the step whose weights suit data that was held out best."""
    if not is_validated(program):
        return None
    names = batch_names(plan)
    return render(
        "validation.py.j2",
        model=prose(program.model),
        header=header(program),
        loss=identifier(program.loss),
        unpacked=unpacked(names),
        arguments=loss_arguments(program, names),
        per_item=program.entry(program.loss).shapes[:1] != ((),),
    )


def is_validated(program: Program) -> bool:
    """Whether a loss on other data tells how good weights are; against a critic it does not."""
    return program.critic is None
