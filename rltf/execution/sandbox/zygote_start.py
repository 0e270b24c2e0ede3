"""How a zygote is started: its command line, which tells programs nothing, its users, and the files that it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from rltf.execution.isolation.layers import INNER_ID
from rltf.execution.isolation.root import interpreter_files
from rltf.execution.languages import RUNTIMES
from rltf.execution.sandbox.control import FLAGS

_BOOT = """
import json, sys
from _socket import socket
control = socket(fileno=int(sys.argv[1]))
settings = json.loads(control.recv(1 << 20))
sys.path.insert(0, settings["source"])
from rltf.execution.sandbox.zygote import main
main(control, settings)
"""
"""How a zygote starts: what it is told comes by its socket, since programs can read its command line."""


def command(control: int) -> list[str]:
    """The command line of a zygote that is told everything through the descriptor `control`."""
    return [_interpreter(), *FLAGS, "-c", _BOOT, str(control)]


def map_users(pid: int, host_id: int) -> None:
    """Gives the users of a process's user namespace: root to start with, and the one that programs run as."""
    for kind, our_id in (("uid", os.geteuid()), ("gid", os.getegid())):
        rows = f"0 0 1\n{INNER_ID} {host_id} 1" if os.geteuid() == 0 else f"{INNER_ID} {our_id} 1"
        if kind == "gid" and os.geteuid() != 0:
            with open(f"/proc/{pid}/setgroups", "w") as file:
                file.write("deny")
        with open(f"/proc/{pid}/{kind}_map", "w") as file:
            file.write(rows)


def runtime_files(runtime: str | None, path: str | None) -> list[str]:
    """What programs that need a runtime must be able to read beyond the interpreter's files.

    Args:
        runtime: its name; None: they need none.
        path: folder that holds its module, or its compiler.
    """
    if runtime is None or path is None:
        return []
    module = RUNTIMES[runtime].module
    if module is None:
        return _compiler_files(path)
    names = sorted(name for name in os.listdir(path) if name == module or name.startswith(f"{module}."))
    return [os.path.join(path, name) for name in names]


def _compiler_files(compiler: str) -> list[str]:
    """The programs that a compiler calls, by the names at which it looks for them, and what it includes."""
    paths = [compiler]
    for name in ("as", "ld", "cc1plus", "collect2"):
        output = subprocess.run([compiler, f"-print-prog-name={name}"], capture_output=True, text=True, check=False)
        if (program := shutil.which(output.stdout.strip())) is not None:
            while os.path.islink(program):
                paths.append(program)
                program = os.path.normpath(os.path.join(os.path.dirname(program), os.readlink(program)))
            paths.append(program)
    paths += [folder for folder in ("/usr/include", "/usr/local/include", "/usr/libexec/gcc") if os.path.isdir(folder)]
    present = tuple(f"{folder}/" for folder in interpreter_files())
    return sorted({path for path in paths if not path.startswith(present)})


def _interpreter() -> str:
    """The interpreter itself, whatever environment we run in: its path tells programs nothing of ours."""
    base = getattr(sys, "_base_executable", "")
    return base if os.path.isfile(base) else sys.executable
