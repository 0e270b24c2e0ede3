"""Our rewards as reward functions of other trainers: one host a file (docs/use-the-judge.md).

None of the hosts is imported: each file has the host's documented signature.
"""
