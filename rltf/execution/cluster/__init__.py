"""Judging on all machines of a Ray cluster.

The executor, its dispatcher and the threads of its nodes run in the trainer; `NodeActor` runs on every node and has a
`LocalExecutor` there. All of it is trusted: what travels by Ray is our own jobs and verdicts, never an object of
a program.
"""
