"""The reward functions, called as the documentation of each host says, with its own layout of data."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import pickle
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import rltf.adapters.openrlhf
import rltf.adapters.verl
from rltf.adapters.answers import AnswerScorer, text_of
from rltf.adapters.trl import AsyncTRLReward, TRLReward
from rltf.adapters.verifiers import reward_function

RIGHT, HALF, BROKEN, SILENT = (
    "def f(x): return x + 1",
    "def f(x): return 2",
    "def f(x): return (",
    "import sys\nsys.exit(0)",
)
TESTS = ["assert f(1) == 2", "assert f(2) == 3"]
LADDER = [1.0, -0.3, -1.0, -0.6]
"""What `coarse` pays for each of these."""
UNKNOWN = ["import sys\nsys.stdout = None\nassert f(1) == 2"]
"""A test that cannot be judged."""


def fenced(program: str) -> str:
    return f"<think>I think.</think>\nHere:\n```python\n{program}\n```\nThat is it."


TEXTS = [fenced(program) for program in (RIGHT, HALF, BROKEN, SILENT)]


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("x = 1", "x = 1"),
        ("x = 1<|im_end|>\n<|endoftext|>", "x = 1"),
        ("x = '<|a|>'", "x = '<|a|>'"),
        ([{"role": "assistant", "content": "x = 1"}], "x = 1"),
        ([{"role": "assistant", "content": "a"}, {"role": "tool", "content": "b"}], "a"),
        (
            [{"role": "assistant", "content": [{"type": "text", "text": "x = "}, {"type": "text", "text": "1"}]}],
            "x = 1",
        ),
        ([SimpleNamespace(role="assistant", content="x = 1")], "x = 1"),
        ([{"role": "assistant", "content": None}], ""),
        ([], ""),
    ],
)
def test_a_completion_is_text_or_the_last_message_of_the_model(completion: Any, text: str) -> None:
    assert text_of(completion) == text


def test_what_is_no_completion_is_named() -> None:
    with pytest.raises(ValueError, match="a completion is 5: expected a text or a list of chat messages"):
        text_of(5)


def test_trl_calls_with_columns_and_has_metrics_and_outcomes() -> None:
    """Signature: trl 1.16, `GRPOTrainer._calculate_rewards`."""
    metrics: dict[str, float] = {}
    extra: dict[str, list[Any]] = {}
    reward = TRLReward("coarse", workers=2)
    assert reward.__name__ == "rltf_coarse"
    values = reward(
        prompts=["p"] * 4,
        completions=[[{"role": "assistant", "content": text}] for text in TEXTS],
        completion_ids=[[1]] * 4,
        trainer_state=None,
        log_extra=lambda column, rows: extra.__setitem__(column, rows),
        log_metric=lambda name, value: metrics.__setitem__(name, value),
        tests=[TESTS] * 4,
        difficulty=["easy"] * 4,
    )
    assert values == LADDER
    assert extra == {"outcome": ["passed", "wrong_answer", "syntax_error", "runtime_error"]}
    assert metrics["judge/passed"] == 0.25
    assert metrics["judge/tests_passed"] == pytest.approx((1 + 0.5) / 4)
    assert metrics["judge/syntax_error"] == 0.25


def test_trl_rewards_can_be_pickled_and_awaited() -> None:
    reward = pickle.loads(pickle.dumps(TRLReward("pass_first", tests="verification", workers=2, share_weight=0.5)))
    columns = {"verification": [json.dumps(TESTS)] * 4}
    assert reward(prompts=[""] * 4, completions=TEXTS, **columns) == [1.0, 0.25, 0.0, 0.0]
    awaited = AsyncTRLReward("binary", workers=2)
    assert inspect.iscoroutinefunction(awaited.__call__)
    assert asyncio.run(awaited(prompts=[""] * 4, completions=TEXTS, tests=[TESTS] * 4)) == [1.0, 0.0, 0.0, 0.0]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no column 'tests' with tests: it has answer, level"):
        TRLReward()(prompts=["p"], completions=["x"], completion_ids=[[1]], answer=["1"], level=[2])


def test_nothing_is_gained_by_a_program_that_cannot_be_judged() -> None:
    for unjudgeable, value in (("wrong_answer", -0.3), (0.0, 0.0), (None, None)):
        reward = TRLReward("coarse", workers=2, unjudgeable=unjudgeable)
        assert reward(prompts=["p"], completions=[RIGHT], tests=[UNKNOWN]) == [value]
    with pytest.raises(ValueError, match="unjudgeable is None: expected a number or wrong_answer"):
        rltf.adapters.verl.compute_score("d", RIGHT, UNKNOWN, workers=2, unjudgeable=None)


def loaded(module: ModuleType) -> ModuleType:
    """The module as a host loads it: by the path of its file, under another name."""
    spec = importlib.util.spec_from_file_location("custom_module", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def test_verl_calls_by_name_with_the_ground_truth_of_a_row() -> None:
    """Call: verl `NaiveRewardManager`; `ground_truth` is JSON text in its code data, with `reward_kwargs` merged in."""
    module = loaded(rltf.adapters.verl)
    truth = json.dumps({"inputs": ["1\n", "2\n"], "outputs": ["2\n", "3\n"]})
    score = module.compute_score(
        data_source="codecontests",
        solution_str=fenced("print(2)"),
        ground_truth=truth,
        extra_info={"split": "train", "index": 0},
        reward="adaptive",
        workers=2,
    )
    # half of the tests: -0.3 + 1.3 / 2
    assert score == {"score": pytest.approx(0.35), "acc": 0.0, "tests_passed": 0.5, "judged": 1.0}
    call = json.dumps({"inputs": ["1", "2"], "outputs": ["2", "3"], "fn_name": "f"})
    rows = module.compute_score_batch(["d"] * 4, TEXTS, [call] * 4, [None] * 4, workers=2)
    assert [row["score"] for row in rows] == LADDER
    assert asyncio.run(module.compute_score_async("d", TEXTS[0], call, None, workers=2))["acc"] == 1.0


def test_openrlhf_calls_with_queries_prompts_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call: OpenRLHF `examples/python/reward_func.py`: queries are prompts with responses, decoded with their end."""
    monkeypatch.setenv("RLTF_REWARD", "adaptive")
    monkeypatch.setenv("RLTF_WORKERS", "2")
    prompts = ["<|im_start|>user\n```python\ndef f(x): pass\n```<|im_end|>\n"] * 4
    queries = [prompt + text + "<|im_end|>" for prompt, text in zip(prompts, TEXTS, strict=True)]
    result = loaded(rltf.adapters.openrlhf).reward_func(queries, prompts, [json.dumps(TESTS)] * 4, datasource="d")
    assert result["rewards"].tolist() == pytest.approx([1.0, 0.35, -1.0, -0.6])
    assert result["scores"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert result["extra_logs"]["judge_tests_passed"].tolist() == [1.0, 0.5, 0.0, 0.0]
    assert result["extra_logs"]["judge_syntax_error"].tolist() == [0.0, 0.0, 1.0, 0.0]
    monkeypatch.setenv("RLTF_TIMEOUT", "long")
    with pytest.raises(ValueError, match="RLTF_TIMEOUT is 'long': expected a number"):
        rltf.adapters.openrlhf.reward_func(queries, prompts, [TESTS] * 4)


def test_verifiers_calls_with_the_arguments_that_it_finds_in_the_signature() -> None:
    """Call: verifiers `Rubric._call_individual_reward_func`."""
    function = reward_function("coarse", workers=2)
    names = inspect.signature(function).parameters
    assert list(names) == ["completion", "answer", "info"]
    merged: dict[str, Any] = {"prompt": [], "state": {}, "task": None, "answer": json.dumps(TESTS), "info": {}}
    for info in ({}, {"tests": TESTS}):
        values = [
            asyncio.run(
                function(**{k: v for k, v in {**merged, "info": info, "completion": completion}.items() if k in names})
            )
            for completion in [[{"role": "assistant", "content": text}] for text in TEXTS]
        ]
        assert values == LADDER
    assert function.__name__ == "rltf_coarse"


def test_a_problem_brings_its_own_setup_and_limits() -> None:
    problem = {"setup": "import math", "tests": ["assert f(4) == math.sqrt(4)"], "timeout": 1.0}
    program = "def f(x): return math.sqrt(x)"
    assert TRLReward("binary", workers=2)(["p"] * 2, [program, program], tests=[problem, json.dumps(problem)]) == [1, 1]
    assert TRLReward("binary", workers=2)(["p"], [program], tests=[problem["tests"]]) == [0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reward": "coarce"}, "reward is 'coarce'"),
        ({"reward": "pass_first", "values": {"share_weight": 2}}, "share_weight is 2"),
        ({"url": "localhost"}, "url is 'localhost'"),
        ({"unjudgeable": "zero"}, "unjudgeable is 'zero': expected a number, null or wrong_answer"),
    ],
)
def test_options_that_make_no_sense_are_refused_when_the_function_is_made(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AnswerScorer(**options)
