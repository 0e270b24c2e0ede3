"""Compiles the C code of this folder for this machine, once: half a second with the system's C compiler, after that a
file in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_FLAGS = ("-O2", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_HERE = Path(__file__).parent
_SOURCE = _HERE / "decoding.c"


def library() -> ctypes.CDLL:
    """The compiled library.

    Raises:
        OSError: there is none; the message says why: no compiler, or the first line of its complaint.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    texts = [path.read_text() for path in (*sorted(_HERE.glob("*.h")), _SOURCE)]
    key = hashlib.sha256(repr((texts, compiler, _FLAGS, _machine())).encode()).hexdigest()[:16]
    failure = OSError("no folder to keep it in")
    for folder in _folders():
        compiled = folder / f"kernels-{key}.so"
        try:
            if not compiled.exists():
                _compile(compiler, compiled)
            return ctypes.CDLL(str(compiled))
        except OSError as error:
            failure = error
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines()
            raise OSError(lines[0] if lines else str(error)) from None
    raise failure


def _compile(compiler: list[str], compiled: Path) -> None:
    """Compiles to another name first: other processes may do the same at this moment."""
    with tempfile.TemporaryDirectory(dir=compiled.parent) as folder:
        fresh = Path(folder) / compiled.name
        command = [*compiler, *_FLAGS, "-o", str(fresh), str(_SOURCE), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        fresh.replace(compiled)


def _folders() -> list[Path]:
    """Folders for the library: the user's cache, else a folder that ends with the process. No other user may write
    there, since it is code."""
    folders = []
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rltf"
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = home.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
            folders.append(home)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        pass
    return [*folders, Path(_temporary().name)]


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rltf-kernels-")


def _machine() -> str:
    """The processor's features, which `-march=native` depends on: a home may be shared by different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
