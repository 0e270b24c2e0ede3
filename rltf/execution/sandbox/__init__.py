"""The sandbox seen from outside, and the zygote that forks programs in it.

`Sandbox`, `SandboxedProcess` and `process_tree` run in a worker; `zygote` is a process of its own inside the isolation
layers. Both are trusted. The zygote sees neither programs nor tests.
"""
