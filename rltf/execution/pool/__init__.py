"""The processes of one machine that hand jobs out: supervisor and workers.

`pending` runs in the trainer. The supervisor is one process, which starts workers and sends them jobs; a worker is a
process that has one sandbox and judges one program at a time. All of it is trusted: no program is ever loaded here.
"""
