"""`hypernetwork.py`: the set encoder, the base and the head of the plan."""

from __future__ import annotations

import torch

from hypergen_compiler.emit.batches import batch_names, has_fixed_values, item_kind, shape_text
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import FEATURES, HIDDEN, FeatureEncoder, Plan, kernel
from hypergen_compiler.program import Affine, Program

__all__ = ["hypernetwork"]


def hypernetwork(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The module that turns a dataset into weights."""
    names = batch_names(plan)
    frozen = layout.trained < layout.size
    loss = program.entry(program.loss)
    dtypes = [value.dtype for value in loss.inputs if value.is_tensor]
    limits = [value.vocabulary for value in loss.inputs if value.is_tensor]
    encoders = list(zip(plan.encoder, names, dtypes, limits, strict=True))
    return render(
        "hypernetwork.py.j2",
        items=item_kind(plan),
        model=prose(program.model),
        header=header(program),
        rank=plan.rank,
        parameters=Code(f"{plan.parameters:,}"),
        weights=Code(f"{layout.weights:,}"),
        imports=Code("EMITTED, LAYOUT, initial_weights" if frozen else "LAYOUT, SIZE, initial_weights"),
        features=FEATURES,
        hidden=HIDDEN,
        loss=identifier(program.loss),
        fixed_values=has_fixed_values(loss),
        kinds={part.kind for part in plan.encoder},
        parts=[
            {"attribute": Code(f"{name}_features"), "module": module(part), "value": value(part, name, dtype, limit)}
            for part, name, dtype, limit in encoders
        ],
        signature=Code(", ".join(f"{name}: Tensor" for name in names)),
        shapes=Code(", ".join(shape_text((Affine(1), *part.shape)) for part in plan.encoder)),
        frozen=frozen,
        emitted=Code("EMITTED" if frozen else "SIZE"),
        embedding=Code("embedding" if layout.dtype == torch.float32 else f"embedding.to({layout.dtype})"),
    )


def module(part: FeatureEncoder) -> Code:
    """The constructor of the features of one input."""
    if part.kind == "image":
        return Code(f"ImageFeatures(channels={part.shape[0]}, kernel={kernel(part.shape)})")
    if part.kind == "vector":
        return Code(f"VectorFeatures({torch.Size(part.shape).numel()})")
    if part.kind == "tokens":
        return Code(f"TokenFeatures({part.rows})")
    return Code(f"nn.Embedding({part.rows}, FEATURES)")


def value(part: FeatureEncoder, name: Code, dtype: torch.dtype, limit: int | None) -> Code:
    """An input as its features take it: floats of single precision, integers below the number of rows."""
    if part.kind in ("image", "vector"):
        single = name if dtype == torch.float32 else f"{name}.float()"
        return Code(f"{single} / {part.rows}" if part.rows else single)
    return Code(name if limit else f"{name}.clamp(0, {part.rows - 1})")
