"""What a training step of a hypernetwork costs: bytes held at its peak, bytes moved through memory, and small calls.

A step is that of the emitted training loop without the penalty: `datasets` of ITEMS items in all.
"""

from __future__ import annotations

import math

import torch.fx

from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan.heads import BYTES, HIDDEN, Candidate, is_matrix
from hypergen_compiler.plan.step import ITEMS, datasets
from hypergen_compiler.program import Affine, Dimension, Extent, Program

__all__ = ["activation_bytes", "moved_bytes", "peak_bytes", "small_calls"]

GRADIENT, AVERAGE = 4, 4  # bytes of a parameter: its gradient, within BYTES, and its moving average, on top
# What a step moves for each parameter: emission reads 4 bytes, backward writes 4, clipping reads 8 and writes 4, Adam
# reads 16 and writes 12, the average reads 8 and writes 4.
MOVED_PER_PARAMETER = 60
# What it moves for each emitted element of a dataset: product, sum with the base, gradient, their gathering.
MOVED_PER_ELEMENT = 40
# How often what a matrix with gains makes goes through memory: scaling reads and writes it; backward reads the gradient
# twice and the result once, writes both products, and reads one to sum it up.
PASSES_OF_GAINS = 8
# Small calls on top of the model's own, each with its backward pass: reading datasets, emission, clipping and Adam, and
# for every tensor its views and their gradients. In a pass that datasets share a small tensor also meets its batch.
CALLS_APART, PER_TENSOR = 90, 12
CALLS_TOGETHER, PER_SMALL, PER_GAIN = 200, 9, 4
# Calls whose backward pass needs neither their inputs nor their output, those that need their output, and those that
# keep a further tensor of their input's size: a mask, or logarithms.
FORGETFUL = frozenset(
    """add add_ sub sub_ rsub neg sum mean view reshape flatten unflatten expand squeeze unsqueeze permute transpose
    chunk split cat stack contiguous to float type_as movedim repeat roll pad select __getitem__ getitem project size
    unbind detach narrow expand_as view_as swapaxes output""".split()
)
KEEPS_OUTPUT = frozenset("relu relu_ tanh sigmoid exp sqrt rsqrt softmax log_softmax elu leaky_relu".split())
KEEPS_ANOTHER = frozenset("cross_entropy dropout".split())
SCALING = frozenset("mul div truediv".split())  # forgetful where the other factor is a number


def peak_bytes(program: Program, layout: ParameterLayout, option: Candidate) -> int:
    """The most memory that tensors take during a step: at the end of the forward pass, or while the head's gradient is
    written. What kernels take for themselves and the data outside the step are not counted."""
    itemsize = layout.dtype.itemsize
    parameters, emitted = option.all_parameters, emitted_elements(layout, option) * itemsize
    fixed = buffer_bytes(layout, option)
    chunks = -(-option.conditioned // option.chunk) if option.chunk else 0
    hidden = datasets(option.together) * HIDDEN * chunks * itemsize
    kept = activation_bytes(program, ITEMS) + gained_bytes(program, layout, option, ITEMS)
    kept += normed_bytes(program, ITEMS) if option.together else 0
    forward = (BYTES + AVERAGE - GRADIENT) * parameters + emitted + hidden + kept
    backward = (BYTES + AVERAGE) * parameters + 2 * emitted
    return fixed + max(forward, backward)


def normed_bytes(program: Program, items: int) -> int:
    """Bytes that gains of datasets add to batch normalisation: what it gives before them is kept, and for a while there
    are two more of the largest, results in the forward pass and gradients in the backward pass."""
    nodes = program.entry(program.loss).graph.nodes
    sizes = [node_bytes(node, items) for node in nodes if name_of(node) == "batch_norm"]
    return sum(sizes) + 2 * max(sizes, default=0)


def buffer_bytes(layout: ParameterLayout, option: Candidate) -> int:
    """Bytes of what is held but not trained: scales, and what is frozen."""
    scales = {"base": 0, "chunked-alone": 2}.get(option.head, 1)
    return layout.dtype.itemsize * (scales * option.conditioned + layout.size - layout.trained)


def emitted_elements(layout: ParameterLayout, option: Candidate) -> int:
    """How many elements are made for all datasets of a step; in a pass that they share, those that differ."""
    return datasets(option.together) * (option.conditioned if option.together else layout.size)


def moved_bytes(program: Program, layout: ParameterLayout, option: Candidate) -> int:
    """Bytes that a step reads and writes on top of the model's own work."""
    emission = MOVED_PER_PARAMETER * option.all_parameters + MOVED_PER_ELEMENT * emitted_elements(layout, option)
    return emission + PASSES_OF_GAINS * gained_bytes(program, layout, option, ITEMS)


def small_calls(layout: ParameterLayout, option: Candidate) -> int:
    """How many small calls a step makes on top of the model's own work; in a small model they take most of the time."""
    if not option.together:
        return CALLS_APART + PER_TENSOR * len(layout.slots)
    small = sum(slot.conditioned and not is_matrix(slot) for slot in layout.slots)
    gained = sum(slot.gain is not None for slot in layout.slots) if option.head == "gains" else 0
    return CALLS_TOGETHER + PER_SMALL * small + PER_GAIN * gained


def gained_bytes(program: Program, layout: ParameterLayout, option: Candidate, items: int) -> int:
    """Bytes of what matrices with gains make in one forward pass of the loss, kept for the gradients of the gains."""
    if program.loss is None or option.head != "gains" or not option.together:
        return 0
    gained = {slot.name for slot in layout.slots if slot.gain is not None}
    calls = (node for node in program.entry(program.loss).graph.nodes if node.op == "call_function")
    return sum(node_bytes(node, items) for node in calls if gained & {source.target for source in node.all_input_nodes})


def activation_bytes(program: Program, items: int) -> int:
    """Bytes that one forward pass of the loss keeps for its backward pass, as far as its recorded calls tell."""
    if program.loss is None:
        return 0
    nodes = list(program.entry(program.loss).graph.nodes)
    held = {node.meta.get("storage") for node in nodes if node.op != "call_function"}  # weights, buffers and data
    sizes: dict[object, int] = {}
    for node in nodes:
        storage = node.meta.get("storage")
        sizes[storage] = max(node_bytes(node, items), sizes.get(storage, 0))
    made = [node for node in nodes if node.op == "call_function"]
    kept = {node.meta.get("storage") for node in made if is_kept(node)} - held
    return sum(sizes[storage] for storage in kept) + sum(extra_bytes(node, items) for node in made)


def extra_bytes(node: torch.fx.Node, items: int) -> int:
    """What a call keeps besides its inputs and its output."""
    if name_of(node) in KEEPS_ANOTHER:
        return node_bytes(node.all_input_nodes[0], items)
    if name_of(node) == "scaled_dot_product_attention" and "dropout_p" in node.kwargs:
        return attention_bytes(node, items)
    return 0


def attention_bytes(node: torch.fx.Node, items: int) -> int:
    """What attention keeps with dropout, for which torch takes no fused kernel: scaled queries and keys, the softmax,
    the mask, and their product."""
    query, key = node.all_input_nodes[:2]
    width = at(query.meta["shape"][-1], items)
    scores = node_bytes(query, items) // width * at(key.meta["shape"][-2], items)
    return node_bytes(query, items) + node_bytes(key, items) + 3 * scores


def is_kept(node: torch.fx.Node) -> bool:
    """Whether a call's output is needed in the backward pass, by the call itself or by one that takes it."""
    return name_of(node) in KEEPS_OUTPUT or any(needs_inputs(user) for user in node.users)


def needs_inputs(node: torch.fx.Node) -> bool:
    name = name_of(node)
    scaled = name in SCALING and len(node.all_input_nodes) < 2
    return not scaled and name not in FORGETFUL | KEEPS_OUTPUT | KEEPS_ANOTHER


def name_of(node: torch.fx.Node) -> str:
    return "output" if node.op == "output" else getattr(node.target, "__name__", str(node.target))


def node_bytes(node: torch.fx.Node, items: int) -> int:
    if "shape" not in node.meta or node.meta.get("dtype") is None:
        return 0
    return math.prod(at(side, items) for side in node.meta["shape"]) * node.meta["dtype"].itemsize


def at(side: Dimension | Extent, items: int) -> int:
    if isinstance(side, Extent):
        return side.usual
    return side.at(items) if isinstance(side, Affine) else side
