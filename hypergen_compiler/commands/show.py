"""What a person sees of a package: tables for the terminal, from the manifest and the folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hypergen_compiler.inspection.plan_rows import plan_rows

if TYPE_CHECKING:
    from hypergen_compiler.owning.vendor import Vendored
    from hypergen_compiler.verification.findings import Check, Verification

__all__ = [
    "pairs",
    "show_alternatives",
    "show_design",
    "show_files",
    "show_published",
    "show_vendored",
    "show_verification",
]


def show_published(manifest: Mapping[str, Any], folder: Path) -> RenderableType:
    """What was compiled, and what to do with it."""
    plan, layout = manifest["plan"], manifest["layout"]
    rows = [
        ("package", f"{manifest['name']} in {folder}"),
        ("model", f"{manifest['model']}, {layout['weights']:,} weights"),
        ("entry points", ", ".join(manifest["entries"])),
        ("hypernetwork", f"{plan['head']}, {plan['parameters']:,} parameters"),
    ]
    if manifest.get("recipe"):
        rows.insert(3, ("recipe", recipe_text(manifest["recipe"])))
    if manifest["loss"] and (manifest["options"] or {}).get("single_file"):
        rows.append(("train it", f"python {folder / manifest['name']}.py train DATA --out RUN"))
    elif manifest["loss"]:
        rows.append(("train it", f"python -m {manifest['name']}.train DATA --out RUN   (in the folder's parent)"))
    return pairs(rows)


def show_vendored(copy: Vendored) -> RenderableType:
    """Where the copy is, how it is imported, and what its tests said."""
    return pairs(
        [("copy", f"{copy.path} in {copy.folder}"), ("its tests", f"{copy.tests}, with torch, numpy and pytest alone")]
    )


def show_design(manifest: Mapping[str, Any]) -> RenderableType:
    """Entry points, the recipe if there is one, layout and plan."""
    recipe = [section("recipe", Text(recipe_text(manifest["recipe"])))] if manifest.get("recipe") else []
    return Group(
        section("entry points", show_entries(manifest)),
        *recipe,
        section("layout", show_layout(manifest["layout"])),
        section("plan", pairs(plan_rows(manifest["plan"]))),
    )


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """`ddpm (timesteps=1000, schedule=linear), chosen since it is a U-Net of diffusers`"""
    known = {name: value for name, value in recipe["settings"].items() if value is not None}
    plain = {name: value["literal"] if isinstance(value, dict) else value for name, value in known.items()}
    settings = ", ".join(f"{name}={value}" for name, value in plain.items())
    reason = f", chosen since {recipe['recognised']}" if recipe["recognised"] else ""
    return recipe["name"] + (f" ({settings})" if settings else "") + reason


def show_entries(manifest: Mapping[str, Any]) -> Table:
    table = columns("name", "inputs", "outputs", "method", "where")
    for name, entry in manifest["entries"].items():
        roles = [role for role in ("loss", "sample") if manifest[role] == name and name != role]
        inputs = ", ".join(
            f"{item['name']}{shape_text(item['shape']) if 'shape' in item else ''}" for item in entry["inputs"]
        )
        outputs = ", ".join(map(shape_text, entry["outputs"]))
        row(
            table,
            " ".join([name, *(f"({r})" for r in roles)]),
            inputs,
            outputs,
            entry["method"] or "",
            entry["origin"] or "",
        )
    return table


def show_layout(layout: Mapping[str, Any]) -> RenderableType:
    table = columns("tensor", "shape", "offset", "")
    for slot in layout["slots"]:
        beside = slot["offset"] >= layout.get("critic", layout["size"])
        remarks = [] if slot["trained"] else ["trained beside" if beside else "kept as it is"]
        if slot["trained"] and not slot["conditioned"]:
            remarks.append("the same for all datasets" if slot.get("gain") is None else "its channels have gains")
        if slot["name"] in layout.get("without_gain", {}):
            remarks.append(f"no gain: {layout['without_gain'][slot['name']]}")
        if slot["aliases"]:
            remarks.append(f"also {', '.join(slot['aliases'])}")
        row(table, slot["name"], shape_text(slot["shape"]), f"{slot['offset']:,}", "; ".join(remarks))
    total = f"{layout['size']:,} elements of {layout['dtype']}, {layout['weights']:,} of them weights, "
    total += f"{layout['emitted']:,} emitted"
    if layout["conditioned"] < layout["emitted"]:
        total += f", {layout['conditioned']:,} of these for each dataset"
    if layout.get("gains"):
        total += f" and {layout['gains']:,} gains"
    return Group(table, Text(f"  {total}"))


def show_alternatives(rows: Iterable[Mapping[str, Any]], why: str) -> RenderableType:
    """The heads that the planner weighed, and why it chose the one that it did."""
    from hypergen_compiler.plan.step import ITEMS

    table = columns("head", "rank", "parameters", "per weight", "peak MB", "step over plain", "fits", "")
    for item in rows:
        row(
            table,
            item["head"],
            str(item["rank"]),
            f"{item['parameters']:,}",
            f"{item['per_weight']:.2f}",
            f"{item['memory'] / 1e6:,.1f}",
            "not run" if item["over_plain"] is None else f"{item['over_plain']:.2f}",
            {None: "", True: "yes", False: "no"}[item["fits"]],
            "chosen" if item["chosen"] else "",
        )
    note = f"Peak and step are predicted, for {ITEMS} items of a step without the penalty."
    return section("alternatives", Group(table, Text(f"  {why} {note}")))


def show_files(manifest: Mapping[str, Any], folder: Path, edited: list[str], unknown: list[str]) -> RenderableType:
    """Every file with its size, and what happened to it since it was published."""
    table = columns("file", "bytes", "")
    for path in sorted(manifest["files"]):
        file = folder / path
        remark = "" if path not in edited else "edited" if file.is_file() else "missing"
        row(table, path, f"{file.stat().st_size:,}" if file.is_file() else "", remark)
    for path in unknown:
        row(table, path, f"{(folder / path).lstat().st_size:,}", "not HyperGen's")
    return section("files", table)


def show_verification(verification: Verification) -> RenderableType:
    """One line per entry point, mode and what was compared; every failure in full; the notes."""
    table = columns("entry point", "mode", "batch", "checked", "result")
    for (entry, mode, what), checks in grouped(verification.checks).items():
        sizes = ", ".join(str(n) for n in dict.fromkeys(check.batch for check in checks) if n)
        row(table, entry, mode, sizes, what, result(checks))
    failures = [Text(f"failed: {check.what} of {check.place}: {check.detail}") for check in verification.failures]
    return Group(table, *failures, *(Text(f"note: {note}") for note in verification.notes))


def grouped(checks: Iterable[Check]) -> dict[tuple[str, str, str], list[Check]]:
    groups: dict[tuple[str, str, str], list[Check]] = {}
    for check in checks:
        groups.setdefault((check.entry, check.mode, check.what), []).append(check)
    return groups


def result(checks: list[Check]) -> str:
    failed = sum(not check.ok for check in checks)
    if failed:
        return f"{failed} of {len(checks)} failed"
    return next((check.detail for check in checks if not check.exact), checks[0].detail)


def section(title: str, content: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), content, Text(""))


def columns(*names: str) -> Table:
    table = Table(box=None, pad_edge=True, header_style="dim")
    for name in names:
        right = name in ("offset", "bytes")
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    return table


def row(table: Table, *cells: str) -> None:
    """Texts as they are: brackets in them are shapes, not markup."""
    table.add_row(*map(Text, cells))


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values, one pair a line."""
    table = Table(box=None, show_header=False)
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    return table


def shape_text(shape: Iterable[int | str]) -> str:
    return f"[{', '.join(map(str, shape))}]"
