"""The second language of `infinitum`: a program's Python tree, written in JavaScript.

Both programs give the same results for the same inputs, so that an item has the same tests in both languages. Where the
languages differ, JavaScript says what Python means: division rounds down, a remainder has the divisor's sign, a
division by zero and a missing index are errors, variables are declared in the block that uses them. Numbers are
JavaScript's: items with larger ones than `LARGEST` are drawn anew.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Sequence

LARGEST = 2**53
"""Up to this number JavaScript has every whole one."""
_ATOM, _UNARY, _TIMES, _PLUS, _COMPARED, _DEFAULT = range(6, 0, -1)
"""How tightly the operation of a text holds together; `_DEFAULT` is `??`."""
_OPERATORS: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", _PLUS),
    ast.Sub: ("-", _PLUS),
    ast.Mult: ("*", _TIMES),
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "===",
    ast.NotEq: "!==",
}
_CALLS = {
    "abs": ("Math.abs({})", 0),
    "len": ("{}.length", _ATOM),
    "set": ("new Set({})", 0),
    "sorted": ("{}.sort((a, b) => a - b)", _ATOM),
    "str": ("String({})", 0),
    "sum": ("{}.reduce((sum, item) => sum + item, 0)", _ATOM),
}
"""Function of Python -> its JavaScript, and how tightly its argument must hold together there."""
_SET_FILTERS: dict[type[ast.operator], str] = {ast.BitAnd: "", ast.Sub: "!"}
_ERRORS = {"ZeroDivisionError": "division by zero", "IndexError": "no such index"}
"""Error that is caught -> the message with which JavaScript throws one of its own."""


def to_javascript(code: str) -> str:
    """The program in JavaScript: one function, indented by two blanks, without blank lines.

    Args:
        code: a program of `infinitum`, in Python.

    >>> print(to_javascript("def f(a, xs):\\n    t = a // 2\\n    for x in xs:\\n        t += x\\n    return t"))
    function f(a, xs) {
      let t = Math.floor(a / 2);
      for (const x of xs) {
        t += x;
      }
      return t;
    }
    """
    [function] = ast.parse(code).body
    assert isinstance(function, ast.FunctionDef)
    return "\n".join(_Function(function).lines())


class _Function:
    """Prints a function; those inside it have printers of their own.

    Args:
        node: the function.
    """

    def __init__(self, node: ast.FunctionDef) -> None:
        self._node = node
        self._declared = {argument.arg for argument in node.args.args}
        self._assigned = Counter(name for child in node.body for name in _assigned_names(child))
        self._texts = {
            loop.target.id
            for loop in ast.walk(node)
            if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and _goes_through_text(loop)
        }

    def lines(self) -> list[str]:
        """The function's lines."""
        head = f"function {self._node.name}({', '.join(argument.arg for argument in self._node.args.args)}) {{"
        return [head, *self._block(self._node.body), "}"]

    def _block(self, body: Sequence[ast.stmt]) -> list[str]:
        return [f"  {line}" for node in body for line in self._statement(node)]

    def _statement(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.FunctionDef():
                return _Function(node).lines()
            case ast.Return(value=ast.expr() as value):
                return [f"return {self._text(value)};"]
            case ast.Break():
                return ["break;"]
            case ast.Assign(targets=[target], value=value):
                return [self._assignment(target, value)]
            case ast.AugAssign(op=ast.FloorDiv()):
                divided = ast.BinOp(_loaded(node.target), node.op, node.value)
                return [f"{self._text(node.target)} = {self._text(divided)};"]
            case ast.AugAssign():
                return [f"{self._text(node.target)} {_OPERATORS[type(node.op)][0]}= {self._text(node.value)};"]
        return [*self._declarations(node), *self._compound(node)]

    def _compound(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.If(orelse=[]):
                return [f"if ({self._text(node.test)}) {{", *self._block(node.body), "}"]
            case ast.If():
                return [
                    *(f"if ({self._text(node.test)}) {{", *self._block(node.body)),
                    *("} else {", *self._block(node.orelse), "}"),
                ]
            case ast.While():
                return [f"while ({self._text(node.test)}) {{", *self._block(node.body), "}"]
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=[count])):
                head = f"for (let {name} = 0; {name} < {self._text(count)}; {name}++) {{"
                return [head, *self._block(node.body), "}"]
            case ast.For(target=ast.Name(id=name)):
                return [f"for (const {name} of {self._text(node.iter)}) {{", *self._block(node.body), "}"]
            case ast.Try(handlers=[ast.ExceptHandler(type=ast.Name(id=error)) as handler]):
                return [
                    *("try {", *(f"  {line}" for line in self._thrown(node.body, error)), *self._block(node.body)),
                    *("} catch {", *self._block(handler.body), "}"),
                ]
        raise AssertionError(ast.dump(node))

    def _declarations(self, node: ast.stmt) -> list[str]:
        """Names that a compound statement assigns first: they are wanted behind it, too."""
        names = [name for name in dict.fromkeys(_assigned_names(node)) if name not in self._declared]
        self._declared |= set(names)
        return [f"let {', '.join(names)};"] if names else []

    def _thrown(self, body: Sequence[ast.stmt], error: str) -> Iterator[str]:
        """What throws where Python raises this error."""
        for node in (node for child in body for node in ast.walk(child)):
            match node:
                case ast.BinOp(op=ast.FloorDiv(), right=ast.BinOp() as right) if error == "ZeroDivisionError":
                    condition = f"{self._text(right, _COMPARED + 1)} === 0"
                case ast.Subscript(value=value, slice=index) if error == "IndexError":
                    condition = f"{self._text(index, _COMPARED + 1)} >= {self._text(value, _ATOM)}.length"
                case _:
                    continue
            yield f'if ({condition}) throw new RangeError("{_ERRORS[error]}");'

    def _assignment(self, target: ast.expr, value: ast.expr) -> str:
        match target, value:
            case ast.Tuple(elts=names), ast.Call(func=ast.Name(id="divmod"), args=[left, right]):
                parts = [ast.BinOp(left, operator, right) for operator in (ast.FloorDiv(), ast.Mod())]
                text = f"[{', '.join(map(self._text, parts))}]"
            case ast.Tuple(elts=names), _:
                text = self._text(value)
            case _:
                names, text = [target], self._text(value)
        places = [
            f"...{self._text(name.value)}" if isinstance(name, ast.Starred) else self._text(name) for name in names
        ]
        place = places[0] if len(places) == 1 else f"[{', '.join(places)}]"
        bound_names = {name for part in names for name in _stored(part)}
        if not bound_names - self._declared:
            return f"{place} = {text};"
        self._declared |= bound_names
        is_constant = all(self._assigned[name] == 1 for name in bound_names)
        return f"{'const' if is_constant else 'let'} {place} = {text};"

    def _text(self, node: ast.expr, at_least: int = 0) -> str:
        """An expression, in brackets where it holds together less tightly than `at_least`."""
        text, strength = self._expression(node)
        return text if strength >= at_least else f"({text})"

    def _expression(self, node: ast.expr) -> tuple[str, int]:
        match node:
            case ast.Constant(value=value):
                return json.dumps(value), _ATOM
            case ast.Name(id=name):
                return name, _ATOM
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"-{self._text(operand, _ATOM)}", _UNARY
            case ast.BinOp():
                return self._operation(node)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._comparison(left, operator, right)
            case ast.Subscript(value=value, slice=index):
                return f"{self._text(value, _ATOM)}[{self._text(index)}]", _ATOM
            case ast.Dict(keys=keys, values=values):
                pairs = (
                    f"{self._text(k)}: {self._text(v)}" for k, v in zip(keys, values, strict=True) if k is not None
                )
                inner = ", ".join(pairs)
                return f"{{ {inner} }}" if inner else "{}", _ATOM
            case ast.Set(elts=items):
                return f"[{', '.join(map(self._text, items))}]", _ATOM
            case ast.JoinedStr(values=parts):
                return "`" + "".join(self._template_part(part) for part in parts) + "`", _ATOM
            case ast.ListComp(generators=[ast.comprehension(target=ast.Name(id=name), iter=source, ifs=conditions)]):
                chain = self._text(source, _ATOM)
                chain += "".join(f".filter(({name}) => {self._text(condition)})" for condition in conditions)
                same = isinstance(node.elt, ast.Name) and node.elt.id == name
                return chain if same and conditions else f"{chain}.map(({name}) => {self._text(node.elt)})", _ATOM
            case ast.Call(func=ast.Attribute(value=value, attr=method), args=arguments):
                return self._method(value, method, arguments)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                form, at_least = _CALLS.get(name, (name + "({})", 0))
                return form.format(*(self._text(argument, at_least) for argument in arguments)), _ATOM
        raise AssertionError(ast.dump(node))

    def _operation(self, node: ast.BinOp) -> tuple[str, int]:
        match node:
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.BinOp(right=ast.Set()):
                return self._set_operation(node), _ATOM
            case ast.BinOp(op=ast.FloorDiv()):
                return f"Math.floor({self._text(node.left, _TIMES)} / {self._text(node.right, _TIMES + 1)})", _ATOM
            case ast.BinOp(op=ast.Mod()):
                divisor = self._text(node.right, _TIMES + 1)
                return f"(({self._text(node.left, _TIMES)} % {divisor}) + {divisor}) % {divisor}", _TIMES
            case ast.BinOp(op=ast.Mult(), left=ast.Name(id=name), right=count) if name in self._texts:
                return f"{name}.repeat({self._text(count)})", _ATOM
        operator, strength = _OPERATORS[type(node.op)]
        # as in Python, an operation on the right of one that holds as tightly has brackets
        return f"{self._text(node.left, strength)} {operator} {self._text(node.right, strength + 1)}", strength

    def _set_operation(self, node: ast.BinOp) -> str:
        assert isinstance(node.left, ast.Call)
        second = self._text(node.right)
        if isinstance(node.op, ast.BitOr):
            return f"[...new Set([...{self._text(node.left.args[0])}, {second[1:-1]}])]"
        return f"[...{self._text(node.left)}].filter((item) => {_SET_FILTERS[type(node.op)]}{second}.includes(item))"

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> tuple[str, int]:
        match left, operator, right:
            case _, ast.In(), _:
                return f"{self._text(right, _ATOM)}.includes({self._text(left)})", _ATOM
            case ast.BinOp(op=ast.Mod(), right=ast.Constant(value=2)), ast.Eq(), ast.Constant(value=wanted):
                # of a negative odd number JavaScript's remainder is -1
                sign = "===" if wanted == 0 else "!=="
                return f"{self._text(left.left, _TIMES)} % 2 {sign} 0", _COMPARED
        sides = self._text(left, _COMPARED + 1), self._text(right, _COMPARED + 1)
        return f" {_COMPARISONS[type(operator)]} ".join(sides), _COMPARED

    def _method(self, value: ast.expr, method: str, arguments: Sequence[ast.expr]) -> tuple[str, int]:
        if method == "get":
            key, default = arguments
            return f"{self._text(value)}[{self._text(key)}] ?? {self._text(default, _DEFAULT + 1)}", _DEFAULT
        assert method == "upper"
        return f"{self._text(value, _ATOM)}.toUpperCase()", _ATOM

    def _template_part(self, node: ast.expr) -> str:
        if isinstance(node, ast.FormattedValue):
            return f"${{{self._text(node.value)}}}"
        assert isinstance(node, ast.Constant)
        return str(node.value)


def _loaded(target: ast.expr) -> ast.expr:
    """The value of what is assigned to."""
    assert isinstance(target, ast.Name)
    return ast.Name(target.id, ast.Load())


def _goes_through_text(loop: ast.For) -> bool:
    """True where items of the loop are characters: its body asks whether they are in a text."""
    comparisons = (node for node in ast.walk(loop) if isinstance(node, ast.Compare))
    return any(isinstance(c.ops[0], ast.In) and isinstance(c.comparators[0], ast.Constant) for c in comparisons)


def _assigned_names(node: ast.AST) -> Iterator[str]:
    """Names that a statement of a function assigns, once for each place; those of loops and functions inside are their
    own."""
    match node:
        case ast.FunctionDef():
            return
        case ast.Assign(targets=[target]):
            yield from _stored(target)
        case ast.AugAssign(target=target):
            yield from _stored(target)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _assigned_names(child)


def _stored(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
