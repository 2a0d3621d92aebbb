"""Modules and data flow as trees for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from hypergen_compiler.inspection.functions import Function, functions
from hypergen_compiler.inspection.modules import Module, module_tree

__all__ = ["show_flow", "show_modules"]


def show_modules(manifest: Mapping[str, Any]) -> Tree:
    """Every module with the number of its weights, and whether they are emitted for each dataset."""
    tree = Tree(Text(""), hide_root=True)
    add_module(tree, module_tree(manifest["model"], manifest["layout"]))
    return tree


def add_module(tree: Tree, module: Module) -> None:
    own = ", ".join(f"{name} {shape}" for name, shape, _ in module.tensors)
    branch = tree.add(labelled(module.name, f"{module.weights:,}  {', '.join(sorted(module.kinds))}", own))
    for child in module.children.values():
        add_module(branch, child)


def show_flow(text: str, entries: Mapping[str, Any]) -> Tree:
    """Every entry point with the emitted functions that it calls, in order, and those that they call."""
    tree, known = Tree(Text(""), hide_root=True), functions(text)
    for name in entries:
        if name in known:
            add_function(tree, known[name], known)
    return tree


def add_function(tree: Tree, function: Function, known: Mapping[str, Function]) -> None:
    where = "{}:{}".format(*function.origin) if function.origin else ""
    branch = tree.add(labelled(function.name, function.shapes, where))
    for name in function.calls:
        add_function(branch, known[name], known)


def labelled(name: str, what: str, remark: str) -> Text:
    return Text.assemble((name, "bold"), f"  {what}", (f"  {remark}" if remark else "", "dim"))
