"""How emitted code writes a dataset: the names, shapes and expressions of what the loss takes."""

from __future__ import annotations

from collections.abc import Sequence

from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import Namespace
from hypergen_compiler.emit.text import Code, prose
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Affine, Dimension, Entry, Input, Program

__all__ = [
    "argument",
    "batch_names",
    "content",
    "has_fixed_values",
    "is_grouped",
    "is_picture",
    "item_kind",
    "loss_arguments",
    "reads_pictures",
    "reads_text",
    "shape_text",
    "size_tuple",
    "sized",
    "source_kinds",
    "token_bytes",
]

TAKEN = frozenset("batch dataset datasets drawn loss losses model n parts samples weights zip".split())


def batch_names(plan: Plan) -> list[Code]:
    """The variable of each tensor that a dataset consists of, named as the loss's own argument."""
    names = Namespace(TAKEN)
    return [names.claim(part.name) for part in plan.encoder]


def sized(size: Dimension, n: str = "n") -> Code:
    """A size that may follow the batch, as an expression of its size n."""
    if isinstance(size, int):
        return literal(size)
    text = n if size.slope == 1 else f"{size.slope} * {n}"
    return Code(text + (f" {'-' if size.offset < 0 else '+'} {abs(size.offset)}" if size.offset else ""))


def size_tuple(shape: Sequence[Dimension], n: str = "n") -> Code:
    """A shape as a tuple: `(n, 1, 28, 28)`."""
    sizes = [sized(size, n) for size in shape]
    return Code(f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})")


def shape_text(shape: Sequence[Dimension], n: str = "n") -> Code:
    """A shape as people write it: `[n, 1, 28, 28]`."""
    return Code(f"[{', '.join(sized(size, n) for size in shape)}]")


def argument(value: Input, n: str) -> Code:
    """What stands in a call for an input that is not a tensor: a literal, or an expression of the batch size."""
    return Code(n) if value.name == "n" and value.value is None else literal(value.value)


def has_fixed_values(entry: Entry) -> bool:
    """Whether an entry point takes more than tensors."""
    return not all(value.is_tensor for value in entry.inputs)


def loss_arguments(program: Program, names: Sequence[Code], loss: str | None = None) -> Code:
    """The inputs of a call of the program's loss, or of another that takes the same, tensors under the given names."""
    tensors = iter(names)
    size = f"{names[0]}.shape[0]"
    inputs = program.entry(loss or program.loss).inputs
    return Code(", ".join(next(tensors) if value.is_tensor else argument(value, size) for value in inputs))


def item_kind(plan: Plan) -> Code:
    """What the items of a dataset are called in prose."""
    words = {
        "image": "images",
        "vector": "vectors",
        "moments": "numbers",
        "tokens": "token sequences",
        "label": "labels",
    }
    first, *others = (words[part.kind] for part in plan.encoder)
    return Code(f"{first} with {' and '.join(others)}" if others else first)


def reads_pictures(plan: Plan) -> bool:
    """Whether items are grey or RGB images, which files of pictures hold."""
    return plan.encoder[0].kind == "image" and plan.encoder[0].shape[0] in (1, 3)


def is_picture(program: Program, plan: Plan) -> bool:
    """Whether samples can be drawn as a picture: the model has a sampler, and items are grey or RGB images."""
    return program.sample is not None and reads_pictures(plan)


def is_grouped(plan: Plan) -> bool:
    """Whether data without labels is divided into groups: what a statistical model describes is no mixture of any."""
    return not plan.statistical


def token_bytes(plan: Plan) -> int | None:
    """How many bytes a token takes in a file of nothing else; None where the model takes no sequences of them."""
    rows = next((part.rows for part in plan.encoder if part.kind == "tokens" and len(part.shape) == 1), None)
    return None if rows is None else next(size for size in (1, 2, 4) if rows <= 256**size)


def reads_text(plan: Plan) -> bool:
    """Whether tokens may be the bytes of a text: ASCII, or any."""
    rows = next((part.rows for part in plan.encoder if part.kind == "tokens" and len(part.shape) == 1), 0)
    return 128 <= rows <= 256


def source_kinds(plan: Plan) -> Code:
    """What data can be read from, in words."""
    kinds = [".npz", ".npy", ".pt", ".safetensors"]
    kinds += [".txt"] if reads_text(plan) else []
    kinds += [] if token_bytes(plan) is None else [".bin"]
    kinds += ["a folder of pictures"] if reads_pictures(plan) else []
    return Code(f"{', '.join(kinds)} or module:function")


def content(plan: Plan) -> Code:
    """What data holds, for a command's help."""
    fields = [f"{prose(part.name)} {shape_text((Affine(1), *part.shape))}" for part in plan.encoder]
    return Code(f"{', '.join(fields)}: {source_kinds(plan)}".replace("%", "%%"))
