"""What a training step of a hypernetwork costs: bytes held at its peak, and bytes moved through memory.

A step is that of the emitted training loop without the penalty: EPISODES datasets of ITEMS items each.
"""

from __future__ import annotations

import math

import torch.fx

from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan.heads import BYTES, Candidate
from hypergen_compiler.program import Affine, Dimension, Extent, Program

__all__ = ["EPISODES", "ITEMS", "activation_bytes", "moved_bytes", "peak_bytes"]

EPISODES, ITEMS = 4, 64
VALUE_AND_MOMENTS = 12  # bytes of a parameter while there is no gradient
# What a step moves for each parameter: emission reads 4 bytes, backward writes 4, clipping reads 8 and writes 4, Adam
# reads 16 and writes 12.
MOVED_PER_PARAMETER = 48
# What it moves for each emitted element of a dataset: product, sum with the base, gradient, their gathering.
MOVED_PER_ELEMENT = 40
# Calls whose backward pass needs neither their inputs nor their output.
FORGETFUL = frozenset(
    """add add_ sub sub_ rsub neg sum mean view reshape flatten unflatten expand squeeze unsqueeze permute transpose
    chunk split cat stack contiguous to float type_as movedim repeat roll pad select __getitem__ getitem project size
    unbind detach narrow expand_as view_as T mT""".split()
)
KEEPS_OUTPUT = frozenset(
    "relu relu_ tanh sigmoid exp sqrt rsqrt softmax log_softmax elu leaky_relu dropout normalize".split()
)
KEEPS_ANOTHER = frozenset("cross_entropy log_softmax dropout batch_norm instance_norm group_norm".split())


def peak_bytes(program: Program, layout: ParameterLayout, option: Candidate) -> int:
    """The most memory that tensors take during a step: at the end of the forward pass, or while the head's gradient is
    written. What kernels take for themselves and the data outside the step are not counted."""
    itemsize = layout.dtype.itemsize
    parameters, emitted = option.all_parameters, EPISODES * layout.size * itemsize
    fixed = buffer_bytes(layout, option)
    forward = VALUE_AND_MOMENTS * parameters + emitted + EPISODES * activation_bytes(program, ITEMS)
    backward = BYTES * parameters + 2 * emitted
    return fixed + max(forward, backward)


def buffer_bytes(layout: ParameterLayout, option: Candidate) -> int:
    """Bytes of what is held but not trained: scales, and what is frozen."""
    scales = {"base": 0, "chunked-alone": 2}.get(option.head, 1)
    return layout.dtype.itemsize * (scales * option.conditioned + layout.size - layout.trained)


def moved_bytes(layout: ParameterLayout, option: Candidate) -> int:
    """Bytes that a step reads and writes on top of the model's own work."""
    return MOVED_PER_PARAMETER * option.all_parameters + MOVED_PER_ELEMENT * EPISODES * layout.size


def activation_bytes(program: Program, items: int) -> int:
    """Bytes that one forward pass of the loss keeps for its backward pass, as far as its recorded calls tell."""
    if program.loss is None:
        return 0
    kept: dict[object, int] = {}
    for node in program.entry(program.loss).graph.nodes:
        if node.op == "call_function" and "shape" in node.meta and node.meta.get("dtype") is not None:
            size = math.prod(at(side, items) for side in node.meta["shape"]) * node.meta["dtype"].itemsize
            if is_kept(node):
                kept[node.meta["storage"]] = max(size, kept.get(node.meta["storage"], 0))
            if name_of(node) in KEEPS_ANOTHER and node.all_input_nodes:
                kept[node] = input_bytes(node.all_input_nodes[0], items)
    return sum(kept.values())


def is_kept(node: torch.fx.Node) -> bool:
    return name_of(node) in KEEPS_OUTPUT or any(name_of(user) not in FORGETFUL for user in node.users)


def input_bytes(node: torch.fx.Node, items: int) -> int:
    if "shape" not in node.meta:
        return 0
    return math.prod(at(side, items) for side in node.meta["shape"]) * node.meta["dtype"].itemsize


def name_of(node: torch.fx.Node) -> str:
    return "output" if node.op == "output" else getattr(node.target, "__name__", str(node.target))


def at(side: Dimension | Extent, items: int) -> int:
    if isinstance(side, Extent):
        return side.usual
    return side.at(items) if isinstance(side, Affine) else side
