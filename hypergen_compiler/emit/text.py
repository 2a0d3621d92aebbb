"""Text that may enter a generated file, and the templates that it enters.

Only `Code`, integers and None pass from Python into a template: a plain string is refused, so that no name or value of
the user's can become code without having gone through `names`, `literals` or `prose`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

__all__ = ["Code", "prose", "render"]


class Code(str):
    """Text that is known to be safe where it will stand."""

    __slots__ = ()


def prose(text: str) -> Code:
    """Any text made fit for one line of a docstring or of a comment."""
    single = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return Code(single.encode("ascii", "replace").decode().replace("\\", "/").replace('"', "'"))


def render(template: str, **values: object) -> str:
    """A template of `templates/`, filled in."""
    return environment().get_template(template).render(values)


def admit(value: object) -> object:
    if isinstance(value, Code | int) or value is None:
        return value
    raise TypeError(f"{type(value).__name__} {value!r} may not enter a template: use names, literals or prose")


@cache
def environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        finalize=admit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def template_folder() -> Path:
    """In a wheel the templates lie inside the package, in a checkout beside it."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"
