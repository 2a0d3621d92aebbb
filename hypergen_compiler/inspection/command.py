"""`hypergen inspect`: what it reads of a folder, and the page that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from hypergen_compiler.commands.show import section, show_design, show_files
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.inspection.functions import model_file
from hypergen_compiler.inspection.page import inspection_page
from hypergen_compiler.inspection.sources import behind
from hypergen_compiler.inspection.tree import show_flow, show_modules
from hypergen_compiler.publishing.manifest import edited_files, unknown_files

__all__ = ["inspected", "write_page"]


def inspected(manifest: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], RenderableType]:
    """The manifest with what became of its files, and all of it for a terminal."""
    edited, unknown = edited_files(folder, manifest), unknown_files(folder, manifest)
    sizes = {path: (folder / path).stat().st_size for path in manifest["files"] if (folder / path).is_file()}
    texts = texts_of(manifest, folder)
    shown = Group(
        show_design(manifest),
        section("modules", show_modules(manifest)),
        section("data flow", show_flow(texts.get(model_file(manifest["name"], texts), ""), manifest["entries"])),
        show_files(manifest, folder, edited, unknown),
    )
    return {**manifest, "sizes": sizes, "edited": edited, "unknown": unknown}, shown


def write_page(manifest: Mapping[str, Any], folder: Path, page: Path) -> None:
    """Raises HG501 where the page cannot be written."""
    texts = texts_of(manifest, folder)
    text = inspection_page(manifest, texts, behind(manifest, texts))
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HyperGenError(
            "HG501", f"{page} cannot be written: {error.strerror}", remedy="Name another file with --html."
        ) from error


def texts_of(manifest: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The package's Python files as they lie in the folder, by path."""
    paths = [path for path in sorted(manifest["files"]) if path.endswith(".py") and (folder / path).is_file()]
    return {path: (folder / path).read_text(encoding="utf-8") for path in paths}
