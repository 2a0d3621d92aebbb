"""All of a package's modules as one, for those who paste."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hypergen_compiler.emit.global_names import bound_names, with_globals_renamed
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Program

__all__ = ["single_file"]

ORDER = tuple(
    "weights layers model hypernetwork objective processes chains storage pictures sources items data groups loader "
    "episodes checkpoint mixtures calibration batch_norm samples export settings optimizer faults dependence "
    "validation learner log curves training train".split()
)
COMMANDS = ("train", "export")
KEPT = ("weights", "layers")  # modules whose names stay: they are read as attributes too
HEADER_LINES = 3  # the header and the empty line before it, in a module's docstring


class Key(NamedTuple):
    """What a name of a module stands for: a definition of the module `home`, an import, or the one module itself."""

    home: str
    what: str


ITSELF = "the one module"  # the home of what stands for a module of the package
TABLE = Key("", "commands")


@dataclass(frozen=True)
class Part:
    """One module: its name, its statements, and what its globals stand for."""

    name: str
    text: str
    tree: ast.Module
    globals: Mapping[str, Key]


def single_file(files: Mapping[str, bytes], program: Program) -> dict[str, bytes]:
    """The files of a package as `NAME.py`, `tensors.pt` and `test_NAME.py`.

    Names that two modules give to different things get the module's name in front, those of entry points stay.
    Raises HG211 for an entry point that is called like something of `weights.py` or `layers.py`, whose names stay too.
    """
    texts = {name: files[f"{name}.py"].decode() for name in ORDER if f"{name}.py" in files}
    parts = [read(name, text) for name, text in texts.items()]
    names = chosen_names(parts, [identifier(entry.name, "entry") for entry in program.entries])
    passed_on = {Key(part.name, name): names[key] for part in parts for name, key in part.globals.items()}
    test = f"test_{program.name}.py"
    tests = test_text(files[test].decode(), program.name, {**passed_on, **names})
    module = module_text(parts, names, program)
    return {f"{program.name}.py": module.encode(), "tensors.pt": files["tensors.pt"], test: tests.encode()}


def read(name: str, text: str) -> Part:
    tree = ast.parse(text)
    found: dict[str, Key] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= imported(node)
        elif not says_what_is_public(node):
            found |= {bound: Key(name, bound) for bound in bound_names([node])}
    return Part(name, text, tree, found)


def says_what_is_public(node: ast.stmt) -> bool:
    """Whether a statement is `__all__ = ...`, which one module would need for all of them or none."""
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)


def imported(node: ast.Import | ast.ImportFrom) -> dict[str, Key]:
    """What an import's names stand for."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name: Key("import", f"import {alias.name}") for alias in node.names}
    if node.module == "__future__":
        return {}
    found = {}
    for alias in node.names:
        key = Key(node.module or "", alias.name)
        if node.level == 0:
            key = Key("import", f"from {node.module} import {alias.name}")
        found[alias.asname or alias.name] = Key(ITSELF, alias.name) if node.level and node.module is None else key
    return found


def chosen_names(parts: list[Part], entries: Collection[str]) -> dict[Key, str]:
    """A name for everything: entry points and what KEPT modules define keep theirs, of others the first one does."""
    names = {Key("model", entry): str(entry) for entry in entries}
    taken = set(entries)
    everything = {node.id for part in parts for node in ast.walk(part.tree) if isinstance(node, ast.Name)}
    kept = [part for part in parts if part.name in KEPT]
    wanted = [(name, key) for part in kept for name, key in part.globals.items() if key.home == part.name]
    if clash := next((name for name, _ in wanted if name in taken), None):
        raise HyperGenError(
            "HG211",
            f"in a single file, the entry point {clash!r} clashes with what {' or '.join(KEPT)} calls so",
            remedy="Compile without --single-file, or call the method otherwise.",
        )
    wanted += [item for part in parts for item in part.globals.items()]
    for name, key in [*wanted, ("COMMANDS", TABLE)]:
        if key in names:
            continue
        chosen = f"{key.home}_main" if name == "main" else name
        while chosen in taken or (chosen != name and chosen in everything):
            chosen = f"{key.home if key.home in ORDER else 'the'}_{chosen}"
        names[key] = chosen
        taken.add(chosen)
    return names


def module_text(parts: list[Part], names: Mapping[Key, str], program: Program) -> str:
    commands = all(any(part.name == command for part in parts) for command in COMMANDS)
    itself = sorted({names[key] for part in parts for key in part.globals.values() if key.home == ITSELF}, reverse=True)
    needed = {key for part in parts for key in part.globals.values() if key.home == "import"}
    lines = sorted(import_text(key, names[key]) for key in needed)
    if (itself or commands) and "import sys" not in lines:
        lines.insert(0, "import sys")
    text = render(
        "single_file.py.j2",
        title=Code(prose(program.model) + ("" if program.loss is None else ", trained by a hypernetwork")),
        header=header(program),
        name=Code(program.name),
        commands=commands,
        imports=Code("\n".join(lines)),
        itself=Code(" = ".join(itself)) if itself else None,
        parts=Code("".join(f"\n\n{part_text(part, names)}" for part in parts)),
        table=Code(names[TABLE]),
        train=Code(names.get(Key("train", "main"), "")),
        export=Code(names.get(Key("export", "main"), "")),
    )
    return as_one_command(text, program.name)


def import_text(key: Key, name: str) -> str:
    """`import torch`, `from torch import nn as model_nn`."""
    return key.what if key.what.split()[-1] == name else f"{key.what} as {name}"


def part_text(part: Part, names: Mapping[Key, str]) -> str:
    """What a module defines, below a comment from its docstring, without its imports and its `__main__`."""
    renamed = {name: names[key] for name, key in part.globals.items() if names[key] != name}
    text = with_globals_renamed(part.text, renamed)
    lines = text.splitlines()
    left_out = [n for n in part.tree.body if isinstance(n, ast.Import | ast.ImportFrom) or says_what_is_public(n)]
    start = max(node.end_lineno for node in [part.tree.body[0], *left_out])
    starts_program = part.tree.body[-1] if isinstance(part.tree.body[-1], ast.If) else None
    end = len(lines) if starts_program is None else starts_program.lineno - 1
    said = (ast.get_docstring(part.tree) or "").splitlines()
    about = [said[0].partition(":  python -m")[0], *said[1 + HEADER_LINES :]]
    comment = "\n".join(f"# {line}".rstrip() for line in ["-" * 118, *about])
    return f"{comment}\n\n" + "\n".join(lines[start:end]).strip("\n") + "\n"


def test_text(text: str, package: str, names: Mapping[Key, str]) -> str:
    """The package's tests, importing the one module."""
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.ImportFrom) and node.level:
            found = imported(node)
            if any(key.home == ITSELF for key in found.values()):
                imports = [f"import {package} as {name}" for name in found]
            else:
                pairs = [(names[key], name) for name, key in found.items()]
                imports = [f"from {package} import {new}{'' if new == old else f' as {old}'}" for new, old in pairs]
            lines[node.lineno - 1 : node.end_lineno] = imports
    return "\n".join(lines) + "\n"


def as_one_command(text: str, package: str) -> str:
    """`python NAME.py train` for `python -m NAME.train`."""
    text = re.sub(rf"python -m {package}\.(train|export)\b", rf"python {package}.py \1", text)
    return re.sub(rf"(?<![\w.]){package}\.train wrote", f"{package}.py train wrote", text)
