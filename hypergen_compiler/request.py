"""From the words of a command line to what is to be compiled."""

from __future__ import annotations

from collections.abc import Sequence

from hypergen_compiler.example import count_inputs, resolve_example
from hypergen_compiler.manifest import Origin
from hypergen_compiler.pipeline import Request
from hypergen_compiler.recipes import choose
from hypergen_compiler.source import parse_settings, resolve_model
from hypergen_compiler.terminal import tell

__all__ = ["request"]


def request(
    source: str,
    example: str,
    loss: str,
    sample: str,
    entries: list[str],
    settings: list[str],
    budget: str | None,
    allow_frozen: bool = False,
    recipe: str | None = None,
    recipe_settings: Sequence[str] = (),
    head: str | None = None,
    keep: Sequence[str] = (),
) -> Request:
    """The model and example that the command line names, and its entry points; `none` stands for no method."""
    given = parse_settings(settings)
    tell("importing the model")
    model, description = resolve_model(source, given)
    methods = [None if name == "none" else name for name in (loss, sample)]
    asked = None if recipe is None else {**parse_settings(recipe_settings), "name": recipe}
    choice = choose(model, asked, methods[0])
    first = next((name for name in (methods[0], *entries) if name), "forward")
    inputs = choice.recipe.inputs if choice else count_inputs(getattr(model, first)) if hasattr(model, first) else None
    return Request(
        model,
        resolve_example(example, inputs),
        *methods,
        entries=entries,
        budget=budget,
        recipe=asked,
        description=description,
        origin=Origin(source, given, example),
        allow_frozen=allow_frozen,
        head=head,
        keep=tuple(keep),
    )
