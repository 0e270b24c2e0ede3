"""Test text that checks nothing, recognised by reading it: such a test every program would pass.

Nothing is run. A text is refused only where it is plain that no program can fail it; whatever is built at run time
(`exec`, a search through `globals()`) gets the benefit of the doubt.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from rltf.execution.text_blocks import CATCHES_ASSERTIONS, blocks, expressions, is_main_guard, live_blocks, suppresses
from rltf.execution.text_names import Names, always_true, bound_names, loaded_names, nodes_of

_FAILS_AS_ATTRIBUTE = re.compile(r"_*(assert|fail|raises$|warns$|_?exit$|throw$|debug$)", re.IGNORECASE)
"""Methods and functions of modules that can fail a test: `self.assertEqual`, `pytest.raises`, `sys.exit`."""
_FAILS_WITHOUT_VALUES = re.compile(
    r"_*(assert_?raises|assert_?warns|fail|raises$|warns$|_?exit$|quit$|throw$|debug$)", re.IGNORECASE
)
"""Of those the ones that need not look at a value of the program."""
_LONGEST_TEXT = 500_000
"""Characters of a text that is read; a longer one is compiled alone, since reading takes five times as long."""
_RUNS_ANYTHING = frozenset({"exec", "eval", "compile", "__import__"})
_FINDS_ANYTHING = frozenset({"globals", "locals", "vars", "dir", "modules", "getmembers", "__dict__"}) | _RUNS_ANYTHING
"""Names by which a text reaches functions that it does not name."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVES_BLOCK = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def problem_of_text(code: str, kind: Literal["assert", "check"], setup: str = "") -> str | None:
    """What is wrong with the text of a test, as the end of a sentence about it; None where a program can fail it.

    Args:
        code: text of an `AssertTest` or a `CheckTest`.
        kind: which of the two.
        setup: setup code of the task, whose functions the text may call.

    >>> problem_of_text("assert f(1) == 2", "assert"), problem_of_text("f(1) == 2", "assert")
    (None, 'checks nothing: it has no assert, raise or other call that can fail')
    >>> problem_of_text("def test_f():\\n    assert f(1) == 2", "assert")
    'checks nothing: nothing calls test_f'
    >>> problem_of_text("def test(candidate):\\n    assert candidate(1) == 2", "check")
    'does not define the function check'
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. of an assert on a tuple
            compile(code, "<test>", "exec", dont_inherit=True)
            body = ast.parse(code).body if len(code) <= _LONGEST_TEXT else None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        return f"does not compile: {e}"
    if body is None:
        return None
    setup_body = _body_of(setup)
    try:
        if kind == "check" and (problem := _problem_of_check(body, setup_body, "yield" in code + setup)) is not None:
            return problem
        return _Reading(body, setup_body, kind).problem()
    except RecursionError:  # blocks in blocks beyond what this can follow
        return None


@lru_cache(maxsize=16)  # all tests of a task have its setup
def _body_of(setup: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(setup).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # which is told of the setup
        return []


def _problem_of_check(body: list[ast.stmt], setup: list[ast.stmt], may_yield: bool) -> str | None:
    """What keeps `check(candidate)` from being called with one argument; None where nothing is seen that does. A text
    without the word `yield` is not searched for it."""
    nodes = [node for statement in (*setup, *body) for node in _statements(statement)]
    definitions = [node for node in nodes if isinstance(node, _FUNCTIONS) and node.name == "check"]
    if not definitions:
        assigned = bound_names(node for node in nodes if not isinstance(node, _DEFINITIONS) and not blocks(node))
        classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        return None if "check" in assigned | classes else "does not define the function check"
    definition = definitions[-1]
    if isinstance(definition, ast.AsyncFunctionDef):
        return "checks nothing: check is a coroutine, which nothing awaits"
    if may_yield and any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(definition)):
        return "checks nothing: check is a generator, which nothing iterates"
    if definition.decorator_list:
        return None
    arguments = definition.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    if not positional and arguments.vararg is None:
        return "has a function check that takes no argument: expected one, the function under test"
    required = positional - len(arguments.defaults)
    required += sum(default is None for default in arguments.kw_defaults)
    if required > 1:
        return f"has a function check that takes {required} arguments: expected one, the function under test"
    return None


def _statements(statement: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and those in its blocks that run in the same scope."""
    yield statement
    if not isinstance(statement, _DEFINITIONS):
        for block in blocks(statement):
            for inner in block:
                yield from _statements(inner)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function without those of functions in it."""
    stack = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            stack += ast.iter_child_nodes(node)


class _Reading:
    """One text, followed from its module level (and from `check`) into the functions that it names."""

    def __init__(self, body: list[ast.stmt], setup: list[ast.stmt], kind: str) -> None:
        self._body, self._kind = body, kind
        self._names = Names([*setup, *body], open_builtins=kind == "assert")
        self._functions: dict[str, list[ast.AST]] = {}
        """Name -> functions, methods and classes of that name; a class by the names of its methods too."""
        for node in self._names.nodes:
            if isinstance(node, _DEFINITIONS):
                self._functions.setdefault(node.name, []).append(node)
        self._visited: set[tuple[ast.AST, bool]] = set()
        self._stack: list[tuple[ast.AST, bool]] = []
        """Functions that are named, and whether what they raise is caught."""
        self._idle = ""
        """Why asserts that are reached do not count."""

    def problem(self) -> str | None:
        """The problem of the text; None where it can fail."""
        if not self._body:
            return "checks nothing: it has no statements"
        if self._any_check(self._body, caught=False):
            return None
        if self._kind == "check":
            self._follow("check", caught=False)
        while self._stack:
            node, caught = self._stack.pop()
            if (node, caught) in self._visited:
                continue
            self._visited.add((node, caught))
            if isinstance(node, ast.ClassDef):
                self._stack += [(method, caught) for method in node.body if isinstance(method, _FUNCTIONS)]
            elif self._any_check(node.body, caught):  # type: ignore[attr-defined]
                return None
        return f"checks nothing: {self._reason()}"

    def _any_check(self, block: list[ast.stmt], caught: bool) -> bool:
        """True where one of the statements can fail the test; notes the functions that they name."""
        for statement in block:
            if self._is_check(statement, caught):
                return True
            if isinstance(statement, _LEAVES_BLOCK):
                break
        return False

    def _is_check(self, statement: ast.stmt, caught: bool) -> bool:
        if isinstance(statement, ast.ClassDef):
            return self._any_check(statement.body, caught)
        for expression in expressions(statement):
            self._follow_names(expression, caught)
            if not caught and self._can_fail(expression):
                return True
        match statement:
            case ast.Assert():
                return self._assert_counts(statement, caught)
            case ast.Raise():
                self._idle = self._idle or "what it raises is caught"
                return not caught
            case ast.Try() | ast.TryStar():
                swallows = any(map(self._swallows, statement.handlers))
                later_blocks = [
                    statement.orelse,
                    statement.finalbody,
                    *(handler.body for handler in statement.handlers),
                ]
                inside = self._any_check(statement.body, caught or swallows)
                return inside or any(self._any_check(block, caught) for block in later_blocks)
            case ast.With() | ast.AsyncWith():
                swallows = any(suppresses(item.context_expr) for item in statement.items)
                return self._any_check(statement.body, caught or swallows)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if any(loaded_names(decorator) & self._functions.keys() for decorator in statement.decorator_list):
                    self._follow(statement.name, caught)  # a decorator of the text's own may call it
                return False
        return any(self._any_check(block, caught) for block in live_blocks(statement))

    def _assert_counts(self, statement: ast.Assert, caught: bool) -> bool:
        test = statement.test
        if isinstance(test, ast.Constant) and not test.value:
            holds = False
        else:
            holds = always_true(test) or not self._names.mentions_open(test)
        if holds:
            self._idle = self._idle or "its asserts hold whatever the program does"
        elif caught:
            self._idle = self._idle or "what its asserts raise is caught"
        return not holds and not caught

    def _swallows(self, handler: ast.ExceptHandler) -> bool:
        """True for a handler that catches a failed assert and does not fail itself."""
        caught = handler.type is None or bool(loaded_names(handler.type) & CATCHES_ASSERTIONS)
        nodes = nodes_of(*handler.body)
        fails = any(isinstance(node, ast.Raise | ast.Assert) for node in nodes)
        return caught and not fails and not any(map(self._can_fail, handler.body))

    def _can_fail(self, expression: ast.AST) -> bool:
        """True where a call in an expression can fail the test."""
        for node in nodes_of(expression):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute):
                name, is_library = node.func.attr, True
            elif isinstance(node.func, ast.Name):
                name = node.func.id
                is_library = name in self._names.imported or hasattr(builtins, name)
                if name in _RUNS_ANYTHING:
                    return True
            else:
                continue
            if is_library and (name in ("exit", "quit") or _FAILS_AS_ATTRIBUTE.match(name)):
                values = [*node.args, *node.keywords]
                if not values or _FAILS_WITHOUT_VALUES.match(name) or any(map(self._names.mentions_open, values)):
                    return True
                self._idle = self._idle or "its asserts hold whatever the program does"
        return False

    def _follow_names(self, expression: ast.AST, caught: bool) -> None:
        nodes = nodes_of(expression)
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        if (names | attributes) & _FINDS_ANYTHING:
            names |= self._functions.keys()
        for name in (names | attributes) & self._functions.keys():
            self._follow(name, caught)

    def _follow(self, name: str, caught: bool) -> None:
        self._stack += [(node, caught) for node in self._functions.get(name, ())]

    def _reason(self) -> str:
        if self._idle:
            return self._idle
        if any(map(is_main_guard, self._body)):
            return 'what stands under `if __name__ == "__main__"` is no part of a test'
        if self._has_runner():
            return "unittest.main() looks for tests in another module"
        reached = {node for node, _ in self._visited}
        definitions = [node for node in self._body if isinstance(node, _DEFINITIONS)]
        nested = [node for outer in definitions for node in nodes_of(outer) if isinstance(node, _FUNCTIONS)]
        for nodes in (definitions, nested):
            names = [node.name for node in nodes if node not in reached and self._holds_check(node)]
            if names:
                return f"nothing calls {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if names[3:] else "")
        return "it has no assert, raise or other call that can fail"

    def _holds_check(self, definition: ast.AST) -> bool:
        return self._can_fail(definition) or any(
            isinstance(node, ast.Assert | ast.Raise) for node in nodes_of(definition)
        )

    def _has_runner(self) -> bool:
        calls = [s.value for s in self._body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
        return any(ast.unparse(call.func) in ("unittest.main", "pytest.main") for call in calls)
