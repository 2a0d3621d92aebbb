"""From what a person types to a model: a reference to a class, factory or instance, and `key=value` settings."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.references import import_named, module_of, qualified
from hypergen_compiler.where import blame, definition

__all__ = ["Source", "describe_model", "parse_settings", "resolve_model"]

SEED = 0  # compiling twice gives the same weights


class Source(NamedTuple):
    """A model and how it was made, in words that name no folder: `source_model.ResVAE(channels=16, depth=3)`."""

    model: nn.Module
    description: str


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """`["depth=3", "kind=fast"]` to `{"depth": 3, "kind": "fast"}`. Raises HG105."""
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise HyperGenError("HG105", f"{text!r} is not key=value", remedy="Write for example `--set channels=16`.")
        try:
            settings[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[key] = value
    return settings


def resolve_model(source: str, settings: Mapping[str, Any] | None = None) -> Source:
    """The model that `source` names: a class, called with `settings`; a factory likewise; or an instance.

    torch's generator is seeded first, so that the same source gives the same weights. Raises HG101 if the source cannot
    be imported, HG102 if it names no model, HG103 if making the model fails and HG105 for settings of an instance.
    """
    settings = dict(settings or {})
    torch.manual_seed(SEED)  # before the import, for a module that makes an instance
    named = import_named(source)
    name = qualified(source)
    if isinstance(named, nn.Module):
        if settings:
            raise HyperGenError(
                "HG105",
                f"{name} is an instance already, which takes no settings",
                remedy="Leave out --set, or name its class.",
            )
        return Source(named, name)
    if not callable(named) or (isinstance(named, type) and not issubclass(named, nn.Module)):
        raise no_model(f"{name} is {kind(named)}", definition(named), module_of(source))
    torch.manual_seed(SEED)
    model = made(named, settings, name)
    if not isinstance(model, nn.Module):
        raise no_model(f"{name} returned {kind(model)}", definition(named), module_of(source))
    return Source(model, call(name, settings))


def describe_model(model: nn.Module) -> str:
    """What to call a model that was given as an object."""
    kind = type(model)
    main = getattr(sys.modules["__main__"], "__file__", None)
    module = Path(main).stem if kind.__module__ == "__main__" and main else kind.__module__
    return f"{module}.{kind.__qualname__}".replace("<locals>.", "")


def made(factory: Callable[..., Any], settings: dict[str, Any], name: str) -> Any:
    try:
        inspect.signature(factory).bind(**settings)
    except ValueError:
        pass  # written in C, without a signature
    except TypeError as error:
        raise HyperGenError(
            "HG103",
            f"{call(name, settings)}: {error}",
            where=definition(factory),
            remedy=f"Its arguments are {inspect.signature(factory)}. Give each as `--set name=value`.",
        ) from None
    try:
        return factory(**settings)
    except Exception as error:
        raise HyperGenError(
            "HG103",
            f"{call(name, settings)} fails: {type(error).__name__}: {error}",
            where=blame(error),
            remedy="Give it arguments that it accepts, each as `--set name=value`.",
        ) from error


def call(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"


def no_model(what: str, where: str | None, module: ModuleType | None) -> HyperGenError:
    """HG102, with the models that the module itself defines."""
    there = [name for name, value in vars(module).items() if is_model_of(value, module)] if module else []
    return HyperGenError(
        "HG102",
        what,
        where=where,
        remedy="Name an nn.Module class, an instance of one, or a function that returns one."
        + (f" There are {', '.join(there)}." if there else ""),
    )


def is_model_of(value: Any, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__


def kind(value: object) -> str:
    if isinstance(value, type):
        return "a class, but no nn.Module"
    return f"a value of type {type(value).__name__}, no nn.Module"
