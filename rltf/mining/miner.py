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
from rltf.mining.mistakes import mistaken_copies
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
        types_of_each = self._choose_types(functions)
        vary = self._vary(functions, types_of_each)
        results: list[MinedFunction | str] = [VARIES] * len(functions)
        drafts = {at: self._draft(functions[at], types_of_each[at]) for at in range(len(functions)) if not vary[at]}
        first_verdicts = {at: self._ask(self._first, draft, coverage=True) for at, draft in drafts.items()}
        second_verdicts = {at: self._ask(self._second, draft) for at, draft in drafts.items()}
        pending: list[tuple[int, _Expectations, list[Future[Verdict]]]] = []
        for at, draft in drafts.items():
            expectations = self._expectations(draft, first_verdicts[at].result(), second_verdicts[at].result())
            if isinstance(expectations, str):
                results[at] = expectations
            else:
                pending.append((at, expectations, self._judge_mutants(expectations)))
        for at, expectations, verdicts in pending:
            results[at] = self._mined_function(expectations, [verdict.result() for verdict in verdicts])
        return results

    def _choose_types(self, functions: Sequence[Function]) -> list[tuple[ValueType, ...]]:
        """For each function the types with which it does not raise on most inputs and that reach most of its lines; of
        equals those with which it raises least, then the likeliest."""
        trials = []
        for function in functions:
            candidates = candidate_types(function)
            alternatives = candidates if len(candidates) > 1 else []
            trials.append((candidates, [self._try(self._second, function, types) for types in alternatives]))
        types_of_each = []
        for candidates, futures in trials:
            merits = [_merit(future.result()) for future in futures] or [(False, 0, 0)]
            types_of_each.append(candidates[merits.index(min(merits))])
        return types_of_each

    def _try(self, executor: Executor, function: Function, types: tuple[ValueType, ...]) -> Future[Verdict]:
        inputs = ordinary_inputs(types, Constants.of(function.node), TRIAL_INPUTS, self._seed)
        return oracle.ask(executor, function, inputs, self._limits.timeout, coverage=True)

    def _vary(self, functions: Sequence[Function], types_of_each: Sequence[tuple[ValueType, ...]]) -> list[bool]:
        """For each function whether its answers to texts hang on the hash seed, also where its types hold none:
        `list(set(xs))` has an order for small numbers, but nobody can be expected to meet it."""
        pairs = [
            tuple(self._try(executor, function, tuple(map(as_text, types))) for executor in (self._first, self._second))
            for function, types in zip(functions, types_of_each, strict=True)
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

    def _expectations(self, draft: _Draft, first: Verdict, second: Verdict) -> _Expectations | str:
        """The inputs whose outputs are expectations, or the reason why the function is left out. One whose error the
        function catches is none: what it answers then is its own choice."""
        answers, second_answers = oracle.answers_of(first), oracle.answers_of(second)
        kinds = [answer.kind for answer in answers]
        if "timeout" in kinds:
            return "takes too long"
        failures = [kind in ("error", "unsent") for kind in kinds[: draft.ordinary]]
        if sum(failures) > MOST_ERRORS * len(failures):
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
        if not all(oracle.same(answers[at], second_answers[at]) for at in usable):
            return VARIES
        if len(usable) < self._limits.tests:
            return f"has fewer than {self._limits.tests} inputs with a short answer"
        inputs = [draft.inputs[at] for at in usable]
        values = [answers[at].value for at in usable]
        pairs = list(zip(inputs, values, strict=True))
        if any(all(_equal(arguments[i], value) for arguments, value in pairs) for i in range(len(draft.types))):
            return "returns an argument as it is"
        tests = [oracle.call_test(draft.function, *pair) for pair in pairs]
        if constant_passes(Problem("", "", tuple(tests))):
            return "always returns the same"
        return _Expectations(draft, tuple(tests), [at < draft.ordinary for at in usable])

    def _judge_mutants(self, expectations: _Expectations) -> list[Future[Verdict]]:
        """Verdicts to come on the function itself, and on its mutants."""
        function = expectations.draft.function
        programs = [function.code, *mistaken_copies(function.code, self._limits.mutants, self._seed)]
        return [
            self._second.submit(Job(program, expectations.tests, function.setup, timeout=self._limits.timeout))
            for program in programs
        ]

    def _mined_function(self, expectations: _Expectations, verdicts: Sequence[Verdict]) -> MinedFunction | str:
        """The function with the tests that are chosen, or the reason why it is left out."""
        function_verdict, *mutant_verdicts = verdicts
        if function_verdict.outcome is not Outcome.PASSED:
            return "does not pass its own tests"
        killed_by = [kills_of(verdict) for verdict in mutant_verdicts]
        candidates = [
            Candidate(
                kills=frozenset(number for number, kills in enumerate(killed_by) if kills[at]),
                output=repr(test.expected),
                length=len(repr((test.args, test.expected))),
                ordinary=expectations.ordinary[at],
            )
            for at, test in enumerate(expectations.tests)
        ]
        selection = choose(candidates, self._limits.tests)
        mutants = sum(map(any, killed_by))
        killed = len(frozenset[int]().union(*(candidates[at].kills for at in selection)))
        tests = tuple(expectations.tests[at] for at in selection)
        if mutant_verdicts and killed < max(1, self._limits.kill_share * mutants):
            return "has tests that notice few mistakes"
        if constant_passes(Problem("", "", tests)):
            return "always returns the same"
        draft = expectations.draft
        return MinedFunction(draft.function, draft.types, tests, mutants, killed)


class _Expectations(NamedTuple):
    """A function and the answers on which both pools agree."""

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
