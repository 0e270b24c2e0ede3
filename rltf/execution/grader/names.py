"""The global names of test text: its own, the judge's, and those that only the program has."""

from __future__ import annotations

import builtins
import importlib
import typing
from typing import Any

from rltf.execution.grader import small_pytest
from rltf.execution.grader.stand_ins import RemoteProxy

_ATTRIBUTES = {
    "math": "isclose",
    "cmath": "",
    "collections": "Counter defaultdict deque OrderedDict namedtuple",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "numpy": "allclose array_equal",
    "numpy.testing": "assert_allclose assert_array_equal assert_almost_equal assert_array_almost_equal",
    "typing": " ".join(name for name in typing.__all__ if name[0].isupper()),
}
WELL_KNOWN: dict[str, tuple[str, str]] = {
    **{name: (module, name) for module, names in _ATTRIBUTES.items() for name in names.split()},
    "np": ("numpy", ""),
    "numpy": ("numpy", ""),
    "pytest": ("pytest", ""),
}
"""Names that a test means from a library even where it does not import them -> module, attribute."""


def well_known(name: str) -> Any:
    """What a test means by one of `WELL_KNOWN`.

    Raises:
        ImportError: The judge does not have it.
    """
    module, attribute = WELL_KNOWN[name]
    if module == "pytest":
        small_pytest.install()
    imported = importlib.import_module(module)
    return getattr(imported, attribute) if attribute else imported


class TestNames(dict[str, Any]):
    """A namespace in which a name that is not there is looked up in the program, each time anew."""

    __test__ = False  # not a pytest class

    program: Any = None
    """The way to the program (`ProgramLink`); None: there is none yet."""

    def __init__(self) -> None:
        super().__init__(__builtins__=builtins, __name__="test")

    def lend(self, name: str) -> None:
        """Has the program's function of a name called by that name."""
        self[name] = RemoteProxy(self.program, name)

    def __missing__(self, name: str) -> Any:
        special = name.startswith("__") and name.endswith("__")
        if self.program is None or special or name == "check" or hasattr(builtins, name):
            raise KeyError(name)
        return self.program.request("global", name)
