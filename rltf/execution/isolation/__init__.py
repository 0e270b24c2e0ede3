"""The layers that isolate programs, each usable alone, each probed by its effect.

Runs in the zygote while it starts, before there is any program, and is trusted; `memory` and
`seccomp.read_forbidden_call` run in the worker too. What the layers forbid holds for the zygote and all that it forks.
"""

LAYERS = ("limits", "user", "files", "pids", "network", "seccomp", "landlock", "memory")
"""Isolation layers, as an executor's report names them and `executor.require` may ask for them."""
