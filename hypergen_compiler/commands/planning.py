"""What `hypergen plan` shows: the design of a package that is not written, and what it was chosen from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group

from hypergen_compiler.commands.show import show_alternatives, show_design
from hypergen_compiler.commands.terminal import tell
from hypergen_compiler.design import alternatives, design
from hypergen_compiler.pipeline import package_name
from hypergen_compiler.plan.alternatives import reason
from hypergen_compiler.publishing.manifest import describe_package
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.words import request

__all__ = ["planned"]

SHOWN = ("model", "entries", "loss", "sample", "recipe", "layout", "plan")


def planned(origin: Origin, name: str | None) -> tuple[dict[str, Any], Group]:
    """The plan as values of JSON, and as tables for a terminal."""
    asked = request(origin, tell)
    found = design(asked, package_name(name, "package"), tell)
    described = describe_package(found, asked.origin, None, {})
    weighed, why = [asdict(row) for row in alternatives(found, tell)], reason(found.plan)
    values = {key: described[key] for key in SHOWN} | {"alternatives": weighed, "reason": why}
    return values, Group(show_design(described), show_alternatives(weighed, why))
