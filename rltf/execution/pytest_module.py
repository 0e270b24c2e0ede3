"""Test modules in the style of pytest as `assert` tests: one a test function, in the order of the module.

The module imports the program as `solution` (or another name); such imports are left out, and what they bring is looked
up in the program, as in any test. What the judge runs is the module's text and a call of one test function:

1. `pytest.mark.parametrize` is a loop; a function passes when it does for all of its values.
2. Fixtures of the module are called, those with `yield` finished after the test; `autouse` ones, too. Scope plays no
   part: each test has its own. Fixtures of pytest itself (`tmp_path`, `monkeypatch`, ...) are not there.
3. Classes `Test...` are made anew for each method, with `setup_method` and `teardown_method`; those of `unittest` run
   by themselves.
4. Functions marked `skip`, `skipif` or `xfail` are left out. `conftest.py` and plugins are not there.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MODULES = ("solution", "main", "program")
"""Names under which a test module may import the program."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_LEFT_OUT = ("skip", "skipif", "xfail")


@dataclass(frozen=True)
class ModuleTest:
    """One test function of a module."""

    name: str
    """As pytest says it, e.g. `TestSum::test_empty`."""
    code: str
    """Text of an `assert` test."""


def module_tests(text: str, modules: Sequence[str] = MODULES) -> list[ModuleTest]:
    """The tests of a module.

    Args:
        text: of the module.
        modules: names under which it may import the program.

    Raises:
        ValueError: It does not compile, has no test function, or uses what the judge does not have; in one sentence.

    >>> [test] = module_tests("from solution import f\\ndef test_f():\\n    assert f(1) == 2")
    >>> print(test.code)
    def test_f():
        assert f(1) == 2
    test_f()
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise ValueError(f"does not compile: {e}") from None
    tree = _WithoutImports(modules).visit(tree)
    fixtures = {node.name: node for node in tree.body if isinstance(node, _Function) and _is_fixture(node)}
    tests = [
        ModuleTest(name, ast.unparse(ast.fix_missing_locations(_with_call(tree, calls))))
        for name, calls in _calls_of_tests(tree, fixtures)
    ]
    if not tests:
        raise ValueError("has no test function: expected `def test_...` or a class `Test...` with some")
    return tests


class _WithoutImports(ast.NodeTransformer):
    """Leaves imports of the program out; `solution.f` becomes `f`."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = set(modules)
        self._names: set[str] = set()
        """Names of the module itself."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.stmt]:
        """`from solution import f as g` becomes `g = f`."""
        if node.module not in self._modules and not (node.level and node.module is None):
            return node
        renamed = [(alias.asname, alias.name) for alias in node.names if alias.asname not in (None, alias.name)]
        assigned: list[ast.stmt] = [
            ast.Assign([ast.Name(str(new), ast.Store())], ast.Name(old, ast.Load())) for new, old in renamed
        ]
        return assigned or ast.Pass()

    def visit_Import(self, node: ast.Import) -> ast.AST:
        """`import solution as s` is remembered."""
        names = {alias.asname or alias.name for alias in node.names if alias.name in self._modules}
        self._names |= names
        node.names = [alias for alias in node.names if alias.name not in self._modules]
        return node if node.names else ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """An attribute of the module is a global name of the program."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self._names:
            return ast.Name(node.attr, node.ctx)
        return node


def _calls_of_tests(tree: ast.Module, fixtures: dict[str, _Function]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Name of each test, and the statements that run it."""
    automatic = [name for name, node in fixtures.items() if _keyword(_fixture_mark(node), "autouse")]
    for node in tree.body:
        if isinstance(node, _Function) and node.name.startswith("test") and not _is_left_out(node):
            yield node.name, _run(node, node.name, fixtures, automatic, is_method=False)
        elif isinstance(node, ast.ClassDef) and not _is_left_out(node):
            is_unittest = any("TestCase" in ast.unparse(base) for base in node.bases)
            if not is_unittest and not node.name.startswith("Test"):
                continue
            methods = [method for method in node.body if isinstance(method, _Function)]
            names = {method.name for method in methods}
            for method in methods:
                if not method.name.startswith("test") or _is_left_out(method):
                    continue
                name = f"{node.name}::{method.name}"
                if is_unittest:
                    yield name, ast.parse(f"{node.name}({method.name!r}).debug()").body
                    continue
                around = [f"_rltf_self = {node.name}()"]
                around += ["_rltf_self.setup_method()"] * ("setup_method" in names)
                called = _run(method, f"_rltf_self.{method.name}", fixtures, automatic, is_method=True)
                after = ast.parse("_rltf_self.teardown_method()" if "teardown_method" in names else "").body
                yield name, [*ast.parse("\n".join(around)).body, *called, *after]


def _run(
    test: _Function, called: str, fixtures: dict[str, _Function], automatic: list[str], is_method: bool
) -> list[ast.stmt]:
    """Statements that call a test function with its fixtures, for all of its parameters."""
    loops = [_parameters(mark) for mark in test.decorator_list if _mark_name(mark) == "parametrize"]
    parameters = {name for names, _ in loops for name in names}
    arguments = [argument.arg for argument in (*test.args.posonlyargs, *test.args.args, *test.args.kwonlyargs)]
    arguments = arguments[1:] if is_method else arguments
    defaults = len(test.args.defaults) + sum(default is not None for default in test.args.kw_defaults)
    needed = [name for name in arguments[: len(arguments) - defaults] if name not in parameters]
    lines, finished = _fixture_lines([*automatic, *needed], fixtures, test.name)
    passed = [f"{name}={_variable(name)}" for name in needed] + [
        f"{name}={name}" for name in arguments if name in parameters
    ]
    call = f"{called}({', '.join(passed)})"
    lines.append(f"__import__('asyncio').run({call})" if isinstance(test, ast.AsyncFunctionDef) else call)
    lines += finished
    for names, values in reversed(loops):  # the decorator next to the function is the inner loop
        target = names[0] if len(names) == 1 else f"({', '.join(names)})"
        lines = [f"for {target} in {values}:", *(f"    {line}" for line in lines)]
    return ast.parse("\n".join(lines)).body


def _fixture_lines(names: Sequence[str], fixtures: dict[str, _Function], test: str) -> tuple[list[str], list[str]]:
    """Lines that make the values of fixtures, those that they need first, and lines that finish them."""
    made: list[str] = []
    lines: list[str] = []
    finished: list[str] = []

    def make(name: str, path: tuple[str, ...]) -> None:
        if name in made:
            return
        node = fixtures.get(name)
        if node is None or name in path or isinstance(node, ast.AsyncFunctionDef):
            raise ValueError(
                f"has {test}, which needs the fixture {name}: the judge has plain ones of the module alone"
            )
        if _keyword(_fixture_mark(node), "params"):
            raise ValueError(f"has the fixture {name} with params, which the judge does not have: use parametrize")
        needed = [argument.arg for argument in node.args.args]
        for other in needed:
            make(other, (*path, name))
        call = f"{node.name}({', '.join(map(_variable, needed))})"
        if any(isinstance(part, ast.Yield) for part in ast.walk(node)):
            lines.append(f"{_variable(name)}_run = {call}")
            call = f"next({_variable(name)}_run)"
            finished.insert(0, f"next({_variable(name)}_run, None)")
        lines.append(f"{_variable(name)} = {call}")
        made.append(name)

    for name in names:
        make(name, ())
    return lines, finished


def _variable(fixture: str) -> str:
    return f"_rltf_{fixture}"


def _parameters(mark: ast.expr) -> tuple[list[str], str]:
    """Names of a `parametrize`, and the text of its values."""
    arguments = mark.args if isinstance(mark, ast.Call) else []
    if len(arguments) != 2 or _keyword(mark, "indirect"):
        raise ValueError("has a parametrize with other arguments than names and values")
    try:
        names = ast.literal_eval(arguments[0])
    except ValueError:
        raise ValueError("has a parametrize whose names are not plain texts") from None
    names = names.split(",") if isinstance(names, str) else list(names)
    names = [str(name).strip() for name in names if str(name).strip()]
    return names, ast.unparse(_PlainParams(len(names) == 1).visit(copy.deepcopy(arguments[1])))


class _PlainParams(ast.NodeTransformer):
    """`pytest.param(1, 2, id="a")` becomes `(1, 2)`, or the value alone where there is one name."""

    def __init__(self, alone: bool) -> None:
        self._alone = alone

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replaces a call of `pytest.param`."""
        self.generic_visit(node)
        if ast.unparse(node.func) not in ("pytest.param", "param"):
            return node
        if any(keyword.arg == "marks" for keyword in node.keywords):
            raise ValueError("has a pytest.param with marks, which the judge does not have")
        return node.args[0] if self._alone and len(node.args) == 1 else ast.Tuple(node.args, ast.Load())


def _with_call(tree: ast.Module, calls: list[ast.stmt]) -> ast.Module:
    """The module with marks and fixtures as plain functions, and the call of one test at its end."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = [d for d in node.decorator_list if not _mark_name(d) and not _names_fixture(d)]
    body = [node for node in tree.body if not isinstance(node, ast.Pass)]
    return ast.Module([*body, *calls], [])


def _mark_name(decorator: ast.expr) -> str:
    """`skip` for `@pytest.mark.skip(...)`; empty for other decorators."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if not isinstance(node, ast.Attribute):
        return ""
    parent = ast.unparse(node.value)
    return node.attr if parent in ("pytest.mark", "mark") or (parent == "unittest" and node.attr in _LEFT_OUT) else ""


def _names_fixture(decorator: ast.expr) -> bool:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(node) in ("pytest.fixture", "fixture")


def _is_fixture(node: _Function) -> bool:
    return any(map(_names_fixture, node.decorator_list))


def _fixture_mark(node: _Function) -> ast.expr:
    return next(decorator for decorator in node.decorator_list if _names_fixture(decorator))


def _keyword(decorator: ast.expr, name: str) -> bool:
    """True where a decorator has the argument, and it is not plainly false."""
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    values = [keyword.value for keyword in keywords if keyword.arg == name]
    return bool(values) and not (isinstance(values[0], ast.Constant) and not values[0].value)


def _is_left_out(node: _Function | ast.ClassDef) -> bool:
    return any(_mark_name(decorator) in _LEFT_OUT for decorator in node.decorator_list)
