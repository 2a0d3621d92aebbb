"""The plan: a hypernetwork that there is, which emits what the layout says that it emits."""

from __future__ import annotations

from collections.abc import Iterator

from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import BYTES, HEADS, PENALTIES, SHARING, SPACES, Plan, batch_inputs
from hypergen_compiler.plan.heads import READ_MOMENTS, is_matrix, of_head, of_rank
from hypergen_compiler.program import Program

__all__ = ["check_plan"]


def check_plan(program: Program, layout: ParameterLayout, plan: Plan) -> list[Violation]:
    """A plan against the layout that goes with it, and against what the loss takes."""
    return [
        *check_choices(plan),
        *check_size(layout, plan),
        *check_conditioned(layout, plan),
        *check_inputs(program, plan),
    ]


def check_choices(plan: Plan) -> Iterator[Violation]:
    for what, value, known in (
        ("head", plan.head, HEADS),
        ("penalty", plan.penalty, PENALTIES),
        ("space", plan.space, SPACES),
    ):
        if value not in known:
            yield Violation(f"the {what} is {value!r}, which is none of {', '.join(known)}")
    if plan.rank < 1:
        yield Violation(f"the embedding has {plan.rank} numbers")


def check_size(layout: ParameterLayout, plan: Plan) -> Iterator[Violation]:
    """The number of parameters is that of a head of this kind and rank over this layout."""
    if plan.bytes != BYTES * plan.parameters:
        yield Violation(f"{plan.parameters} parameters are said to take {plan.bytes} bytes, not {BYTES} each")
    options = [option for option in of_head(plan.head, layout) if plan.chunk == option.chunk]
    counts = {option.all_parameters for option in options if option.rank == plan.rank}
    if plan.reads_moments and plan.head in READ_MOMENTS:
        counts = {of_rank(option, plan.rank, layout).parameters for option in options}
    if plan.parameters not in counts:
        known = " or ".join(map(str, sorted(counts))) or "none that it could have"
        yield Violation(
            f"the head {plan.head} is planned with {plan.parameters} parameters; the layout makes it {known}"
        )


def check_conditioned(layout: ParameterLayout, plan: Plan) -> Iterator[Violation]:
    """What depends on the dataset is what the head can make depend on it."""
    if plan.head == "base" and layout.conditioned:
        yield Violation(f"a plan without a head has {layout.conditioned} conditioned elements")
    matrices = [slot.name for slot in layout.slots if slot.trained and slot.conditioned and is_matrix(slot)]
    if plan.head in SHARING and matrices:
        yield Violation(f"the head {plan.head} cannot condition the matrix {matrices[0]!r}")
    if plan.head == "gains" and not layout.gains:
        yield Violation("the head is gains, and the layout has none")
    if plan.together and (plan.head not in SHARING or program_pass_missing(layout)):
        yield Violation(f"all datasets share a pass, which the head {plan.head} does not allow")
    if plan.together and plan.apart:
        yield Violation("datasets both share a pass and do not")


def program_pass_missing(layout: ParameterLayout) -> bool:
    return not layout.conditioned and not layout.gains


def check_inputs(program: Program, plan: Plan) -> Iterator[Violation]:
    wanted = [value.name for value in batch_inputs(program)]
    if [part.name for part in plan.encoder] != wanted:
        yield Violation(f"the encoder reads {[part.name for part in plan.encoder]}, a dataset has {wanted}")
