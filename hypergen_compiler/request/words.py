"""From the words of a command line to what is to be compiled."""

from __future__ import annotations

from hypergen_compiler.design import Request
from hypergen_compiler.errors import Progress
from hypergen_compiler.recipes import choose
from hypergen_compiler.request.example import count_inputs, resolve_example
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.references import bound
from hypergen_compiler.request.source import resolve_model

__all__ = ["request"]


def request(origin: Origin, progress: Progress) -> Request:
    """The model and example that the words name, and its entry points; `none` stands for no method."""
    progress("importing the model")
    model, description = resolve_model(origin.source, origin.settings)
    methods = [None if name == "none" else name for name in (origin.loss, origin.sample)]
    asked = None if origin.recipe is None else {**origin.recipe_settings, "name": origin.recipe}
    choice = choose(model, asked, methods[0])
    first = next((name for name in (methods[0], *origin.entries) if name), "forward")
    call = None if choice else bound(model, first)
    inputs = choice.recipe.inputs if choice else call and count_inputs(call)
    return Request(
        model,
        resolve_example(origin.example, inputs),
        *methods,
        entries=origin.entries,
        budget=origin.budget,
        recipe=asked,
        description=description,
        origin=origin,
        allow_frozen=origin.allow_frozen,
        head=origin.head,
        keep=tuple(origin.keep),
        penalty=origin.penalty,
        space=origin.penalty_space,
    )
