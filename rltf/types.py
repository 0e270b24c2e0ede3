"""Records that flow through `rltf`, from a problem to a gradient.

    Problem --prompt--> Program --sandbox--> Verdict --rewards--> Credit --baseline--> Rollout --> RolloutBatch

Every record is frozen, holds plain Python values (only `RolloutBatch` holds tensors) and does no I/O. This module
imports neither torch nor transformers, so rewards, spans and the judge import and test in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from torch import Tensor

Split = Literal["train", "validation", "test"]
Span = tuple[int, int]
"""Half-open range of positions: `(start, end)`."""


class Outcome(StrEnum):
    """Outcome of one test, or of a program: that of its worst test. A syntax error outranks every other error (of
    those the first that occurred counts), an error a wrong answer, a wrong answer a pass (RLTF, section 3.2)."""

    SYNTAX_ERROR = "syntax_error"
    """The program does not compile."""
    VIOLATION = "violation"
    """The sandbox stopped a forbidden action."""
    OUTPUT_LIMIT = "output_limit"
    MEMORY_LIMIT = "memory_limit"
    TIMEOUT = "timeout"
    RUNTIME_ERROR = "runtime_error"
    WRONG_ANSWER = "wrong_answer"
    UNJUDGEABLE = "unjudgeable"
    """Nothing is known of the program: a test checks nothing, breaks by itself, or asks what cannot be asked from
    outside the sandbox. The error says which. It earns no reward and no blame."""
    PASSED = "passed"

    @property
    def stage(self) -> int:
        """Rank of the outcome: 0 the program does not compile, 1 it stopped with an error, 2 it ran, and a test failed
        or could not be judged, 3 it passed."""
        ran = (Outcome.WRONG_ANSWER, Outcome.UNJUDGEABLE)
        return 0 if self is Outcome.SYNTAX_ERROR else 2 if self in ran else 3 if self is Outcome.PASSED else 1

    @property
    def is_error(self) -> bool:
        """True for a program that stopped before it answered, other than by a syntax error."""
        return self.stage == 1


_OUTCOMES = {str(outcome): outcome for outcome in Outcome}


class Category(StrEnum):
    """Which tokens an error is blamed on (RLTF, table of error sub-types)."""

    LINE = "line"
    """The tokens of the lines `line..end_line`."""
    GLOBAL = "global"
    """The whole program: timeouts, recursion, truncated programs."""
    IGNORE = "ignore"
    """No tokens: the error's position is not reliable."""


class FinishReason(StrEnum):
    """Why sampling of a program stopped."""

    EOS = "eos"
    """The policy drew its end-of-sequence token, which is then the last of `token_ids`."""
    STOP = "stop"
    """A stop string of the prompt format appeared; the program is complete."""
    LENGTH = "length"
    """`max_new_tokens` ran out: the program is truncated."""


@dataclass(frozen=True, slots=True)
class AssertTest:
    """One `assert` statement (MBPP), e.g. `assert f(1) == 2`."""

    code: str
    kind: Literal["assert"] = "assert"


@dataclass(frozen=True, slots=True)
class StdioTest:
    """A run of the whole program: `stdin` in, `stdout` compared token by token, or read by a checker."""

    stdin: str
    stdout: str
    tolerance: float | None = None
    """How far numbers may be off: this much absolutely below 1, relatively above. None: integers not at all, others
    by 1e-6."""
    checker: str = ""
    """Trusted code with a function `check(stdin, expected, printed)` that returns True or False, for problems with
    several right answers; empty: the outputs are compared."""
    kind: Literal["stdio"] = "stdio"


@dataclass(frozen=True, slots=True)
class CallTest:
    """`function(*args) == expected`; `function` may be a method of `class Solution`."""

    function: str
    args: tuple[Any, ...]
    expected: Any
    or_in_list: bool = False
    """True: a list of `expected` alone is right, too (APPS does not say whether its results are wrapped)."""
    tolerance: float | None = None
    """How far numbers may be off, also in lists, tuples and dicts: this much absolutely below 1, relatively above.
    None: not at all."""
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True)
class CheckTest:
    """A `check(candidate)` function (HumanEval) called with the program's `entry_point`."""

    code: str
    entry_point: str
    kind: Literal["check"] = "check"


@dataclass(frozen=True, slots=True)
class TextTest:
    """An answer in words or numbers: the text of the program, which is not run, is compared token by token."""

    expected: str
    tolerance: float | None = None
    """As that of `StdioTest`."""
    kind: Literal["text"] = "text"


Test = AssertTest | StdioTest | CallTest | CheckTest | TextTest


@dataclass(frozen=True, slots=True)
class Problem:
    """A task with unit tests."""

    id: str
    """Unique in its benchmark; stable from run to run."""
    statement: str
    """The task in natural language."""
    tests: tuple[Test, ...]
    entry_point: str | None = None
    """Function to be written; None for a program that reads stdin and writes stdout."""
    starter: str = ""
    """Code that the statement asks to be completed, or empty."""
    setup: str = ""
    """Trusted code run before the program in the sandbox (imports of the task)."""
    difficulty: str = ""
    references: tuple[str, ...] = ()
    """Programs that pass the tests."""
    demonstrations: tuple[str, ...] = ()
    """Programs that supervised training sees; may be imperfect. Empty: `references` are used."""
    tags: tuple[str, ...] = ()
    """Language constructs in the reference, for results by construct."""
    language: str = "python"
    """In which programs are written."""
    task: str = ""
    """Name of the task that it is one problem of, in a benchmark of several; empty: there is one task."""

    def job(self, program: str, coverage: bool = False, reference: str | None = None) -> Job:
        """The job that judges a program by the problem's tests; arguments as the fields of `Job`."""
        return Job(program, self.tests, self.setup, coverage=coverage, reference=reference, language=self.language)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered problem. Only `question` may be cut when the prompt is too long; the answer marker survives."""

    head: str
    question: str
    tail: str
    answer: str = ""
    """Start of the answer that is given to the policy; with `chat`, the opened assistant turn."""
    chat: bool = False
    """True: `head + question + tail` is the user's message of the tokenizer's chat template."""
    system: str | None = None
    """With `chat`: the system turn in front of the user's; None: there is none."""
    template: Mapping[str, Any] = field(default_factory=dict)
    """With `chat`: keywords of the chat template, e.g. `enable_thinking`."""
    stop: tuple[str, ...] = ()
    """Strings at which the answer ends (not part of the program)."""
    task: str = ""
    """Of the problem (`Problem.task`), for policies that have prompts of their own for each task."""
    training: bool = False
    """True: of a training problem, whose task a policy may be told that has to find it out by itself later."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Position of the program in an answer: `lead + text[start:end] + tail`."""

    start: int
    end: int
    lead: str = ""
    """Text in front that belongs to the program but was not sampled, e.g. `def f(`."""
    tail: str = ""
    """Text behind that belongs to the program but was not sampled: the brace at which sampling stopped."""

    def program(self, text: str) -> str:
        """The program that the answer `text` holds."""
        return self.lead + text[self.start : self.end] + self.tail


@dataclass(frozen=True, slots=True)
class Sampling:
    """Parameters of the distribution that tokens are drawn from: tempered first, then truncated and renormalised."""

    temperature: float = 1.0
    """Greater than 0; greedy programs ignore it."""
    top_p: float = 1.0
    """Smallest set of tokens whose probability reaches this; 1 keeps all."""
    top_k: int = 0
    """0 keeps all."""
    min_p: float = 0.0
    """Drops tokens less probable than `min_p` times the most probable one; 0 keeps all."""
    max_new_tokens: int = 512
    """Tokens, the end-of-sequence token included."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, and how many programs are drawn for it."""

    problem_id: str
    prompt_ids: tuple[int, ...]
    """The encoded prompt, special tokens included."""
    draws: tuple[int, ...]
    """Indices of the programs to sample; with the seed and `problem_id` an index fixes the random stream."""
    greedy: bool = False
    """Also draw the greedy program (it comes with draw index -1)."""
    prefix_ids: tuple[int, ...] = ()
    """Start of every response that is not drawn: context for the policy."""
    stop: tuple[str, ...] = ()
    """Stop strings, looked for in the decoded response."""
    turn: int = 0
    """0: the prompt is the task; 1 and up: it also reports a failed program of the turn before."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished response, as the sampler yields it."""

    request: int
    """Index into the requests."""
    draw: int
    """Draw index; -1 for the greedy response."""
    token_ids: tuple[int, ...]
    """Drawn tokens, the end-of-sequence token included when there is one; no prompt, prefix or padding."""
    logprobs: tuple[float, ...]
    """log-probability of each token under the distribution it was drawn from (tempered, truncated, renormalised);
    for greedy responses under the untempered one."""
    finish: FinishReason


@dataclass(frozen=True, slots=True)
class Program:
    """One program that a policy wrote, and how it was drawn."""

    problem_id: str
    text: str
    """The code that runs in the sandbox."""
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """The response as drawn (see `Sample`)."""
    offsets: tuple[Span, ...]
    """Per token its characters in `text`; an empty range for tokens outside it (EOS, prose around the code)."""
    logprobs: tuple[float, ...]
    finish: FinishReason
    version: int = 0
    """Optimiser steps that had made the weights it was drawn from."""
    draw: int = 0
    """Draw index; -1 for the greedy program."""
    greedy: bool = False
    prefix_ids: tuple[int, ...] = ()
    """Start of the response before `token_ids` that was not drawn: context without loss. Its characters are in
    `text`."""
    turn: int = 0
    """0: it answers the task; 1 and up: it repairs a failed program of the turn before (see `Request`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One program to judge."""

    program: str
    tests: tuple[Test, ...]
    setup: str = ""
    timeout: float | None = None
    """Seconds a test; None: the executor's default."""
    memory_mb: int | None = None
    coverage: bool = False
    """Also measure which lines the tests execute (`Verdict.unexecuted`)."""
    output: bool = False
    """Also return what the program printed in each `stdio` test (`TestResult.output`)."""
    reference: str | None = None
    """A program that passes the tests; one that gives a wrong answer is compared with it (`Verdict.divergence`)."""
    language: str = "python"
    """Of the program, its setup and its reference (`rltf.execution.languages`)."""
    answers: bool = False
    """Also return what the program answered in each `call` test (`Verdict.answers`)."""


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """The error that stopped a program."""

    type: str
    """Class name, e.g. `NameError`; `Timeout`, `MemoryLimit`, ... for limits."""
    message: str
    line: int | None
    """First line of the program, 1-based; None when unknown."""
    end_line: int | None
    """Last line, inclusive."""
    category: Category


@dataclass(frozen=True, slots=True)
class ProgramOutput:
    """What a program printed in one `stdio` test, and how it ended."""

    stdout: str
    """At most what it may print (`output_kb`); bytes that are no UTF-8 are replaced."""
    stderr: str
    """The first `output_kb` of it; no traceback, which is the test's error."""
    exit_status: int
    """As the shell has it: 0 to 255, or the number of the signal that ended it, negative."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """Outcome of one test."""

    __test__ = False  # not a pytest class

    status: Outcome
    seconds: float
    error: ErrorReport | None = None
    executed: tuple[int, ...] | None = None
    """Lines (1-based) that this test executed, those that ran before the first test among them; None: not measured."""
    output: ProgramOutput | None = None
    """None: not asked for (`Job.output`), or no run of the whole program."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a program that gives a wrong answer parts from a reference program."""

    test: int
    """Number of the test, from 1: the first one with a wrong answer."""
    line: int | None
    """First line (1-based) of the first statement whose value differs from the reference's; None: none can be told."""
    end_line: int | None
    """Last line of that statement, or of its header where it has a block."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of running a program's tests."""

    outcome: Outcome
    passed: int
    total: int
    error: ErrorReport | None = None
    """Error of the first test with the program's outcome."""
    tests: tuple[TestResult, ...] = ()
    seconds: float = 0.0
    """CPU seconds in the sandbox."""
    isolation: Mapping[str, str] = field(default_factory=dict)
    """Layer -> `active`, `degraded: why` or `absent: why`."""
    unexecuted: tuple[int, ...] | None = None
    """Lines (1-based) that no test executed; None: not measured, or the program does not compile."""
    divergence: Divergence | None = None
    """Of a program that gives a wrong answer and was compared with a reference; else None."""
    answers: tuple[str | None, ...] = ()
    """What the program returned in each test, right or wrong, as the text that `rltf.execution.values.codec.loads`
    reads; None: the test is no `call`, or nothing came back that can be sent in 64 KiB. Empty: not asked for
    (`Job.answers`)."""

    @property
    def unjudgeable(self) -> bool:
        """True when nothing is known of the program: it is trained on by nothing that learns from outcomes."""
        return self.outcome is Outcome.UNJUDGEABLE

    @property
    def passed_share(self) -> float:
        """Share of the tests that passed; 0 without tests."""
        return self.passed / self.total if self.total else 0.0


class ErrorJSON(TypedDict):
    """An `ErrorReport` as plain JSON values."""

    type: str
    message: str
    line: int | None
    end_line: int | None
    category: str


class ResultJSON(TypedDict):
    """A `TestResult` as plain JSON values."""

    status: str
    seconds: float
    error: ErrorJSON | None
    executed: NotRequired[list[int]]
    output: NotRequired[OutputJSON]


class OutputJSON(TypedDict):
    """A `ProgramOutput` as plain JSON values."""

    stdout: str
    stderr: str
    exit_status: int


class DivergenceJSON(TypedDict):
    """A `Divergence` as plain JSON values."""

    test: int
    line: int | None
    end_line: int | None


class VerdictJSON(TypedDict):
    """A `Verdict` as plain JSON values: between processes, on the judge's command line and in checkpoints."""

    outcome: str
    passed: int
    total: int
    error: ErrorJSON | None
    tests: list[ResultJSON]
    seconds: float
    isolation: dict[str, str]
    unexecuted: list[int] | None
    divergence: NotRequired[DivergenceJSON]
    answers: NotRequired[list[str | None]]


def encode_error(error: ErrorReport | None) -> ErrorJSON | None:
    """An error as plain JSON values; None for None."""
    if error is None:
        return None
    return {
        "type": error.type,
        "message": error.message,
        "line": error.line,
        "end_line": error.end_line,
        "category": str(error.category),
    }


def decode_error(record: Mapping[str, Any] | None) -> ErrorReport | None:
    """The error that `encode_error` was given.

    Raises:
        KeyError, TypeError, ValueError: The record has another shape.
    """
    if record is None:
        return None
    return ErrorReport(
        type=str(record["type"]),
        message=str(record["message"]),
        line=None if record["line"] is None else int(record["line"]),
        end_line=None if record["end_line"] is None else int(record["end_line"]),
        category=Category(record["category"]),
    )


def encode_verdict(verdict: Verdict) -> VerdictJSON:
    """A verdict as plain JSON values."""
    record: VerdictJSON = {
        "outcome": str(verdict.outcome),
        "passed": verdict.passed,
        "total": verdict.total,
        "error": encode_error(verdict.error),
        "tests": list(map(_encode_result, verdict.tests)),
        "seconds": verdict.seconds,
        "isolation": dict(verdict.isolation),
        "unexecuted": None if verdict.unexecuted is None else list(verdict.unexecuted),
    }
    if verdict.divergence is not None:
        record["divergence"] = encode_divergence(verdict.divergence)
    if verdict.answers:
        record["answers"] = list(verdict.answers)
    return record


def encode_divergence(divergence: Divergence) -> DivergenceJSON:
    """A divergence as plain JSON values."""
    return {"test": divergence.test, "line": divergence.line, "end_line": divergence.end_line}


def decode_divergence(record: Mapping[str, Any]) -> Divergence:
    """The divergence that `encode_divergence` was given.

    Raises:
        KeyError, TypeError, ValueError: The record has another shape.
    """
    line, end_line = (None if record[name] is None else int(record[name]) for name in ("line", "end_line"))
    return Divergence(int(record["test"]), line, end_line)


def _encode_result(result: TestResult) -> ResultJSON:
    record: ResultJSON = {
        "status": str(result.status),
        "seconds": result.seconds,
        "error": encode_error(result.error),
    }
    if result.executed is not None:
        record["executed"] = list(result.executed)
    if (output := result.output) is not None:
        record["output"] = {"stdout": output.stdout, "stderr": output.stderr, "exit_status": output.exit_status}
    return record


def _decode_result(record: Mapping[str, Any]) -> TestResult:
    lines = record.get("executed")
    executed = None if lines is None else tuple(lines)
    row = record.get("output")
    output = None if row is None else ProgramOutput(row["stdout"], row["stderr"], row["exit_status"])
    return TestResult(_OUTCOMES[record["status"]], record["seconds"], decode_error(record["error"]), executed, output)


def decode_verdict(record: Mapping[str, Any]) -> Verdict:
    """The verdict that `encode_verdict` was given.

    Raises:
        KeyError, TypeError, ValueError: The record has another shape.
    """
    return Verdict(
        outcome=_OUTCOMES[record["outcome"]],
        passed=record["passed"],
        total=record["total"],
        error=decode_error(record["error"]),
        tests=tuple(map(_decode_result, record["tests"])),
        seconds=record["seconds"],
        isolation=dict(record["isolation"]),
        unexecuted=None if (lines := record["unexecuted"]) is None else tuple(lines),
        divergence=None if (row := record.get("divergence")) is None else decode_divergence(row),
        answers=tuple(record.get("answers", ())),
    )


@dataclass(frozen=True, slots=True)
class Credit:
    """Value that one reward term (`rltf.rewards`) gives to a program or a span of its tokens. The config nodes `credit`
    and `algorithm.credit` are something else: rules that compute token weights from credits and advantage
    (`rltf.rollouts.interfaces.TokenCredit`)."""

    term: str
    value: float
    """Reward of the program, or weight of each token inside `span`."""
    span: Span | None = None
    """Token range of the response, half open; None: the whole program, and the baseline applies."""


@dataclass(frozen=True, slots=True)
class CriticPrediction:
    """A critic's prediction for a program, made before the critic learns from it."""

    tokens: tuple[float, ...]
    """One number per drawn token: the probability of the program's outcome, once the token is read (outcome critics),
    or the return expected before the token is drawn (value critics)."""
    classes: tuple[float, ...] = ()
    """Outcome critics: probability of each class, for the whole program."""
    returns: tuple[float, ...] = ()
    """Value critics: return from each token on, estimated after judging: the target that the critic learns."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A judged program with its credits: the unit of the buffer, of `rollouts.jsonl` and of sample tables."""

    program: Program
    verdict: Verdict
    credits: tuple[Credit, ...] = ()
    reward: float = 0.0
    """Sum of the whole-program credits."""
    baseline: float = 0.0
    advantage: float = 0.0
    """`reward - baseline`, normalised over the group or the harvest where the algorithm says so."""
    weights: tuple[float, ...] = ()
    """Weight of each response token, where `credit` sets it; empty: the advantage plus the span credits."""
    critic: CriticPrediction | None = None
    """Prediction of `critic`; not kept in the buffer."""
    excluded_tokens: tuple[int, ...] = ()
    """Positions in `weights` of the tokens that `credit` takes out of the loss, rising; their weights are not read."""
    test_advantages: tuple[float | None, ...] = ()
    """Advantage at each test, where `credit` compares tests one by one; None: the test could not be judged. Not kept in
    the buffer."""


@dataclass(frozen=True, slots=True)
class RolloutBatch:
    """Rollouts (or demonstrations) as tensors. B responses, S prompt tokens, T response tokens; padding on the right
    of responses, and on the side the policy asks for in prompts."""

    prompt_BS: Tensor
    """int64 token ids."""
    prompt_mask_BS: Tensor
    """bool, True at real tokens."""
    response_BT: Tensor
    """int64 token ids, end-of-sequence token included."""
    mask_BT: Tensor
    """bool, True at drawn tokens: those that carry loss."""
    response_mask_BT: Tensor
    """bool, True at real tokens: drawn ones and those of `Program.prefix_ids`."""
    old_logprobs_BT: Tensor
    """float32 behaviour log-probs; 0 at padding and for demonstrations."""
    weight_BT: Tensor
    """float32 weight of each token: advantage plus span credits; 1 for demonstrations, 0 at padding."""
    version_B: Tensor
    """int64 policy version that drew the response."""

    def to(self, device: Any) -> RolloutBatch:
        """The same batch on another device."""
        import dataclasses

        return RolloutBatch(
            **{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in dataclasses.fields(self)}
        )
