"""Types that the use of a name in a function speaks for: methods, operators, comparisons, loops and subscripts."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from rltf.mining.value_types import INT, STR, ValueType, list_of

_STR_METHODS = frozenset(name for name in dir(str) if not name.startswith("_")) - {"count", "index", "format"}
_DICT_METHODS = frozenset({"items", "keys", "values", "get", "setdefault"})
_LIST_METHODS = frozenset({"append", "extend", "insert", "sort", "reverse", "pop", "copy", "remove"})
_OF_NUMBERS = frozenset(
    {
        *("range", "abs", "chr", "bin", "hex", "divmod", "sqrt", "factorial", "gcd", "log", "floor", "str", "isnan"),
        *("sin", "cos", "pow"),
    }
)
_OF_ITERABLES = frozenset({"sum", "sorted", "max", "min", "len", "enumerate", "reversed", "set", "any", "all", "list"})
_DEEPEST = 2
"""Items of items are looked at, no deeper."""


def types_by_use(function: ast.FunctionDef, name: str) -> list[ValueType]:
    """Types of a parameter that its use in the body speaks for, the likeliest first.

    >>> tree = ast.parse("def f(s, k): return sum(c == 'a' for c in s) % k").body[0]
    >>> [str(types_by_use(tree, name)[0]) for name in "sk"]
    ['str', 'int']
    """
    tree = _Items().visit(ast.parse(ast.unparse(function)))
    return list(dict.fromkeys(_Use(tree).types(name)))


class _Items(ast.NodeTransformer):
    """Makes a name of each item that a subscript takes of a name: `xs[i]` becomes `xs[]`."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        text_key = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
        if not isinstance(node.value, ast.Name) or isinstance(node.slice, ast.Slice) or text_key:
            return node
        return ast.Name(f"{node.value.id}[]", node.ctx)


class _Use:
    """The uses of names below a node."""

    def __init__(self, tree: ast.AST) -> None:
        self._nodes = list(ast.walk(tree))
        self._texts = {
            target.id
            for node in self._nodes
            if isinstance(node, ast.Assign) and _is_literal_text(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        """Names that hold a text somewhere."""

    def types(self, name: str, depth: int = 0) -> Iterator[ValueType]:
        """Types of a name, the likeliest first."""
        votes: Counter[str] = Counter()
        items: list[ValueType] = []
        for node in self._nodes:
            self._vote(node, name, votes)
            if depth < _DEEPEST:
                for item in _item_names(node, name):
                    items += list(self.types(item, depth + 1))[:1]
        if any(isinstance(node, ast.Name) and node.id.startswith(f"{name}[]") for node in self._nodes):
            votes["indexed"] += 2
            if depth < _DEEPEST:
                items += list(self.types(f"{name}[]", depth + 1))[:1]
        if votes["iterable"] or votes["indexed"] or votes["list"]:
            nested = [item for item, _ in Counter(items).most_common()]
            if votes["str"] or (STR in nested and not votes["list"]):
                yield from (STR, list_of(STR))
            yield from (list_of(item) for item in (*nested, INT, STR))
            if votes["indexed"]:
                yield ValueType("dict", (STR, INT))
        for kind, _ in votes.most_common():
            if kind in ("int", "float", "str"):
                yield ValueType(kind)
            elif kind == "dict":
                yield from (ValueType("dict", (STR, INT)), ValueType("dict", (INT, INT)))

    def _is_text(self, node: ast.AST) -> bool:
        return _is_literal_text(node) or (isinstance(node, ast.Name) and node.id in self._texts)

    def _vote(self, node: ast.AST, name: str, votes: Counter[str]) -> None:
        """Notes what one node says of the type of a name."""
        match node:
            case ast.Attribute(value=ast.Name(id=owner)) if owner == name:
                kind = "str" if node.attr in _STR_METHODS else "dict" if node.attr in _DICT_METHODS else ""
                votes[kind or ("list" if node.attr in _LIST_METHODS else "iterable")] += 3
            case ast.For() | ast.comprehension() if _is(node.iter, name):
                votes["iterable"] += 2
            case ast.Subscript() if _is(node.value, name):
                votes["iterable" if isinstance(node.slice, ast.Slice) else "dict"] += 2
            case ast.Call(func=ast.Name() | ast.Attribute()) if any(_is(argument, name) for argument in node.args):
                _vote_call(node, votes)
            case ast.BinOp() if _is(node.left, name) or _is(node.right, name):
                operand = node.right if _is(node.left, name) else node.left
                if isinstance(node.op, ast.Add) and self._is_text(operand):
                    votes["str"] += 3
                elif not (isinstance(node.op, ast.Mod) and self._is_text(node.left)):
                    votes["int"] += 1 if isinstance(node.op, ast.Add | ast.Mult) else 2
            case ast.AugAssign() if _is(node.target, name) or _is(node.value, name):
                votes["str" if self._is_text(node.value) or self._is_text(node.target) else "int"] += 1
            case ast.UnaryOp(op=ast.USub() | ast.Invert()) if _is(node.operand, name):
                votes["int"] += 2
            case ast.Compare():
                sides = [node.left, *node.comparators]
                if any(_is(side, name) for side in sides):
                    self._vote_comparison(node, sides, name, votes)

    def _vote_comparison(self, node: ast.Compare, sides: Sequence[ast.expr], name: str, votes: Counter[str]) -> None:
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            if _is(sides[-1], name):
                votes["iterable"] += 1
                votes["str"] += 2 * self._is_text(sides[0])
            else:
                votes["str"] += 2 * self._is_text(sides[-1])
            return
        for side in sides:
            if isinstance(side, ast.Constant):
                kind = type(side.value).__name__
                if kind in ("int", "float", "str"):
                    votes[kind] += 2
            elif isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "len":
                votes["int"] += 2


def _vote_call(node: ast.Call, votes: Counter[str]) -> None:
    """Notes what it says of a name that it is an argument of a call."""
    function = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if function in _OF_NUMBERS:
        votes["int"] += 2
    elif function in ("ord", "int", "join") and isinstance(node.func, ast.Name):
        votes["str"] += 2 if function == "ord" else 1
    elif function in ("max", "min") and len(node.args) > 1:
        votes["int"] += 1
    elif function in _OF_ITERABLES:
        votes["iterable"] += 2


def _is(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_literal_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _item_names(node: ast.AST, name: str) -> Iterator[str]:
    """Names that are bound to items of what a name holds."""
    match node:
        case ast.For(target=ast.Name(id=item)) | ast.comprehension(target=ast.Name(id=item)) if _is(node.iter, name):
            yield item
        case ast.For() | ast.comprehension():
            call = node.iter
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in ("enumerate", "sorted", "reversed", "set")
                and call.args
                and _is(call.args[0], name)
            ):
                target = node.target.elts[-1] if isinstance(node.target, ast.Tuple) else node.target
                if isinstance(target, ast.Name):
                    yield target.id
        case ast.Assign(targets=[ast.Name(id=item)], value=ast.Name(id=owner)) if owner == f"{name}[]":
            yield item
