"""The function of a program that tests call."""

from __future__ import annotations

from typing import Any

_METHOD = "Solution()."


def find(namespace: dict[str, Any], name: str) -> Any:
    """The function that tests call `name`: a method of a fresh `Solution` when the program has such a class with such a
    method, else the global of that name. Tests may also write `Solution().name`.

    Raises:
        NameError: There is neither.
    """
    name = name.removeprefix(_METHOD)
    solution = namespace.get("Solution")
    if isinstance(solution, type) and hasattr(solution, name):
        return getattr(solution(), name)
    if name in namespace:
        return namespace[name]
    raise NameError(f"name {name!r} is not defined")
