"""Untrusted programs against unit tests, in a sandbox of our own: `Job` in, `Verdict` out.

    trainer -> supervisor -> worker (one per sandbox) -> zygote -> child (one per program)

Each folder says which process runs its code and whether it is trusted. Documentation: docs/execution.md.

What is covered, on a host that has all isolation layers (`report` says which are active):

- Files: programs see the interpreter's own and a small scratch folder, no host path, environment or secret.
- Network: no interface, loopback included; no socket but `AF_UNIX`.
- Processes: none outside the sandbox is seen or signalled; whatever a program starts ends with it.
- Resources: memory of all its processes together, CPU and wall-clock time, output, files, tasks, descriptors.
- System calls: exec, ptrace, mounts, namespaces, bpf, keys, io_uring and set-id end the program with a `violation`.
- The verdict: expected values and comparisons are never in the program's process; an early exit, a forged message or an
  object with its own `==` passes no test.

What is not covered:

- Bugs of the kernel: programs share it with the host. Put a virtual machine or gVisor round the node if that matters.
- Side channels: timing, caches, load of the machine.
- Hosts without user namespaces, Landlock or seccomp: layers are then absent, which `executor.require` can refuse.
- Tests that call a helper which the program itself defines, and trust its answer.
- What tests do not test: a wrong program that passes them is a `passed` program.
- Coverage marks (`Job.coverage`) and traces of values (`Job.reference`): a program can write its own, which changes no
  outcome.

Names are imported on first use: the processes inside the sandbox import this package too, and stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltf.execution.cluster.executor import RayExecutor
    from rltf.execution.executor import Executor
    from rltf.execution.local import LocalExecutor
    from rltf.types import Job, Verdict

__all__ = ["Executor", "Job", "LocalExecutor", "RayExecutor", "Verdict"]

_MODULES = {
    "Executor": "rltf.execution.executor",
    "LocalExecutor": "rltf.execution.local",
    "RayExecutor": "rltf.execution.cluster.executor",
    "Job": "rltf.types",
    "Verdict": "rltf.types",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
