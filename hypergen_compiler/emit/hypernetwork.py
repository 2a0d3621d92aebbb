"""`hypernetwork.py`: the set encoder, the base and the head of the plan."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hypergen_compiler.emit.batches import batch_names, has_fixed_values, item_kind, shape_text
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import FEATURES, LARGEST_SIDE, FeatureEncoder, Plan
from hypergen_compiler.plan.heads import CHUNK_FEATURES, HIDDEN, is_matrix
from hypergen_compiler.program import Affine, Entry, Input, Program

__all__ = ["LINEAR", "TEMPLATES", "has_one_matrix", "hypernetwork", "is_long", "is_penalised"]


REACH = {"biases": 8, "gains": 4}  # how far small tensors must move to follow the data: found by trial, on digits
LEAST_MAGNITUDE = {"biases": 0.1, "gains": 0.1}  # of a tensor that starts at zero
USUAL_LEAST = 0.01  # for the other heads

TEMPLATES = {
    "dense": "affine",
    "low-rank": "affine",
    "biases": "affine",
    "gains": "affine",
    "factors": "factors",
    "chunked": "chunked",
    "chunked-alone": "chunked_alone",
    "base": "base",
}


LONG = 300  # recorded calls of a sampler
LINEAR = ("affine", "factors")  # templates whose emission is affine in the embedding


def hypernetwork(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The module that turns a dataset into weights."""
    names = batch_names(plan)
    loss = program.entry(program.loss)
    penalised = is_penalised(program, plan)
    tensors = [value for value in loss.inputs if value.is_tensor]
    return render(
        f"heads/{TEMPLATES[plan.head]}.py.j2",
        items=item_kind(plan),
        model=prose(program.model),
        header=header(program),
        parameters=Code(f"{plan.parameters:,}"),
        weights=Code(f"{sum(slot.size for slot in layout.slots if slot.trained):,}"),
        features=FEATURES,
        loss=identifier(program.loss),
        fixed_values=has_fixed_values(loss),
        parts=[
            {"name": name, "tables": tables(part, name), "lines": projected(part, name, value, alone=len(names) == 1)}
            for part, name, value in zip(plan.encoder, names, tensors, strict=True)
        ],
        projections=Code(f"{len(names)}, ") if len(names) > 1 else None,
        read=Code(", ".join(f"{name}_read" for name in names)),
        signature=Code(", ".join(f"{name}: Tensor" for name in names)),
        pooled=any(part.kind == "image" and max(part.shape[1:]) > LARGEST_SIDE for part in plan.encoder),
        shapes=Code(", ".join(shape_text((Affine(1), *part.shape)) for part in plan.encoder)),
        critic=program.critic is not None,
        penalised=penalised,
        space=plan.space if penalised else None,
        usual_weights=penalised and plan.space == "weights" and plan.statistical,
        unit=penalised and plan.space == "weights" and not plan.statistical,
        multiplier=multiplier(layout, plan) if penalised and plan.penalty == "lagrangian" else None,
        moments=plan.reads_moments,
        unpacked=Code(", ".join(names) if len(names) > 1 else f"({names[0]},)"),
        flat=flat(names),
        **head_values(layout, plan),
    )


def is_penalised(program: Program, plan: Plan) -> bool:
    """Whether there is a penalty: one was asked for, and the model has a sampler."""
    return program.sample is not None and plan.penalty != "none"


def is_long(sampler: Entry) -> bool:
    """Whether sampling takes so many calls that no gradient should go through them, nor samples be drawn every step."""
    return sum(node.op == "call_function" for node in sampler.graph.nodes) > LONG


def head_values(layout: ParameterLayout, plan: Plan) -> dict[str, object]:
    """What the templates of the heads say about the buffer and the head's size."""
    frozen = layout.trained < layout.size
    kept = plan.head != "base" and layout.conditioned < layout.trained
    emitted = "EMITTED" if frozen else "SIZE"
    single = layout.dtype == torch.float32
    embedding = "embedding" if single else f"embedding.to({layout.dtype})"
    used = ["CONDITIONED"] if kept else []
    used += ["EMITTED"] if frozen else []
    used += [] if plan.head == "base" else ["LAYOUT"]
    unsized = plan.head in ("base", "gains") or (kept and plan.head == "chunked-alone")
    used += [] if frozen or unsized else ["SIZE"]
    used += ["GAINS"] if layout.gains else []
    return {
        "summary": Code(summary(plan)),
        "imports": Code(", ".join([*used, *functions_used(layout, plan)])),
        "together": plan.together,
        "reach": None if plan.statistical else REACH.get(plan.head),
        "least": literal(USUAL_LEAST if plan.statistical else LEAST_MAGNITUDE.get(plan.head, USUAL_LEAST)),
        "single": any(slot.conditioned and slot.size == 1 for slot in layout.slots),
        "gains": layout.gains,
        "rank": plan.rank,
        "learned_encoder": plan.learned_encoder,
        "frozen": frozen,
        "kept": kept,
        "emitted": Code(emitted),
        "conditioned": Code("CONDITIONED" if kept else emitted),
        "origin": Code("shift" if plan.head == "chunked-alone" else "base[:CONDITIONED]" if kept else "base"),
        "change": Code(f"self.{'change' if has_one_matrix(plan) else 'head'}({embedding})"),
        "cast": Code("" if single else f".to({layout.dtype})"),
        "chunk": plan.chunk,
        "chunk_features": CHUNK_FEATURES,
        "hidden": HIDDEN,
        "counted": plan.head == "factors",
        "vectors": any(slot.conditioned and not (is_matrix(slot) and slot.size) for slot in layout.slots),
    }


def has_one_matrix(plan: Plan) -> bool:
    """Whether the head is a matrix that an embedding is multiplied with, which processes can divide among them."""
    return TEMPLATES[plan.head] == "affine"


def functions_used(layout: ParameterLayout, plan: Plan) -> list[str]:
    """What `hypernetwork.py` imports from `weights.py` besides constants."""
    together = ["Weights"] if plan.together else []
    changed = ["changed"] if layout.gains else []
    return [*together, *changed, "initial_weights", *(["unpack_together"] if plan.together else [])]


def multiplier(layout: ParameterLayout, plan: Plan) -> Code:
    """How many numbers the penalty compares."""
    if plan.space == "embedding":
        return Code("RANK")
    kept = plan.head != "base" and layout.conditioned < layout.trained
    return Code("CONDITIONED" if kept else "EMITTED" if layout.trained < layout.size else "SIZE")


def summary(plan: Plan) -> str:
    """The head in a few words."""
    texts = {
        "dense": "dense head",
        "base": "no head",
        "biases": f"low-rank head over the 1-D tensors, rank {plan.rank}",
        "gains": f"low-rank head over the 1-D tensors and a gain per output channel, rank {plan.rank}",
        "factors": f"head of {plan.rank} outer products a matrix",
        "chunked": f"head in chunks of {plan.chunk}",
        "chunked-alone": f"head in chunks of {plan.chunk}, without a base",
    }
    return texts.get(plan.head, f"low-rank head, rank {plan.rank}")


def flat(names: Sequence[Code]) -> Code:
    """The numbers of every item in rows, from inputs of any shape."""
    rows = [f"{name}.reshape({name}.shape[0], -1)" for name in names]
    return Code(rows[0] if len(rows) == 1 else f"torch.cat([{', '.join(rows)}], dim=1)")


def tables(part: FeatureEncoder, name: Code) -> list[dict[str, Code | int]]:
    """The random tables that an input is projected with: tokens need one for each place in a pair."""
    ends = ("first", "second") if part.kind == "tokens" else ("directions",)
    return [{"name": Code(f"{name}_{end}"), "rows": part.rows} for end in ends]


def projected(part: FeatureEncoder, name: Code, value: Input, alone: bool) -> list[Code]:
    """The statements that make an input's projections, [n, FEATURES], and return them if it is the only input."""
    if part.kind == "moments":
        return []
    into = "return" if alone else f"{name}_read ="
    if part.kind in ("image", "vector"):
        single = name if value.dtype == torch.float32 else Code(f"{name}.float()")
        if part.kind == "image" and max(part.shape[1:]) > LARGEST_SIDE:
            sides = ", ".join(str(min(size, LARGEST_SIDE)) for size in part.shape[1:])
            single = Code(f"F.adaptive_avg_pool2d({single}, ({sides}))")
        return [Code(f"{into} {single}.reshape({name}.shape[0], -1) @ self.{name}_directions")]
    flat = f"{name}.flatten(1)" if len(part.shape) > 1 else name
    known = f"{name}_known"
    lines = [Code(f"{known} = {flat}.clamp(0, {part.rows - 1})  # data may hold what the example did not")]
    if value.vocabulary:
        lines, known = [], flat
    if part.kind == "label":
        return [*lines, Code(f"{into} self.{name}_directions[{known}]")]
    pairs = f"{name}_pairs = self.{name}_first[{known}] + self.{name}_second[{known}.roll(-1, 1)]"
    return [*lines, Code(pairs), Code(f"{into} torch.tanh({name}_pairs).mean(1)")]
