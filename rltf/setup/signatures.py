"""What a class or function takes, read from its source: to import torch and Lightning takes seconds, to parse a file
milliseconds, so that mistakes in options are told at once.

Read are parameters with their annotations, and the calls of `rltf.validation.require` with plain bounds. What is not
understood (a re-export by an assignment, an annotation by other classes) is left to the constructor.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from rltf.setup.sources import Source, definition, find
from rltf.validation import OptionError, require

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
    "None": ((type(None),), "null"),
    **dict.fromkeys(("Mapping", "dict"), ((dict,), "a table")),
    **dict.fromkeys(("Sequence", "Collection", "list", "tuple"), ((list,), "a list")),
}
"""Annotation -> types of values from a config that fit, and their name in messages."""


@dataclass(frozen=True)
class Requirement:
    """One call of `require`."""

    parameter: str
    bounds: Mapping[str, Any]
    """Its keywords."""


@dataclass(frozen=True)
class Signature:
    """Options of a class or function."""

    parameters: Mapping[str, ast.expr | None]
    """Name -> annotation."""
    source: Source
    open: bool = False
    """Whether further keywords are taken, whose names nobody knows."""
    requirements: tuple[Requirement, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """Whether a value from a config fits the parameter.

        Raises:
            OptionError: it has another type than the annotation says, or `require` will refuse it.
        """
        kinds = _kinds(self.parameters.get(name), self.source)
        for requirement in self.requirements:
            if requirement.parameter == name:
                require(name, value, **requirement.bounds)
        if isinstance(value, dict) and "_target_" in value:
            return  # an object by then
        if value is None and kinds and all(types == (str,) for types, *_ in kinds):
            return  # names are filled in later
        if kinds and not any(_fits(value, types, choices) for types, choices, _ in kinds):
            names = dict.fromkeys(text for *_, text in kinds)
            names = {name: None for name in names if not (name == "a whole number" and "a number" in names)}
            raise OptionError(name, value, " or ".join(sorted(names, key=lambda text: text != "null")))


@cache
def read_signature(target: str) -> Signature | None:
    """Options of what a dotted path names; None where its source does not say.

    Example:
        >>> sorted(read_signature("rltf.types.Sampling").parameters)
        ['max_new_tokens', 'min_p', 'temperature', 'top_k', 'top_p']
        >>> read_signature("rltf.callbacks.checkpoints.Checkpoints").check("every", 0)
        Traceback (most recent call last):
        rltf.validation.OptionError: every is 0: expected a whole number of at least 1
    """
    defined = find(target)
    if defined is None:
        return None
    source, node = defined
    if isinstance(node, ast.ClassDef):
        return _of_class(source, node)
    return _of_function(source, node) if isinstance(node, FunctionNode) else None


@cache
def read_attribute(target: str, name: str) -> Any:
    """The written value of an attribute or property of a class or its bases; True for a method; None without any.

    Example:
        >>> read_attribute("rltf.critics.value.MlpCritic", "kind")
        'value'
    """
    defined = find(target)
    if defined is None or not isinstance(defined[1], ast.ClassDef):
        return None
    source, node = defined[0], defined[1]
    for child in node.body:
        match child:
            case ast.Assign(targets=[ast.Name(id=attribute)], value=value) if attribute == name:
                return _literal(source, value)
            case ast.AnnAssign(target=ast.Name(id=attribute), value=ast.expr() as value) if attribute == name:
                return _literal(source, value)
            case ast.FunctionDef(name=method) if method == name:
                returned = [node.value for node in ast.walk(child) if isinstance(node, ast.Return) and node.value]
                is_property = any(ast.unparse(decorator) == "property" for decorator in child.decorator_list)
                return True if not is_property else _literal(source, returned[0]) if returned else None
    inherited = (read_attribute(base, name) for base in _bases(source, node))
    return next((value for value in inherited if value is not None), None)


def _bases(source: Source, node: ast.ClassDef) -> list[str]:
    """Dotted paths of a class's bases."""
    paths = []
    for base in node.bases:
        name, _, rest = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).partition(".")
        origin = f"{source.name}.{name}" if name in source.definitions else source.imports.get(name, name)
        paths.append(".".join(filter(None, (origin, rest))))
    return paths


def _of_class(source: Source, node: ast.ClassDef) -> Signature | None:
    methods = {child.name: child for child in node.body if isinstance(child, FunctionNode)}
    bases = [_of_base(source, base) for base in _bases(source, node)]
    if "__init__" in methods:
        own = _of_function(source, methods["__init__"], bound=True)
        inherited = [requirement for base in bases if base for requirement in base.requirements]
        passed = _passed_on(methods["__init__"])
        return replace(own, requirements=(*own.requirements, *(r for r in inherited if r.parameter in passed)))
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return next((base for base in bases if base is None or base.parameters or base.open), Signature({}, source))
    if None in bases:
        return None
    parameters: dict[str, ast.expr | None] = {}
    requirements: list[Requirement] = []
    for base in bases:
        parameters |= base.parameters if base else {}
        requirements += base.requirements if base else ()
    for child in node.body:
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and _is_field(child):
            parameters[child.target.id] = child.annotation
    if "__post_init__" in methods:
        requirements += _requirements(source, methods["__post_init__"])
    return Signature(parameters, source, requirements=tuple(requirements))


def _passed_on(node: FunctionNode) -> set[str]:
    """Parameters that a constructor gives to its base as they are."""
    calls = [child for child in ast.walk(node) if isinstance(child, ast.Call)]
    super_calls = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
    values = [value for call in super_calls for value in (*call.args, *(k.value for k in call.keywords))]
    return {value.id for value in values if isinstance(value, ast.Name)}


def _is_field(child: ast.AnnAssign) -> bool:
    value = ast.unparse(child.value) if child.value is not None else ""
    return "ClassVar" not in ast.unparse(child.annotation) and "init=False" not in value


def _of_base(source: Source, target: str) -> Signature | None:
    is_plain = target.partition(".")[0] in sys.stdlib_module_names or target == "object"
    return Signature({}, source) if is_plain else read_signature(target)


def _of_function(source: Source, node: FunctionNode, bound: bool = False) -> Signature:
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args][bound:] + arguments.kwonlyargs
    return Signature(
        {argument.arg: argument.annotation for argument in names},
        source,
        open=arguments.kwarg is not None,
        requirements=tuple(_requirements(source, node)),
    )


def _requirements(source: Source, node: FunctionNode) -> Iterator[Requirement]:
    """Calls of `require` that every call of the function reaches; `for` loops over written names are unrolled."""
    for statement in node.body:
        if isinstance(statement, ast.For) and isinstance(statement.target, ast.Name):
            names = _literal(source, statement.iter)
            for name in names if isinstance(names, tuple | list) else ():
                for child in statement.body:
                    yield from _requirement(source, child, {statement.target.id: name})
        else:
            yield from _requirement(source, statement, {})


def _requirement(source: Source, statement: ast.stmt, names: Mapping[str, str]) -> Iterator[Requirement]:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "require" or len(call.args) != 2:
        return
    key, value = call.args
    parameter = names.get(key.id) if isinstance(key, ast.Name) else _literal(source, key)
    values = (parameter, f"self.{parameter}", *(f"getattr(self, {variable})" for variable in names))
    if ast.unparse(value) not in values:
        return
    bounds = {keyword.arg: _literal(source, keyword.value) for keyword in call.keywords}
    if None not in bounds.values() and None not in bounds:
        yield Requirement(parameter, bounds)  # type: ignore[arg-type]


def _literal(source: Source, node: ast.expr) -> Any:
    """The value of a written expression; keys of a table, choices of `get_args(Literal[...])`; None: not understood."""
    if isinstance(node, ast.Name) and (defined := definition(source, node.id)) is not None:
        source, value = defined
        if isinstance(value, ast.Dict):
            return tuple(_literal(source, key) for key in value.keys if key is not None)
        return _literal(source, value) if isinstance(value, ast.expr) else None
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "get_args" and len(node.args) == 1:
        kinds = _kinds(node.args[0], source)
        return tuple(choice for _, choices, _ in kinds for choice in choices) if kinds else None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


Kind = tuple[tuple[type, ...], tuple[Any, ...], str]
"""Types of values that fit, values that fit, and a name for messages."""


def _kinds(node: ast.AST | None, source: Source) -> list[Kind] | None:
    """The alternatives of an annotation; None where one of them is not understood."""
    match node:
        case ast.Constant(value=None):
            return [_plain_kind("None")]
        case ast.Constant(value=str(text)):
            return _kinds(ast.parse(text, mode="eval").body, source)
        case ast.Name(id=name) if name in _KINDS:
            return [_plain_kind(name)]
        case ast.Name(id=name) if (defined := definition(source, name)) is not None:
            return _kinds(defined[1], defined[0])
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _joined([_kinds(left, source), _kinds(right, source)])
        case ast.Subscript(value=kind, slice=content):
            children = content.elts if isinstance(content, ast.Tuple) else [content]
            name = ast.unparse(kind).rpartition(".")[2]
            match name:
                case "Optional":
                    return _joined([_kinds(content, source), [_plain_kind("None")]])
                case "Union":
                    return _joined([_kinds(child, source) for child in children])
                case "Literal":
                    values = tuple(child.value for child in children if isinstance(child, ast.Constant))
                    return [((), values, " or ".join(map(str, values)))]
            return [_plain_kind(name)] if name in _KINDS else None
    return None


def _plain_kind(name: str) -> Kind:
    types, text = _KINDS[name]
    return types, (), text


def _joined(kinds: list[list[Kind] | None]) -> list[Kind] | None:
    return None if None in kinds else [kind for alternative in kinds for kind in alternative or ()]


def _fits(value: Any, types: tuple[type, ...], choices: tuple[Any, ...]) -> bool:
    if isinstance(value, bool) and bool not in types:
        return any(value is choice for choice in choices)
    return isinstance(value, types) or value in choices
