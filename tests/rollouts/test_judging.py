"""Programs on their way from the pipeline to the executor."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from judged_programs import PROBLEMS

from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import CallTest, FinishReason, Problem, Program, Prompt, Sampling


def test_tests_that_cannot_be_judged_are_an_error_that_names_the_problem():
    def refuse(job):
        raise ValueError("tests hold what cannot be judged outside the sandbox: nested deeper than 150 levels")

    pipeline = SimpleNamespace(executor=SimpleNamespace(submit=refuse))
    problem = Problem("apps/train/0007", "", (CallTest("f", (1,), 1),))
    with pytest.raises(ValueError, match=r"^problem apps/train/0007: tests hold what cannot be judged outside"):
        RolloutPipeline.judge(pipeline, problem, SimpleNamespace(text="def f(x): return x"))


def test_equal_programs_of_a_problem_are_judged_once(monkeypatch):
    jobs = []

    def submit(job):
        jobs.append(job)
        return Future()

    def program(problem, draw, text):
        return Program(problem.id, text, (1,), (2,), ((0, 1),), (-0.5,), FinishReason.EOS, 0, draw, draw == -1)

    drawn = [(0, 1, "x"), (1, 0, "x"), (0, -1, "y"), (0, 0, "x"), (1, 1, "z"), (1, -1, "x")]
    benchmark = SimpleNamespace(prompt=lambda problem: Prompt(head="", question=problem.id, tail=""))
    policy = SimpleNamespace(encode_prompt=lambda prompt: (1,))
    executor = SimpleNamespace(submit=submit)
    pipeline = RolloutPipeline(benchmark, policy, None, executor, None, None, PhaseClock())
    programs = [(index, program(PROBLEMS[index], draw, text)) for index, draw, text in drawn]
    monkeypatch.setattr(pipeline, "draw_programs", lambda *_, **__: iter(programs))
    pending = pipeline.start_rollouts(PROBLEMS, [0, 1], Sampling(), 0, greedy=True)
    assert [(job.program, job.tests) for job in jobs] == [
        *(("x", PROBLEMS[0].tests), ("x", PROBLEMS[1].tests), ("y", PROBLEMS[0].tests), ("z", PROBLEMS[1].tests))
    ]
    (_, programs_a, verdicts_a), (_, programs_b, verdicts_b) = pending.groups
    assert [p.text for p in programs_a] == ["y", "x", "x"]
    assert verdicts_a[1] is verdicts_a[2] is not verdicts_a[0]
    assert [p.text for p in programs_b] == ["x", "x", "z"]
    assert verdicts_b[0] is verdicts_b[1]
    assert not {*verdicts_a} & {*verdicts_b}
