"""As much of pytest as the text of a test may use without pytest being there: `raises`, `approx`, `fail`, marks."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any


def install() -> None:
    """Makes `import pytest` work where there is no pytest."""
    if "pytest" in sys.modules or find_spec("pytest") is not None:
        return
    module = types.ModuleType("pytest", __doc__)
    vars(module).update(raises=raises, approx=Approx, fail=fail, mark=_Mark(), fixture=_Mark().fixture, param=_param)
    sys.modules["pytest"] = module


class Failed(AssertionError):
    """A test has failed."""


class ExceptionInfo:
    """The exception that was raised."""

    value: BaseException

    @property
    def type(self) -> type[BaseException]:
        """Its class."""
        return type(self.value)

    def match(self, pattern: str) -> bool:
        """Fails the test unless the text of the exception matches."""
        if not re.search(pattern, str(self.value)):
            raise Failed(f"{pattern!r} does not match {str(self.value)!r}")
        return True


class _Raises:
    def __init__(self, expected: Any, pattern: str | None) -> None:
        self._expected, self._pattern = expected, pattern
        self._info = ExceptionInfo()

    def __enter__(self) -> ExceptionInfo:
        return self._info

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if kind is None:
            raise Failed(f"did not raise {self._expected}")
        if not issubclass(kind, self._expected):
            return False
        self._info.value = error
        if self._pattern is not None:
            self._info.match(self._pattern)
        return True


def raises(expected: Any, *args: Any, match: str | None = None, **names: Any) -> Any:
    """A context that must raise an exception; with further arguments, the call that must raise it."""
    context = _Raises(expected, match)
    if not args:
        return context
    with context as info:
        args[0](*args[1:], **names)
    return info


def fail(reason: str = "", pytrace: bool = True) -> None:
    """Fails the test.

    Raises:
        Failed: Always.
    """
    raise Failed(reason)


class Approx:
    """A number, or numbers in a list, tuple or dict, that is equal to what is close to it."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None, nan_ok: bool = False) -> None:
        self._expected, self._rel, self._abs, self._nan_ok = expected, rel, abs, nan_ok

    def __eq__(self, other: object) -> bool:
        return self._close(other, self._expected)

    def __repr__(self) -> str:
        return f"approx({self._expected!r})"

    def _close(self, value: Any, expected: Any) -> bool:
        if isinstance(expected, dict):
            same_keys = isinstance(value, dict) and value.keys() == expected.keys()
            return same_keys and all(self._close(value[key], item) for key, item in expected.items())
        if isinstance(expected, (list, tuple)):
            same_size = isinstance(value, (list, tuple)) and len(value) == len(expected)
            return same_size and all(map(self._close, value, expected))
        if isinstance(expected, (bool, str, bytes)) or expected is None:
            return bool(value == expected)
        if not isinstance(value, (int, float, complex)) and not hasattr(value, "as_integer_ratio"):
            return False
        if value == expected:
            return True
        if expected != expected:
            return self._nan_ok and value != value
        if abs(expected) == float("inf"):
            return False
        relative = (1e-6 if self._rel is None and self._abs is None else self._rel or 0.0) * abs(expected)
        absolute = 1e-12 if self._abs is None else self._abs
        return bool(abs(value - expected) <= max(relative, absolute))


class _Mark:
    """`pytest.mark.anything`: a decorator, with or without arguments, that changes nothing."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def mark(*args: Any, **names: Any) -> Any:
            if len(args) == 1 and not names and isinstance(args[0], (types.FunctionType, type)):
                return args[0]
            return lambda function: function

        return mark


def _param(*values: Any, id: str | None = None, marks: Any = ()) -> tuple[Any, ...]:
    return values
