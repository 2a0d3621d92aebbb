"""The hypernetworks that a plan was chosen from, with what each would cost, and why the chosen one was."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan.budget import in_bytes
from hypergen_compiler.plan.choice import Plan
from hypergen_compiler.plan.cost import moved_bytes, peak_bytes, small_calls
from hypergen_compiler.plan.heads import BYTES, HEADS, LEAST_RANK, SHARING, Candidate, of_head
from hypergen_compiler.plan.machine import Machine
from hypergen_compiler.plan.together import Together
from hypergen_compiler.program import Program

__all__ = ["Alternative", "reason", "weigh"]

SHOWN_RANKS = {"low-rank": (32, 16, 8, 4, 1), "factors": (16,), "biases": (16,), "gains": (16,)}


@dataclass(frozen=True)
class Alternative:
    """One row of the table: `memory` is the predicted peak of a training step in bytes, `seconds` its predicted time,
    `over_plain` that of the plain model's own step; both None where the model was not run. `fits` is about the budget,
    None without one."""

    head: str
    rank: int
    parameters: int
    per_weight: float
    memory: int
    seconds: float | None
    over_plain: float | None
    fits: bool | None
    chosen: bool


def weigh(
    program: Program, layout: ParameterLayout, plan: Plan, machine: Machine, together: Together | None
) -> list[Alternative]:
    """Every head in a few sizes, the chosen one among them.

    `layout` is that in which every tensor is conditioned that the user does not keep, and knows the gains; `together`
    tells what datasets may have of their own in one pass.
    """
    limit = None if plan.budget is None else in_bytes(plan.budget, BYTES * layout.trained)
    shared = bool(program.loss is not None and together and together.tensors and not together.obstacle)
    rows = []
    for head in HEADS:
        for found in of_head(head, layout):
            option = replace(found, together=shared and head in SHARING)
            chosen = (option.head, option.rank) == (plan.head, plan.rank)
            if chosen or option.rank in SHOWN_RANKS.get(head, (option.rank,)):
                rows.append(alternative(program, layout, option, machine, limit, chosen))
    return rows


def alternative(
    program: Program, layout: ParameterLayout, option: Candidate, machine: Machine, limit: int | None, chosen: bool
) -> Alternative:
    passes = machine.together if option.together else machine.passes
    emission = moved_bytes(program, layout, option) / machine.bandwidth + small_calls(layout, option) * machine.call
    seconds = None if passes is None else passes + emission
    return Alternative(
        option.head,
        option.rank,
        option.all_parameters,
        option.all_parameters / max(1, layout.trained),
        peak_bytes(program, layout, option),
        seconds,
        None if seconds is None or machine.plain is None else seconds / machine.plain,
        None if limit is None else option.bytes <= limit,
        chosen,
    )


def reason(plan: Plan) -> str:
    """One sentence that says why the plan is what it is."""
    if plan.together and plan.asked is None:
        return (
            "Small tensors can differ between the datasets of a step while all go through the model in one pass, which "
            "costs next to nothing; `--budget` or `--head low-rank` conditions every weight."
        )
    if plan.asked is not None:
        return f"The head {plan.asked} was asked for" + (
            "." if plan.budget is None else f", and this is the largest within {plan.budget}."
        )
    if plan.head == "base":
        return "All weights are kept, so nothing is left that could depend on the dataset."
    if plan.spared:
        return (
            f"{plan.spared[0]} is larger than all other tensors together and the same for every dataset; so rank "
            f"{plan.rank} for the others fits into {plan.budget}."
        )
    within = "4 GiB, which is the most without a budget" if plan.budget is None else f"the budget of {plan.budget}"
    if plan.head == "chunked":
        return f"A low-rank head of rank {LEAST_RANK} does not fit into {within}; a chunked one with a base does."
    if plan.head == "chunked-alone":
        return f"No head with a base fits into {within}."
    if plan.budget is None:
        return f"Without a budget the head is low-rank, of rank {plan.rank}."
    return f"Rank {plan.rank} is the largest, up to 32, that fits into {within}."
