"""`train.py`: the training loop as a command."""

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

__all__ = ["train"]

SAMPLES = "64"
SELDOM = 4  # steps from one penalty to the next where sampling is long


def train(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The command that trains, with a critic where there is one, resumes and shows samples where the model has some."""
    sampler = None if program.sample is None else program.entry(program.sample)
    picture = is_picture(program, plan)
    samples = "samples.png" if picture else "samples.pt"
    names, critic, sharded = batch_names(plan), program.critic, has_one_matrix(plan)
    shared = ["Step", "average", "count", "from_all", "join", "leave", "rank", "replicate", "share"]
    shared += ["average_changes", "copied"] if program.buffers else []
    shared += ["ShardedHypernetwork", "total_norm"] if sharded else []
    weights = ["State", *(["unpack"] if sampler or critic else []), *(["CRITIC", "EMITTED"] if critic else [])]
    return render(
        "train.py.j2",
        model=prose(program.model),
        package=Code(program.name),
        header=header(program),
        results=Code(f" and {samples}" if sampler else ""),
        sample=identifier(program.sample) if sampler else None,
        from_weights=Code(", ".join(sorted(weights, key=str.swapcase))),
        from_processes=Code(", ".join(sorted(shared, key=lambda name: (name.islower(), name)))),
        sharded=sharded,
        buffers=bool(program.buffers),
        count=Code(", ".join(argument(value, SAMPLES) for value in sampler.inputs)) if sampler else None,
        access=drawn(sampler, plan)[0] if sampler else None,
        picture=picture,
        samples=Code(samples),
        what=content(plan),
        penalised=is_penalised(program, plan),
        together=plan.together,
        usual_every=usual_every(program) if sampler else None,
        critic=identifier(critic) if critic else None,
        unpacked=unpacked(names),
        arguments=loss_arguments(program, names, critic) if critic else None,
        per_item=bool(critic and program.entry(critic).shapes[:1] != ((),)),
    )


def usual_every(program: Program) -> int:
    """How many steps lie between penalties: one where sampling is short, more where it is long."""
    return SELDOM if is_long(program.entry(program.sample)) else 1
