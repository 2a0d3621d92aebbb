"""From the words of a command line to what is to be compiled."""

from __future__ import annotations

from hypergen_compiler.example import count_inputs, resolve_example
from hypergen_compiler.manifest import Origin
from hypergen_compiler.pipeline import Request
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
) -> Request:
    """The model and example that the command line names, and its entry points; `none` stands for no method."""
    given = parse_settings(settings)
    tell("importing the model")
    model, description = resolve_model(source, given)
    methods = [None if name == "none" else name for name in (loss, sample)]
    first = next((name for name in (methods[0], *entries) if name), "forward")
    inputs = count_inputs(getattr(model, first)) if hasattr(model, first) else None
    return Request(
        model,
        resolve_example(example, inputs),
        *methods,
        entries=entries,
        budget=budget,
        description=description,
        origin=Origin(source, given, example),
    )
