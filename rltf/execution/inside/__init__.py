"""Code that runs in the same process as an untrusted program.

A child of the zygote compiles the program here, runs it and answers with values. Nothing that this process says is
trusted, since the program can change any of this code once it runs. The zygote imports it once for all children; only
`coverage.CoverageMarks` and `trace.TraceMemory` belong to the worker, which reads what children write there.
"""
