"""Modules as parsed files, none of which is imported: where a dotted path is defined."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A parsed module."""

    name: str
    is_package: bool
    definitions: dict[str, ast.AST] = field(default_factory=dict)
    """Name -> class, function, or the value that is assigned to it."""
    imports: dict[str, str] = field(default_factory=dict)
    """Name -> what it stands for, as a dotted path."""


def definition(source: Source, name: str) -> tuple[Source, ast.AST] | None:
    """The module and the node that define a name as a module uses it; None where they are not found."""
    if name in source.definitions:
        return source, source.definitions[name]
    return find(source.imports[name]) if name in source.imports else None


def find(target: str, depth: int = 0) -> tuple[Source, ast.AST] | None:
    """The module and the node that define what a dotted path names, through re-exports; None where there are none."""
    module, _, name = target.rpartition(".")
    if not module or depth > 10:
        return None
    source = read_source(module)
    if source is None:
        return None
    if name in source.definitions:
        return source, source.definitions[name]
    return find(source.imports[name], depth + 1) if name in source.imports else None


@cache
def read_source(module: str) -> Source | None:
    """A module by its dotted name; None where it has no Python file that can be read."""
    file = _file(module)
    if file is None:
        return None
    source = Source(module, file.name == "__init__.py")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    for node in tree.body:
        _collect(source, node)
    return source


def _collect(source: Source, node: ast.stmt) -> None:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            source.definitions[name] = node
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            source.definitions[name] = value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            source.definitions[name] = value
        case ast.Import(names=names):
            source.imports.update({alias.asname: alias.name for alias in names if alias.asname})
        case ast.ImportFrom(module=module, names=names, level=level):
            parts = source.name.split(".")
            parents = parts[: len(parts) + source.is_package - level] if level else []
            origin = ".".join([*parents, *([module] if module else [])])
            source.imports.update({alias.asname or alias.name: f"{origin}.{alias.name}" for alias in names})
        case ast.If(body=body) | ast.Try(body=body):
            for child in body:
                _collect(source, child)


def _file(module: str) -> Path | None:
    """The file of a module. Its package is not imported."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not rest:
        origin = spec.origin if spec is not None else None
        return Path(origin) if origin is not None and origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest)
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None
