"""`Job.answers`: what calls returned is part of the verdict; `hash_seed`: on which the order of sets hangs."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.jsonl import parse, render
from rltf.execution.languages import installed_runtimes
from rltf.execution.values.codec import loads
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest, decode_verdict, encode_verdict
from rltf.validation import OptionError

PROGRAM = """
def f(x):
    if x == 4:
        raise KeyError(x)
    if x == 5:
        return object()
    return {1: (x, {x}), 'big': 2**70}
"""


def calls(*expected, function="f"):
    return tuple(CallTest(function, (x,), value) for x, value in enumerate(expected))


def test_right_and_wrong_answers_come_back(pool):
    value = {1: (0, {0}), "big": 2**70}
    verdict = pool.submit(Job(PROGRAM, calls(value, "wrong"), answers=True)).result()
    assert [test.status for test in verdict.tests] == [Outcome.PASSED, Outcome.WRONG_ANSWER]
    assert [loads(text) for text in verdict.answers] == [value, {1: (1, {1}), "big": 2**70}]
    assert decode_verdict(json.loads(json.dumps(encode_verdict(verdict)))) == verdict


def test_what_does_not_come_back_is_none(pool):
    tests = (
        *(AssertTest("assert f(1)"), StdioTest("", "")),
        *(CallTest("f", (x,), 0) for x in (4, 5)),
        CallTest("g", (), 0),
        *(CallTest("h", (n,), "") for n in (65_534, 65_535)),
    )
    program = PROGRAM + "\ndef h(n):\n    return 'a' * n\n"
    verdict = pool.submit(Job(program, tests, answers=True)).result()
    assert verdict.answers == (*(None,) * 5, json.dumps("a" * 65_534), None)


def test_nobody_is_told_who_did_not_ask(pool):
    tests = calls(0)
    assert pool.submit(Job(PROGRAM, tests)).result().answers == ()
    assert len(pool.submit(Job(PROGRAM, tests, answers=True)).result().answers) == 1  # another job
    assert "answers" not in encode_verdict(pool.submit(Job(PROGRAM, tests)).result())


def test_a_program_without_syntax_or_that_hangs_has_no_answers(pool):
    assert pool.submit(Job("def f(x:", calls(0, 0), answers=True)).result().answers == (None, None)
    hanging = "def f(x):\n    while x == 1: pass\n    return x\n"
    assert pool.submit(Job(hanging, calls(0, 1, 2), answers=True)).result().answers == ("0", None, "2")


def test_answers_are_those_of_the_same_verdict(pool):
    for job in (Job(PROGRAM, calls(0, 1)), Job(PROGRAM, calls(0, 1), coverage=True)):
        plain, asked = (pool.submit(dataclasses.replace(job, answers=a)).result() for a in (False, True))
        same = [(t.status, t.error, t.executed) for t in plain.tests]
        assert same == [(t.status, t.error, t.executed) for t in asked.tests]
        assert (plain.outcome, plain.passed, plain.unexecuted) == (asked.outcome, asked.passed, asked.unexecuted)


@pytest.mark.skipif("javascript" not in installed_runtimes(), reason="quickjs is not installed")
def test_other_languages_answer_too(pool):
    job = Job("function f(x) { return [x, String(x)] }", calls(0), language="javascript", answers=True)
    assert [loads(text) for text in pool.submit(job).result().answers] == [[0, "0"]]


def test_a_line_of_the_command_asks_for_answers(pool):
    row = {"id": 1, "program": PROGRAM, "answers": True}
    row["tests"] = [{"kind": "call", "function": "f", "args": [4], "expected": 1}]
    key, job = parse(json.dumps(row).encode())
    assert job.answers
    assert render(key, pool.submit(job).result())["answers"] == [None]


def test_the_order_of_sets_hangs_on_the_hash_seed():
    program = "def f(xs):\n    return list(set(xs))\n"
    job = Job(program, (CallTest("f", (list("abcdefgh"),), []),), answers=True)
    answers = []
    for seed in (0, 1, 0):
        with LocalExecutor(workers=1, hash_seed=seed) as executor:
            answers.append(executor.submit(job).result().answers)
    assert answers[0] == answers[2] != answers[1]
    assert sorted(loads(answers[0][0])) == sorted(loads(answers[1][0])) == list("abcdefgh")


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, True])
def test_a_seed_that_python_would_not_take_is_refused(seed):
    with pytest.raises(OptionError, match="hash_seed is"):
        LocalExecutor(workers=1, hash_seed=seed)
