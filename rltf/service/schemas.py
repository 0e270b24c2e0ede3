"""Requests and answers of the endpoints whose shape is that of other services.

`/run_code` has the shape of SandboxFusion (`sandbox/server/sandbox_api.py`), `/test_program` and `/test_program_stdio`
that of open-instruct (`open_instruct/code_utils/api.py`). What differs stands in docs/use-the-judge.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """A request without unknown fields, whose values have the right types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RunCodeRequest(Strict):
    """A program to be run once."""

    code: str = Field(examples=["print(int(input()) + 1)"])
    language: str = Field(examples=["python"], description="python, cpp, nodejs or javascript")
    stdin: str | None = Field(default=None, examples=["1\n"])
    run_timeout: Seconds = Field(default=10, description="seconds; waiting for a core does not count")
    compile_timeout: Seconds = Field(default=10, description="of no effect: a compiler has 20 s")
    memory_limit_MB: int = Field(default=-1, description="beyond the interpreter's; -1: the service's default")
    files: dict[str, str | None] = Field(default={}, description="must be empty: programs have an empty scratch folder")
    fetch_files: list[str] = Field(default=[], description="must be empty")
    args: list[str] = Field(default=[], description="must be empty")


class RunResult(BaseModel):
    """What became of the program."""

    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None = Field(default=None, description="seconds by the wall clock")
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = Field(
        default=None, description="what it printed, then its error as the last lines of a traceback"
    )


class RunCodeResponse(BaseModel):
    """What became of the program, in SandboxFusion's words."""

    status: Literal["Success", "Failed", "SandboxError"]
    message: str = ""
    compile_result: RunResult | None = None
    run_result: RunResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = {}


class ProgramTestRequest(Strict):
    """A program and its tests."""

    program: str = Field(examples=["def add(a, b): return a + b"])
    tests: Any = Field(
        description="a list, or JSON text of one: `assert` statements, or objects with `input` and `output`",
        examples=[["assert add(1, 2) == 3"]],
    )
    max_execution_time: Seconds = Field(default=1.0, description="seconds a test")


class ProgramTestResponse(BaseModel):
    """One number a test."""

    results: list[int] = Field(description="1: passed")
    runtimes: list[float] = Field(description="seconds; -1 for tests that did not pass")


class Problem(BaseModel):
    """Why a request has no other answer."""

    detail: str


class Health(BaseModel):
    """The state of the service."""

    status: Literal["healthy", "draining", "failed"]
    version: str
    isolation: dict[str, str] | None = Field(default=None, description="layer -> active, degraded: why, absent: why")
    workers: int | None = None
    waiting: int | None = Field(default=None, description="programs that wait")
    running: int | None = Field(default=None, description="programs that are being judged")
