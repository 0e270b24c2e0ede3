"""The structure of a program: what stays of it when names, layout, comments and docstrings change."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator

from rltf.benchmarks.asserts import parse


def structure_hash(program: str, keep_functions: bool = False) -> str:
    """A digest that is the same for programs which differ by names of their own, layout, comments, docstrings or the
    quotes of literals alone; 64 hexadecimal digits.

    Names that a program binds are numbered in the order of their first use. Builtins, attributes, imported names and
    keywords of calls stay, as do operators: `x += 1` is not `x = x - 1`, nor `x = x + 1`.

    Args:
        program: Any text; one that is no Python stands for itself.
        keep_functions: Names of functions and classes at the top level stay, too: who calls them knows them by name.

    >>> structure_hash("def f(x):\\n  return x+1") == structure_hash('def g(n):\\n    "Adds."\\n    return n + 1  #')
    True
    >>> structure_hash("def f(x): return len(x)") == structure_hash("def f(x): return sum(x)")
    False
    """
    try:
        tree = parse(program)
        text = "tree" + "\0".join(_Serializer(tree, keep_functions).parts(tree))
    except (SyntaxError, RecursionError, MemoryError):
        text = "text" + program
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_NAME_FIELDS: dict[type[ast.AST], str] = {
    ast.Name: "id",
    ast.arg: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.alias: "asname",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
    ast.Global: "names",
    ast.Nonlocal: "names",
}
"""Kind of node -> its field that holds a name of the program's own."""
_WITH_DOCSTRING = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class _Serializer:
    """Writes a tree as a sequence of texts, with numbers for the program's own names."""

    def __init__(self, tree: ast.Module, keep_functions: bool) -> None:
        bound_names: set[str] = set()
        public_names: set[str] = set()
        if keep_functions:
            public_names |= {statement.name for statement in tree.body if isinstance(statement, _WITH_DOCSTRING)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                public_names.add(node.attr)  # a method, or a field of a class
            elif isinstance(node, ast.keyword) and node.arg is not None:
                public_names.add(node.arg)
            elif not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
                name = getattr(node, _NAME_FIELDS.get(type(node), ""), None)
                bound_names.update([name] if isinstance(name, str) else name or ())
        self._own_names = bound_names - public_names
        self._numbers: dict[str, int] = {}

    def parts(self, node: ast.AST) -> Iterator[str]:
        """The texts of a node and of all below it."""
        yield type(node).__name__
        name_field = _NAME_FIELDS.get(type(node))
        for field, value in ast.iter_fields(node):
            if field in ("ctx", "type_comment", "kind"):
                continue
            if (
                field == "body"
                and isinstance(node, _WITH_DOCSTRING)
                and ast.get_docstring(node, clean=False) is not None
            ):
                value = value[1:]
            yield field
            if field == name_field and value is not None:
                names = [value] if isinstance(value, str) else value
                yield from (self._number(name) for name in names)
            elif isinstance(value, list):
                yield f"[{len(value)}"
                for entry in value:
                    yield from self.parts(entry) if isinstance(entry, ast.AST) else [repr(entry)]
            else:
                yield from self.parts(value) if isinstance(value, ast.AST) else [f"{type(value).__name__} {value!r}"]

    def _number(self, name: str) -> str:
        if name not in self._own_names:
            return name
        return f"#{self._numbers.setdefault(name, len(self._numbers))}"
