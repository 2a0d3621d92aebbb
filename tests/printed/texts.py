"""What the compiler writes for each of the models, as one text that is kept and compared."""

from __future__ import annotations

import difflib
import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from hypergen_compiler.checker import check_texts, require
from hypergen_compiler.design import Request, design
from hypergen_compiler.emit.files import emit
from hypergen_compiler.emit.single_file import ORDER, single_file
from hypergen_compiler.errors import HyperGenWarning
from hypergen_compiler.publishing.formatting import formatted

from .models import CASES

__all__ = ["COMMON", "FOLDER", "files", "kept", "printed"]

FOLDER = Path(__file__).with_name("kept")
COMMON = "vectors"  # the package that the others are compared with
WHOLE = ("model.py", "weights.py", "layers.py")


def kept(name: str) -> Path:
    """The file of a model's text."""
    return FOLDER / f"{name.replace(' ', '_')}.txt"


def files(name: str, *, as_one: bool = False) -> dict[str, str]:
    """The texts of a package, formatted as they are published."""
    case = CASES[name]
    torch.manual_seed(0)
    model = case.make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HyperGenWarning)
        found = design(Request(model, case.example, description="a model", **case.options), "package")
    made = emit(found.program, found.layout, found.plan, found.together)
    require("emission", check_texts(made), found.program)
    made = formatted(made)
    if as_one:
        made = formatted(single_file(made, found.program))
    return {path: content.decode() for path, content in sorted(made.items()) if path.endswith(".py")}


def printed(name: str, common: Mapping[str, str]) -> str:
    """What a package has of its own: how its files differ from those of the common one, whose own are shown whole."""
    if CASES[name].single_file:
        return differences(*(joined(files(name, as_one=as_one)) for as_one in (False, True)))
    made = files(name)
    parts = [f"==== {path}\n{differences('', common[path])}" for path in WHOLE if name == COMMON]
    for path, text in made.items():
        if path not in common:  # a template's text, which `generated/` shows
            parts.append(f"==== {path}: added\n{text if path in WHOLE else ''}")
        elif text != common[path]:
            parts.append(f"==== {path}\n{differences(common[path], text)}")
    parts.append(f"==== missing: {', '.join(sorted(common.keys() - made.keys())) or 'none'}\n")
    return "\n".join(parts)


def joined(texts: Mapping[str, str]) -> str:
    """All modules as one text, in the order of a single file."""
    return "\n".join(texts[f"{name}.py"] for name in (*ORDER, "package", "test_package") if f"{name}.py" in texts)


def differences(one: str, other: str) -> str:
    """The lines that come, behind `+`; of those that go, how many."""
    lines = list(difflib.unified_diff(one.splitlines(), other.splitlines(), lineterm="", n=0))[2:]
    groups = [(sign, list(group)) for sign, group in itertools.groupby(lines, key=lambda line: line[0])]
    shown = [group if sign == "+" else [f"- {len(group)} lines"] for sign, group in groups if sign != "@"]
    return "".join(f"{line}\n" for group in shown for line in group)
