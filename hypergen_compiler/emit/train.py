"""What trains: `learner.py` for a step, `training.py` for a run, the command `train.py`, and their settings."""

from __future__ import annotations

from hypergen_compiler.emit.batches import (
    batch_names,
    content,
    is_grouped,
    is_picture,
    loss_arguments,
    reads_text,
)
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import has_one_matrix, is_long, is_penalised
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.objective import has_chains, unpacked
from hypergen_compiler.emit.run_files import is_validated
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.plan.step import ITEMS, datasets
from hypergen_compiler.program import Program

__all__ = [
    "faults",
    "learner",
    "optimizer",
    "settings",
    "train",
    "training",
]

MAPPED = 2**25  # bytes: glibc maps a larger block anew each time that it is allocated
FREE_STRENGTH, USUAL_STRENGTH = 10.0, 3.0  # of the penalty, more where it costs what all datasets share no likelihood
SELDOM = 4  # steps from one penalty to the next where sampling is long
LOOKS, FEW_LOOKS = 10, 4  # at what the weights do with the data, in a run; few where sampling is long


def settings(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What a user may set."""
    episodes = datasets(plan.together)
    return render(
        "settings.py.j2",
        model=prose(program.model),
        header=header(program),
        batch=ITEMS // episodes,
        episodes=episodes,
        strength=literal(FREE_STRENGTH if plan.together and plan.space == "embedding" else USUAL_STRENGTH),
        penalised=is_penalised(program, plan),
        together=plan.together,
        usual_every=usual_every(program),
        grouped=is_grouped(plan),
    )


def learner(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The step, with a critic where there is one."""
    names, critic, sharded = batch_names(plan), program.critic, has_one_matrix(plan)
    penalised = is_penalised(program, plan)
    shared = ["Step", "average", "count", "from_all", "rank", "replicate", "share"]
    shared += ["average_changes", "copied"] if program.buffers else []
    shared += ["ShardedHypernetwork"] if sharded else []
    weights = ["State", *(["CRITIC", "EMITTED", "unpack"] if critic else [])]
    return render(
        "learner.py.j2",
        model=prose(program.model),
        header=header(program),
        from_weights=Code(", ".join(sorted(weights, key=str.swapcase))),
        from_processes=Code(", ".join(sorted(shared, key=lambda name: (name.islower(), name)))),
        sharded=sharded,
        grouped=is_grouped(plan),
        buffers=bool(program.buffers),
        penalised=penalised,
        counted=Code("self.every * " if penalised else ""),
        sums=4 if critic else 3,
        together=plan.together,
        long=has_long_sampler(program),
        critic=identifier(critic) if critic else None,
        unpacked=unpacked(names),
        arguments=loss_arguments(program, names, critic) if critic else None,
        per_item=bool(critic and program.entry(critic).shapes[:1] != ((),)),
        chains=has_chains(program, plan),
    )


def training(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The run."""
    conditional, sample = plan.head != "base", program.sample is not None
    return render(
        "training.py.j2",
        model=prose(program.model),
        header=header(program),
        sample=sample,
        conditional=conditional,
        sampled=is_penalised(program, plan),
        penalised=is_penalised(program, plan),
        sharded=has_one_matrix(plan),
        long=has_long_sampler(program),
        validated=is_validated(program),
        looks=(FEW_LOOKS if has_long_sampler(program) else LOOKS) if conditional or sample else None,
    )


def optimizer(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """Adam for what is shared and what depends on the data, the limit on its gradients, and the moving average."""
    return render(
        "optimizer.py.j2",
        model=prose(program.model),
        header=header(program),
        sharded=has_one_matrix(plan),
        critic=program.critic is not None,
    )


def faults(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What tells where a number that is not finite comes from."""
    return render("faults.py.j2", header=header(program))


def train(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The command."""
    shown = "samples.png" if is_picture(program, plan) else "samples.pt"
    shown = f"{shown}, samples.txt" if reads_text(plan) else shown
    results = ["log.csv", *(["dependence.csv"] if plan.head != "base" else []), *([shown] if program.sample else [])]
    return render(
        "train.py.j2",
        model=prose(program.model),
        package=Code(program.name),
        header=header(program),
        results=Code(f"{', '.join(results)} and checkpoint.safetensors"),
        what=content(plan),
        validated=is_validated(program),
        mapped=plan.parameters * layout.dtype.itemsize > MAPPED,
        penalised=is_penalised(program, plan),
        together=plan.together,
        usual_every=usual_every(program),
        sharded=has_one_matrix(plan),
        grouped=is_grouped(plan),
    )


def usual_every(program: Program) -> int:
    """Steps from one penalty to the next, unless datasets that share a pass have it more seldom."""
    return SELDOM if has_long_sampler(program) else 1


def has_long_sampler(program: Program) -> bool:
    """Whether samples are to be drawn seldom."""
    return program.sample is not None and is_long(program.entry(program.sample))
