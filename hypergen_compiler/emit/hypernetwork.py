"""`hypernetwork.py`: the set encoder, the base and the head of the plan."""

from __future__ import annotations

import torch

from hypergen_compiler.emit.batches import batch_names, has_fixed_values, item_kind, shape_text
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import FEATURES, LARGEST_SIDE, FeatureEncoder, Plan
from hypergen_compiler.program import Affine, Input, Program

__all__ = ["hypernetwork"]


def hypernetwork(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The module that turns a dataset into weights."""
    names = batch_names(plan)
    frozen = layout.trained < layout.size
    loss = program.entry(program.loss)
    tensors = [value for value in loss.inputs if value.is_tensor]
    return render(
        "hypernetwork.py.j2",
        items=item_kind(plan),
        model=prose(program.model),
        header=header(program),
        rank=plan.rank,
        parameters=Code(f"{plan.parameters:,}"),
        weights=Code(f"{sum(slot.size for slot in layout.slots if slot.trained):,}"),
        imports=Code("EMITTED, LAYOUT, initial_weights" if frozen else "LAYOUT, SIZE, initial_weights"),
        features=FEATURES,
        loss=identifier(program.loss),
        fixed_values=has_fixed_values(loss),
        parts=[
            {"name": name, "tables": tables(part, name), "lines": projected(part, name, value)}
            for part, name, value in zip(plan.encoder, names, tensors, strict=True)
        ],
        read=Code(", ".join(f"{name}_read" for name in names)),
        signature=Code(", ".join(f"{name}: Tensor" for name in names)),
        pooled=any(part.kind == "image" and max(part.shape[1:]) > LARGEST_SIDE for part in plan.encoder),
        shapes=Code(", ".join(shape_text((Affine(1), *part.shape)) for part in plan.encoder)),
        frozen=frozen,
        critic=program.critic is not None,
        emitted=Code("EMITTED" if frozen else "SIZE"),
        embedding=Code("embedding" if layout.dtype == torch.float32 else f"embedding.to({layout.dtype})"),
    )


def tables(part: FeatureEncoder, name: Code) -> list[dict[str, Code | int]]:
    """The random tables that an input is projected with: tokens need one for each place in a pair."""
    ends = ("first", "second") if part.kind == "tokens" else ("directions",)
    return [{"name": Code(f"{name}_{end}"), "rows": part.rows} for end in ends]


def projected(part: FeatureEncoder, name: Code, value: Input) -> list[Code]:
    """The statements that make an input's projections, [n, FEATURES]."""
    if part.kind in ("image", "vector"):
        single = name if value.dtype == torch.float32 else Code(f"{name}.float()")
        if part.kind == "image" and max(part.shape[1:]) > LARGEST_SIDE:
            sides = ", ".join(str(min(size, LARGEST_SIDE)) for size in part.shape[1:])
            single = Code(f"F.adaptive_avg_pool2d({single}, ({sides}))")
        return [Code(f"{name}_read = {single}.reshape({name}.shape[0], -1) @ self.{name}_directions")]
    flat = f"{name}.flatten(1)" if len(part.shape) > 1 else name
    known = f"{name}_known"
    lines = [Code(f"{known} = {flat}.clamp(0, {part.rows - 1})  # data may hold what the example did not")]
    if value.vocabulary:
        lines, known = [], flat
    if part.kind == "label":
        return [*lines, Code(f"{name}_read = self.{name}_directions[{known}]")]
    pairs = f"{name}_pairs = self.{name}_first[{known}] + self.{name}_second[{known}.roll(-1, 1)]"
    return [*lines, Code(pairs), Code(f"{name}_read = torch.tanh({name}_pairs).mean(1)")]
