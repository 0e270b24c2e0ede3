"""Programs on their way from the pipeline to the executor."""

from types import SimpleNamespace

import pytest

from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import CallTest, Problem


def test_tests_that_cannot_be_judged_are_an_error_that_names_the_problem():
    def refuse(job):
        raise ValueError("tests hold what cannot be judged outside the sandbox: nested deeper than 150 levels")

    pipeline = SimpleNamespace(executor=SimpleNamespace(submit=refuse))
    problem = Problem("apps/train/0007", "", (CallTest("f", (1,), 1),))
    with pytest.raises(ValueError, match=r"^problem apps/train/0007: tests hold what cannot be judged outside"):
        RolloutPipeline.judge(pipeline, problem, SimpleNamespace(text="def f(x): return x"))
