"""What the statements of a function give names to, from its source's syntax tree."""

from __future__ import annotations

import ast
import inspect
import linecache
from functools import cache
from tokenize import TokenError
from types import CodeType
from typing import Any, NamedTuple

__all__ = ["ELEMENT", "REST", "RETURNED", "Span", "Statements", "statements"]

RETURNED = "return"
ELEMENT = "element of"  # one of those that a comprehension makes
REST = "*"  # the last of a list of names, for those that nobody named
Span = tuple[int | None, ...]  # first line, last line, first column, last column


class Statements(NamedTuple):
    """`targets`: what each expression is assigned to; `reflected`: operations of a number and something else.

    `operands`: the names of a call's, a subscript's or an operation's arguments, by position or keyword; `left`: the
    variable, or the variable and its attribute, on the left of an operation; `callees`: the variables that are called;
    `unpacked`: the names that a variable is taken apart into; `copied`: a second name that a variable gets; `elements`:
    what loops call the elements of a list; `guards`: assertions, and decisions that have a branch which only raises,
    with their tests.
    """

    targets: dict[Span, Any]
    reflected: frozenset[Span]
    operands: dict[Span, dict[int | str, str]]
    left: dict[Span, tuple[str, ...]]
    callees: dict[Span, str]
    copied: dict[str, str]
    elements: dict[str, str]
    unpacked: dict[str, list[Any]]
    guards: dict[Span, Span]


def statements(code: CodeType) -> Statements:
    """The statements of a piece of code, and maybe others of its file.

    A target is a name, a list of names, RETURNED, ELEMENT, or None. Where no source is found there are no statements.
    """
    if code.co_name.startswith("<"):  # a lambda or comprehension, which starts in the middle of a statement
        return statements_of_file(code.co_filename)
    return statements_of_block(code.co_filename, code.co_firstlineno)


@cache
def statements_of_file(file: str) -> Statements:
    return read(syntax_tree("".join(linecache.getlines(file))) or ast.Module([], []))


@cache
def statements_of_block(file: str, first_line: int) -> Statements:
    """Those of the function or class that starts in that line: whole files take long to parse."""
    block = block_from(linecache.getlines(file)[first_line - 1 :])
    indented = block[:1].isspace()
    before = "\n" * (first_line - 2) + "if True:\n" if indented else "\n" * (first_line - 1)
    tree = syntax_tree(before + block)
    return read(tree) if block and tree else statements_of_file(file)


def block_from(lines: list[str]) -> str:
    """The function or class that starts in the first line, nothing where the lines are no Python."""
    try:
        return "".join(inspect.getblock(lines)) if lines else ""
    except (SyntaxError, TokenError):
        return ""


def syntax_tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def read(tree: ast.Module) -> Statements:
    found: dict[Span, Any] = {}
    reflected, operands, left, callees, copied, elements, unpacked = [], {}, {}, {}, {}, {}, {}
    guards: dict[Span, Span] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            assign(found, node.value, names_of(node.targets[0]))
            if isinstance(node.targets[0], ast.Tuple | ast.List):
                found[span(node.targets[0])] = names_of(node.targets[0])
                if isinstance(node.value, ast.Name):
                    unpacked[node.value.id] = names_of(node.targets[0])
            elif isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Name):
                copied.setdefault(node.value.id, node.targets[0].id)
        elif isinstance(node, ast.For | ast.comprehension):
            name_elements(elements, node.iter, node.target)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
            assign(found, node.value, names_of(node.target))
        elif isinstance(node, ast.AugAssign):
            found[span(node)] = names_of(node.target)
        elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Tuple):
            assign(found, node.value, RETURNED)
        elif isinstance(node, ast.Lambda):
            assign(found, node.body, RETURNED)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp):
            assign(found, node.elt, ELEMENT)
        elif isinstance(node, ast.BinOp):
            operands[span(node)] = named({0: node.left, 1: node.right})
            left[span(node)] = dotted(node.left)
            if is_number(node.left) and not is_number(node.right):
                reflected.append(span(node))
        elif isinstance(node, ast.Call):
            operands[span(node)] = named(arguments(node))
            if isinstance(node.func, ast.Name):
                callees[span(node)] = node.func.id
        elif isinstance(node, ast.Subscript):
            operands[span(node)] = named({1: node.slice})
        elif isinstance(node, ast.Assert) or (isinstance(node, ast.If) and (raises(node.body) or raises(node.orelse))):
            guards[span(node)] = span(node.test)
    return Statements(found, frozenset(reflected), operands, left, callees, copied, elements, unpacked, guards)


def raises(branch: list[ast.stmt]) -> bool:
    return bool(branch) and isinstance(branch[-1], ast.Raise)


def name_elements(found: dict[str, str], source: ast.expr, target: ast.expr) -> None:
    """Notes what a loop calls the elements of the lists that it runs over, zipped, enumerated or reversed."""
    if isinstance(source, ast.Name | ast.Attribute):
        if isinstance(target, ast.Name) and target.id != "_":
            found[names_of(source)] = target.id
    elif isinstance(source, ast.Call) and isinstance(source.func, ast.Name):
        parts = target.elts if isinstance(target, ast.Tuple) else []
        if source.func.id == "enumerate" and len(parts) == 2 and source.args:
            name_elements(found, source.args[0], parts[1])
        elif source.func.id == "zip" and len(parts) == len(source.args):
            for inner, part in zip(source.args, parts, strict=True):
                name_elements(found, inner, part)
        elif source.func.id in ("reversed", "list", "tuple") and source.args:
            name_elements(found, source.args[0], target)


def dotted(node: ast.expr) -> tuple[str, ...]:
    """`x` or `self.x` in its parts; nothing for other expressions."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return (node.value.id, node.attr)
    return ()


def arguments(call: ast.Call) -> dict[int | str, ast.expr]:
    """By position, up to the first that is spread, and by keyword; what a method belongs to is no argument."""
    spread = [isinstance(argument, ast.Starred) for argument in call.args]
    plain = call.args[: spread.index(True)] if True in spread else call.args
    return dict(enumerate(plain)) | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def named(expressions: dict[int | str, ast.expr]) -> dict[int | str, str]:
    """Those expressions that are a variable or an attribute, by their name."""
    names = {key: names_of(value) for key, value in expressions.items() if isinstance(value, ast.Name | ast.Attribute)}
    return {key: name for key, name in names.items() if name}


def is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return is_number(node.left) and is_number(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def assign(found: dict[Span, Any], value: ast.expr, names: Any) -> None:
    found[span(value)] = names
    if isinstance(names, list) and isinstance(value, ast.Tuple) and len(value.elts) == len(names):
        for element, name in zip(value.elts, names, strict=True):
            assign(found, element, name)
    if isinstance(value, ast.IfExp):
        assign(found, value.body, names)
        assign(found, value.orelse, names)


def span(node: Any) -> Span:
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)


def names_of(target: ast.expr) -> Any:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Starred):
        return REST
    if isinstance(target, ast.Tuple | ast.List):
        return [names_of(element) for element in target.elts]
    return None
