"""Which names of a module are its globals, and where its text uses them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["bound_names", "with_globals_renamed"]

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
OWN_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, *COMPREHENSIONS)
Span = tuple[int, int, int, str]  # line, first and last byte in it, and what to write there


def with_globals_renamed(text: str, names: Mapping[str, str]) -> str:
    """A module's text with each global of `names` called otherwise; locals of the same name stay."""
    finder = GlobalNames(names)
    finder.visit(ast.parse(text))
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    for number, start, end, name in sorted(finder.spans, reverse=True):
        line = lines[number - 1]
        lines[number - 1] = line[:start] + name.encode() + line[end:]
    return b"".join(lines).decode()


def bound_names(statements: Iterable[ast.AST]) -> Iterator[str]:
    """The names that statements bind in their own scope."""
    for node in own_nodes(statements):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def own_nodes(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes below, down to those that open a scope of their own."""
    for node in nodes:
        yield node
        if not isinstance(node, OWN_SCOPES):
            yield from own_nodes(ast.iter_child_nodes(node))


class GlobalNames(ast.NodeVisitor):
    """Collects the spans of a module's globals, following Python's scopes."""

    def __init__(self, names: Mapping[str, str]):
        self.names = names
        self.scopes: list[tuple[bool, set[str]]] = []  # whether it is a class's, and what it binds
        self.spans: list[Span] = []

    def is_global(self, name: str) -> bool:
        """A class's names are seen in its own body, not in its methods."""
        outer, inner = self.scopes[:-1], self.scopes[-1:]
        return not any(name in bound for of_class, bound in outer if not of_class) and not any(
            name in bound for _, bound in inner
        )

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.names and self.is_global(node.id):
            self.spans.append((node.lineno, node.col_offset, node.end_col_offset, self.names[node.id]))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.add_definition(node, "def ")
        self.visit_all([*node.decorator_list, *signature_parts(node.args), *filter(None, [node.returns])])
        self.visit_within(False, {*parameters(node.args), *bound_names(node.body)}, node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.add_definition(node, "class ")
        self.visit_all([*node.decorator_list, *node.bases, *node.keywords])
        self.visit_within(True, set(bound_names(node.body)), node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_all(signature_parts(node.args))
        self.visit_within(False, set(parameters(node.args)), [node.body])

    def generic_visit(self, node: ast.AST) -> None:
        if not isinstance(node, COMPREHENSIONS):
            super().generic_visit(node)
            return
        targets = set(bound_names(generator.target for generator in node.generators))
        self.visit(node.generators[0].iter)
        rest = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.comprehension)]
        for generator in node.generators:
            rest += [generator.target, *generator.ifs]
        rest += [generator.iter for generator in node.generators[1:]]
        self.visit_within(False, targets, rest)

    def add_definition(self, node: ast.FunctionDef | ast.ClassDef, keyword: str) -> None:
        if node.name in self.names and not self.scopes:
            start = node.col_offset + len(keyword)
            self.spans.append((node.lineno, start, start + len(node.name), self.names[node.name]))

    def visit_within(self, of_class: bool, bound: set[str], nodes: Iterable[ast.AST]) -> None:
        self.scopes.append((of_class, bound))
        self.visit_all(nodes)
        self.scopes.pop()

    def visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def signature_parts(arguments: ast.arguments) -> list[ast.AST]:
    """Defaults and annotations, which are evaluated outside of the function."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [argument.annotation for argument in every if argument is not None]
    return [part for part in (*arguments.defaults, *arguments.kw_defaults, *annotations) if part is not None]


def parameters(arguments: ast.arguments) -> Iterator[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return (argument.arg for argument in every if argument is not None)
