"""What trains: `training.py`, the step and the run; its parts; and `train.py`, the command."""

from __future__ import annotations

from hypergen_compiler.emit.batches import argument, batch_names, content, is_picture, loss_arguments
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import has_one_matrix, is_long, is_penalised
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.objective import drawn, unpacked
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Program

__all__ = ["checkpoint", "log", "optimizer", "samples", "train", "training"]

SAMPLES = "64"
SELDOM = 4  # steps from one penalty to the next where sampling is long


def training(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """Settings and Trainer, with a critic where there is one."""
    names, critic, sharded = batch_names(plan), program.critic, has_one_matrix(plan)
    shared = ["Step", "average", "count", "from_all", "rank", "replicate", "share"]
    shared += ["average_changes", "copied"] if program.buffers else []
    shared += ["ShardedHypernetwork"] if sharded else []
    weights = ["State", *(["CRITIC", "EMITTED", "unpack"] if critic else [])]
    return render(
        "training.py.j2",
        model=prose(program.model),
        header=header(program),
        sample=program.sample is not None,
        from_weights=Code(", ".join(sorted(weights, key=str.swapcase))),
        from_processes=Code(", ".join(sorted(shared, key=lambda name: (name.islower(), name)))),
        sharded=sharded,
        buffers=bool(program.buffers),
        penalised=is_penalised(program, plan),
        together=plan.together,
        usual_every=usual_every(program) if program.sample else None,
        critic=identifier(critic) if critic else None,
        unpacked=unpacked(names),
        arguments=loss_arguments(program, names, critic) if critic else None,
        per_item=bool(critic and program.entry(critic).shapes[:1] != ((),)),
    )


def optimizer(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """Adam for what is shared and what depends on the data, and the limit on its gradients."""
    return render(
        "optimizer.py.j2",
        model=prose(program.model),
        header=header(program),
        sharded=has_one_matrix(plan),
        critic=program.critic is not None,
    )


def checkpoint(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """How a run is kept on disk."""
    return render("checkpoint.py.j2", header=header(program))


def log(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """How a run is told of."""
    return render("log.py.j2", header=header(program), critic=program.critic is not None)


def samples(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What draws samples in the course of training, where the model has a sampler."""
    if program.sample is None:
        return None
    sampler = program.entry(program.sample)
    return render(
        "samples.py.j2",
        header=header(program),
        sample=identifier(program.sample),
        count=Code(", ".join(argument(value, SAMPLES) for value in sampler.inputs)),
        access=drawn(sampler, plan)[0],
        picture=is_picture(program, plan),
    )


def train(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The command."""
    shown = "samples.png" if is_picture(program, plan) else "samples.pt"
    return render(
        "train.py.j2",
        model=prose(program.model),
        package=Code(program.name),
        header=header(program),
        results=Code(f" and {shown}" if program.sample else ""),
        what=content(plan),
        penalised=is_penalised(program, plan),
        together=plan.together,
        sharded=has_one_matrix(plan),
    )


def usual_every(program: Program) -> int:
    """How many steps lie between penalties: one where sampling is short, more where it is long."""
    return SELDOM if is_long(program.entry(program.sample)) else 1
