"""Functions in, functions with unit tests out: types by trial, answers of two pools, tests that kill mutants.

How it deviates from the paper (arXiv 2310.13669):
1. Tests are made for Python functions as they are. The paper generates them for Java, whose types are declared, and
   translates them: types are what Python does not give, so they are inferred, and tried.
2. Inputs are drawn from bounded strategies of our own, not searched for coverage, and chosen by the mutants that they
   kill.
3. The critic of `experiment=actor_critic` reads the policy's states in the place of features of a text of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from rltf.benchmarks.constant import constant_passes
from rltf.execution import Executor
from rltf.mining import oracle
from rltf.mining.functions import Function
from rltf.mining.mutants import mutants_of
from rltf.mining.selection import Candidate, choose, kills_of
from rltf.mining.types_of import candidate_types, doctest_arguments
from rltf.mining.value_types import ValueType, as_text
from rltf.mining.values import Constants, edge_inputs, ordinary_inputs
from rltf.types import CallTest, Job, Outcome, Problem, Verdict

TRIAL_INPUTS = 10
"""Inputs with which each combination of types is tried."""
VARIES = "answers differently each time"
MOST_ERRORS = 0.5
"""Share of ordinary inputs on which a function may raise."""


@dataclass(frozen=True, slots=True)
class MiningLimits:
    """How much of everything there is."""

    inputs: int
    """Ordinary inputs of a function; a quarter as many edge inputs."""
    tests: int
    mutants: int
    kill_share: float
    timeout: float
    """Seconds a call."""


@dataclass(frozen=True, slots=True)
class MinedFunction:
    """A function with tests that it passes."""

    function: Function
    types: tuple[ValueType, ...]
    tests: tuple[CallTest, ...]
    mutants: int
    """Mutants that answer something else on some input."""
    killed: int
    """Those of them that fail one of the tests."""


class _Draft(NamedTuple):
    """A function whose types are settled, and its answers."""

    function: Function
    types: tuple[ValueType, ...]
    inputs: list[tuple[Any, ...]]
    ordinary: int
    """The first inputs are ordinary, the others edge inputs."""


class Miner:
    """Mines functions, many at a time.

    Args:
        first, second: pools whose hash seeds differ; the second stops a program at its first timeout.
        limits: how much of everything there is.
        seed: of inputs and mutants.
    """

    def __init__(self, first: Executor, second: Executor, limits: MiningLimits, seed: int) -> None:
        self._first, self._second, self._limits, self._seed = first, second, limits, seed

    def mine(self, functions: Sequence[Function]) -> list[MinedFunction | str]:
        """Each function with its tests, or the reason why it has none."""
        settled = self._with_types(functions)
        vary = self._vary(functions, settled)
        results: list[MinedFunction | str] = [VARIES] * len(functions)
        drafts = {at: self._draft(functions[at], settled[at]) for at in range(len(functions)) if not vary[at]}
        answers = {at: self._ask(self._first, draft, coverage=True) for at, draft in drafts.items()}
        again = {at: self._ask(self._second, draft) for at, draft in drafts.items()}
        pending: list[tuple[int, _Known, list[Future[Verdict]]]] = []
        for at, draft in drafts.items():
            known = self._known(draft, answers[at].result(), again[at].result())
            if isinstance(known, str):
                results[at] = known
            else:
                pending.append((at, known, self._judge_mutants(known)))
        for at, known, verdicts in pending:
            results[at] = self._chosen(known, [verdict.result() for verdict in verdicts])
        return results

    def _with_types(self, functions: Sequence[Function]) -> list[tuple[ValueType, ...]]:
        """For each function the types with which it does not raise on most inputs and that reach most of its lines; of
        equals those with which it raises least, then the likeliest."""
        trials = []
        for function in functions:
            candidates = candidate_types(function)
            tried = candidates if len(candidates) > 1 else []
            trials.append((candidates, [self._try(self._second, function, types) for types in tried]))
        settled = []
        for candidates, futures in trials:
            merits = [_merit(future.result()) for future in futures] or [(False, 0, 0)]
            settled.append(candidates[merits.index(min(merits))])
        return settled

    def _try(self, executor: Executor, function: Function, types: tuple[ValueType, ...]) -> Future[Verdict]:
        inputs = ordinary_inputs(types, Constants.of(function.node), TRIAL_INPUTS, self._seed)
        return oracle.ask(executor, function, inputs, self._limits.timeout, coverage=True)

    def _vary(self, functions: Sequence[Function], settled: Sequence[tuple[ValueType, ...]]) -> list[bool]:
        """For each function whether its answers to texts hang on the hash seed, also where its types hold none:
        `list(set(xs))` has an order for small numbers, but nobody can be expected to meet it."""
        pairs = [
            tuple(self._try(executor, function, tuple(map(as_text, types))) for executor in (self._first, self._second))
            for function, types in zip(functions, settled, strict=True)
        ]
        return [
            any(
                not a.kind and not b.kind and not oracle.same(a, b)
                for a, b in zip(*(oracle.answers_of(future.result()) for future in pair), strict=True)
            )
            for pair in pairs
        ]

    def _draft(self, function: Function, types: tuple[ValueType, ...]) -> _Draft:
        count = self._limits.inputs
        generated = ordinary_inputs(types, Constants.of(function.node), count, self._seed)
        by_text = {repr(arguments): arguments for arguments in [*doctest_arguments(function), *generated]}
        ordinary = list(by_text.values())[:count]
        return _Draft(function, types, [*ordinary, *edge_inputs(types, ordinary, count // 4)], len(ordinary))

    def _ask(self, executor: Executor, draft: _Draft, coverage: bool = False) -> Future[Verdict]:
        return oracle.ask(executor, draft.function, draft.inputs, self._limits.timeout, coverage)

    def _known(self, draft: _Draft, first: Verdict, second: Verdict) -> _Known | str:
        """The inputs whose outputs are expectations, or the reason why the function is left out. One whose error the
        function catches is none: what it answers then is its own choice."""
        answers, again = oracle.answers_of(first), oracle.answers_of(second)
        kinds = [answer.kind for answer in answers]
        if "timeout" in kinds:
            return "takes too long"
        failed = [kind in ("error", "unsent") for kind in kinds[: draft.ordinary]]
        if sum(failed) > MOST_ERRORS * len(failed):
            unsent = kinds.count("unsent") > kinds.count("error")
            return "returns what is no plain value" if unsent else "raises on most inputs"
        if "changes" in kinds[: draft.ordinary]:
            return "changes its arguments"
        handlers = handler_lines(draft.function.code)
        usable = [
            at
            for at, (answer, result) in enumerate(zip(answers, first.tests, strict=True))
            if not answer.kind and oracle.is_short(answer.value) and handlers.isdisjoint(result.executed or ())
        ]
        if not all(oracle.same(answers[at], again[at]) for at in usable):
            return VARIES
        if len(usable) < self._limits.tests:
            return f"has fewer than {self._limits.tests} inputs with a short answer"
        arguments = [draft.inputs[at] for at in usable]
        values = [answers[at].value for at in usable]
        pairs = list(zip(arguments, values, strict=True))
        if any(all(_equal(given[i], value) for given, value in pairs) for i in range(len(draft.types))):
            return "returns an argument as it is"
        tests = [oracle.call_test(draft.function, *pair) for pair in pairs]
        if constant_passes(Problem("", "", tuple(tests))):
            return "always returns the same"
        return _Known(draft, tuple(tests), [at < draft.ordinary for at in usable])

    def _judge_mutants(self, known: _Known) -> list[Future[Verdict]]:
        """Verdicts to come on the function itself, and on its mutants."""
        function = known.draft.function
        programs = [function.code, *mutants_of(function, self._limits.mutants, self._seed)]
        return [
            self._second.submit(Job(program, known.tests, function.setup, timeout=self._limits.timeout))
            for program in programs
        ]

    def _chosen(self, known: _Known, verdicts: Sequence[Verdict]) -> MinedFunction | str:
        own, *of_mutants = verdicts
        if own.outcome is not Outcome.PASSED:
            return "does not pass its own tests"
        killed_by = [kills_of(verdict) for verdict in of_mutants]
        candidates = [
            Candidate(
                kills=frozenset(number for number, kills in enumerate(killed_by) if kills[at]),
                output=repr(test.expected),
                length=len(repr((test.args, test.expected))),
                ordinary=known.ordinary[at],
            )
            for at, test in enumerate(known.tests)
        ]
        selection = choose(candidates, self._limits.tests)
        mutants = sum(map(any, killed_by))
        killed = len(frozenset[int]().union(*(candidates[at].kills for at in selection)))
        tests = tuple(known.tests[at] for at in selection)
        if of_mutants and killed < max(1, self._limits.kill_share * mutants):
            return "has tests that notice few mistakes"
        if constant_passes(Problem("", "", tests)):
            return "always returns the same"
        return MinedFunction(known.draft.function, known.draft.types, tests, mutants, killed)


class _Known(NamedTuple):
    """A function whose answers are known."""

    draft: _Draft
    tests: tuple[CallTest, ...]
    """One for each usable input."""
    ordinary: list[bool]
    """False for an edge input."""


def handler_lines(code: str) -> set[int]:
    """Lines (from 1) inside `except` blocks.

    >>> handler_lines(chr(10).join(["try:", "    x = int(y)", "except ValueError:", "    x = 0"]))
    {4}
    """
    handlers = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ExceptHandler)]
    return {line for node in handlers for s in node.body for line in range(s.lineno, (s.end_lineno or s.lineno) + 1)}


def _merit(verdict: Verdict) -> tuple[bool, int, int]:
    """Whether a trial raised on most inputs, the lines that it did not reach, its errors: the fewer the better."""
    errors = sum(bool(answer.kind) for answer in oracle.answers_of(verdict))
    return errors > MOST_ERRORS * len(verdict.tests), len(verdict.unexecuted or ()), errors


def _equal(first: Any, second: Any) -> bool:
    return type(first) is type(second) and bool(first == second)
