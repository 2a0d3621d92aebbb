"""Emitted files: Python that only computes, whatever the model's names and texts were.

A name or a text of the user's that became code would show as a kind of statement, an import or a name that nothing the
compiler writes has.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterator, Mapping
from functools import cache

from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.emit.text import template_folder

__all__ = ["check_texts"]

UNWANTED_BUILTINS = frozenset("eval exec compile __import__ globals locals vars breakpoint delattr".split())
# What may stand in the files into which recorded programs are printed.
PRINTED_FILES = ("model.py", "weights.py", "layers.py")
PRINTED_IMPORTS = frozenset(
    {"__future__", "collections.abc", "math", "pathlib", "torch", "torch.nn.functional", "typing"}
)
DUNDERS = frozenset({"__init__", "__new__", "__dict__", "__name__", "__doc__", "__file__", "__all__"})
STATEMENTS = frozenset(
    """Module Import ImportFrom alias FunctionDef arguments arg ClassDef Return Assign AnnAssign AugAssign For If With
    withitem Raise Expr Pass""".split()
)
EXPRESSIONS = frozenset(
    """BinOp UnaryOp BoolOp Compare Call keyword IfExp Attribute Subscript Slice Starred Name Constant Tuple List Dict
    ListComp SetComp DictComp GeneratorExp comprehension JoinedStr FormattedValue Load Store""".split()
)
OPERATORS = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def check_texts(files: Mapping[str, bytes]) -> list[Violation]:
    """Every `.py` file of a package."""
    return [found for path, text in files.items() if path.endswith(".py") for found in check_text(path, text)]


def check_text(path: str, content: bytes) -> Iterator[Violation]:
    try:
        text = content.decode("ascii")
        tree = ast.parse(text)
        table = symtable.symtable(text, path, "exec")  # finds what a parser does not, such as two equal arguments
    except (SyntaxError, ValueError) as error:
        yield Violation(f"{path} is not Python: {error}")
        return
    yield from check_imports(path, tree)
    yield from check_names(path, table)
    if path in PRINTED_FILES:
        yield from check_syntax(path, tree)


def check_imports(path: str, tree: ast.Module) -> Iterator[Violation]:
    """Imports are those that templates write; where recorded programs are printed, even fewer."""
    own = path.removeprefix("test_").removesuffix(".py")  # what a test of a single file imports
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            usual = PRINTED_IMPORTS if path in PRINTED_FILES else PRINTED_IMPORTS | template_imports() | {own}
            if name not in usual:
                yield Violation(f"{path}:{node.lineno} imports {name}")


@cache
def template_imports() -> frozenset[str]:
    """The modules that any of the templates imports."""
    texts = (file.read_text() for file in template_folder().rglob("*.j2"))
    return frozenset(name for text in texts for name in re.findall(r"^ *(?:import|from) ([\w.]+)", text, re.MULTILINE))


def check_names(path: str, module: symtable.SymbolTable) -> Iterator[Violation]:
    """Every global name that is read is defined in the file, or a builtin that a package has a use for."""
    defined = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    defined |= {"__file__", "__name__", "__doc__", "__package__"}
    for name in sorted(globals_read(module) - defined):
        if name in UNWANTED_BUILTINS or not hasattr(builtins, name):
            yield Violation(f"{path} reads {name}, which it does not define")


def globals_read(table: symtable.SymbolTable) -> set[str]:
    own = {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global()}
    if table.get_type() == "module":
        own = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    return own.union(*map(globals_read, table.get_children()))


def check_syntax(path: str, tree: ast.Module) -> Iterator[Violation]:
    """Only what recorded programs are printed with; a user's own autograd function is a copy of what the user wrote."""
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and any("Function" in ast.unparse(base) for base in statement.bases):
            continue
        for node in ast.walk(statement):
            kind = type(node).__name__
            if kind not in STATEMENTS and kind not in EXPRESSIONS and not isinstance(node, OPERATORS):
                yield Violation(f"{path}:{getattr(node, 'lineno', '?')} holds a {kind}")
            name = getattr(node, "attr", "") if isinstance(node, ast.Attribute) else getattr(node, "id", "")
            if name.startswith("__") and name not in DUNDERS:
                yield Violation(f"{path}:{node.lineno} reads {name}")
