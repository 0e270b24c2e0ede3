"""How a zygote is started: its command line, which tells programs nothing, its users, and the files that it needs."""

from __future__ import annotations

import os
import sys

from rltf.execution.isolation.layers import INNER_ID
from rltf.execution.languages import RUNTIMES
from rltf.execution.sandbox.control import FLAGS

_BOOT = """
import json, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
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


def runtime_files(runtime: str | None, folder: str | None) -> list[str]:
    """What programs that need a runtime must be able to read, of the folder that holds its module."""
    if runtime is None or folder is None:
        return []
    module = RUNTIMES[runtime]
    names = sorted(name for name in os.listdir(folder) if name == module or name.startswith(f"{module}."))
    return [os.path.join(folder, name) for name in names]


def _interpreter() -> str:
    """The interpreter itself, whatever environment we run in: its path tells programs nothing of ours."""
    base = getattr(sys, "_base_executable", "")
    return base if os.path.isfile(base) else sys.executable
