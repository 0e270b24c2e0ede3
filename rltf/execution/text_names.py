"""Names of a test text in whose values a program has a part: those that only it defines, and what is made of them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator

MODULES_WITH_STATE = frozenset({"sys", "os", "io", "builtins", "warnings", "logging", "pathlib", "Path", "gc"})
"""Modules that show what the program did without naming it: `sys.stdout.getvalue()`."""
_OPEN_BUILTINS = frozenset({"open", "globals", "locals", "vars", "eval", "exec", "dir", "__import__", "getattr"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_MAY_BIND = (*_FUNCTIONS, ast.ClassDef, ast.arg, ast.ExceptHandler, ast.pattern, ast.alias)
"""Nodes other than names that can bind one."""


def nodes_of(*trees: ast.AST) -> list[ast.AST]:
    """The nodes of trees, parents before children, without operators and contexts (`ast.Load`), which no reader of test
    text asks for: in a quarter of the time of `ast.walk`.

    >>> [type(node).__name__ for node in nodes_of(ast.parse("f(1) + x", mode="eval").body)]
    ['BinOp', 'Call', 'Name', 'Name', 'Constant']
    """
    nodes = list(trees)
    for node in nodes:  # which grows meanwhile
        for value in node.__dict__.values():
            if isinstance(value, list):
                nodes += [child for child in value if isinstance(child, ast.AST) and not isinstance(child, _LEAVES)]
            elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
                nodes.append(value)
    return nodes


def loaded_names(tree: ast.AST) -> set[str]:
    """Names that an expression or statement reads."""
    return {node.id for node in nodes_of(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def bound_names(statements: Iterable[ast.AST]) -> set[str]:
    """Names that statements bind, those in them included."""
    return {name for node in nodes_of(*statements) for name in _bound_by(node)}


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) if not isinstance(node.ctx, ast.Load):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
        case ast.alias():
            yield (node.asname or node.name).partition(".")[0]


def always_true(test: ast.expr) -> bool:
    """True for an expression that holds whatever its names stand for: `True`, `"text"`, `(f(1) == 2, "message")`.

    >>> always_true(ast.parse("f(1) == 2 or True", mode="eval").body)
    True
    """
    match test:
        case ast.Constant():
            return bool(test.value)
        case ast.Tuple() | ast.List() | ast.Set():
            return bool(test.elts) and not all(isinstance(element, ast.Starred) for element in test.elts)
        case ast.Dict():
            return any(key is not None for key in test.keys)
        case ast.Lambda() | ast.GeneratorExp():
            return True
        case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
            return not value
        case ast.BoolOp(op=ast.Or()):
            return any(map(always_true, test.values))
        case ast.BoolOp(op=ast.And()):
            return all(map(always_true, test.values))
        case ast.NamedExpr():
            return always_true(test.value)
    return False


class Names:
    """Which names of a module's text are open: a program defines them or has a part in their values.

    Open are names that the text does not bind, and parameters; and every name that a statement holds beside an open
    one, since it may be set or changed there. Names of imports and builtins never are, but for modules with state.

    Args:
        body: statements of setup and text.
        open_builtins: a builtin that the text calls may be the program's own (a task whose function is called `sum`).
    """

    def __init__(self, body: list[ast.stmt], open_builtins: bool) -> None:
        self._body = body
        self.nodes = nodes_of(*body)
        """All nodes of setup and text."""
        functions, imported = [], set[str]()
        bound, read, called = set[str](), set[str](), set[str]()
        for node in self.nodes:  # one pass, since each text is read for each task
            if isinstance(node, ast.Name):
                (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            elif isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name):
                    called.add(node.func.id)
            elif isinstance(node, _MAY_BIND):
                bound.update(_bound_by(node))
                if isinstance(node, ast.alias):
                    imported.update(_bound_by(node))
                elif isinstance(node, _FUNCTIONS):
                    functions.append(node)
        self.imported = frozenset(imported)
        """Names that imports bind."""
        self._open = {name for name in read - bound if not hasattr(builtins, name)} - {"__name__", "__file__"}
        if open_builtins:
            self._open |= called - bound - {"print"}
        has_program = bool(self._open)
        for function in functions:
            parameters = _parameters(function)
            self._open |= parameters
            has_program = has_program or (function.name == "check" and bool(parameters))
        self._open |= read & _OPEN_BUILTINS
        if has_program:
            self._open |= (read & MODULES_WITH_STATE) | (self.imported & MODULES_WITH_STATE)
        self._closed = {name for name in read - bound if hasattr(builtins, name)} | set(self.imported)
        self._closed -= self._open
        self._spread_done = False

    def mentions_open(self, tree: ast.AST) -> bool:
        """True where an expression names an open name."""
        names = loaded_names(tree)
        if names & self._open:
            return True
        if not self._spread_done:
            self._spread()
        return bool(names & self._open)

    def _spread(self) -> None:
        """Opens the names that stand beside open ones, until no more do."""
        self._spread_done = True
        groups = [group - self._closed for group in _groups(self._body)]
        while groups:
            touched = [group for group in groups if group & self._open]
            if not touched:
                return
            groups = [group for group in groups if not group & self._open]
            self._open.update(*touched)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {node.arg for node in nodes_of(function.args) if isinstance(node, ast.arg)}


def _groups(body: list[ast.stmt]) -> Iterator[set[str]]:
    """For each statement outside definitions its names; for each definition its own name and those that it reads,
    parameters left out; and the statements in it."""
    for statement in body:
        if isinstance(statement, _FUNCTIONS):
            yield {statement.name} | (_all_names(statement) - _parameters(statement) - {"self", "cls"})
            yield from _groups(statement.body)
        elif isinstance(statement, ast.ClassDef):
            yield from _groups(statement.body)
            parameters = {node.arg for node in nodes_of(statement) if isinstance(node, ast.arg)}
            yield {statement.name} | (_all_names(statement) - parameters)
        else:
            yield _all_names(statement) | bound_names([statement])


def _all_names(tree: ast.AST) -> set[str]:
    return {node.id for node in nodes_of(tree) if isinstance(node, ast.Name)}
