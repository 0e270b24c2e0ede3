"""Every yaml of the group `reward` composes, builds and credits; a new yaml is tested by being there."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from rltf.rewards.base import RewardStack
from rltf.setup.instantiate import build
from rltf.types import Category, ErrorReport, FinishReason, Outcome, Problem, Program, Verdict

CONFIGS = Path(__file__).parents[2] / "configs"
PENALTIES = {"fine", "overlong"}
"""Terms that say nothing of whether the tests passed, for use beside others."""
UNTESTED = {"grounding", "static"}
"""Terms that read no test: a pass earns no more than another program of the same text (tests/grounding)."""
ALL = sorted(path.stem for path in (CONFIGS / "reward").glob("*.yaml"))
CHOICES = [choice for choice in ALL if "prm" not in choice.split("+")]
"""Without those that ask a model (tests/prm)."""


def compose_reward(choice: str, *overrides: str) -> RewardStack:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose(overrides=["+generation=native", f"+reward={choice}", *overrides])
    return instantiate(cfg.reward, _convert_="all")


def random_program(rng: random.Random) -> Program:
    pieces = [rng.choice(["a", " = ", "\n", "\n    ", "é", "\r\n", "", "\t"]) for _ in range(rng.randrange(40))]
    ends = [len("".join(pieces[: i + 1])) for i in range(len(pieces))]
    return Program(
        problem_id="p",
        text="".join(pieces),
        prompt_ids=(1,),
        token_ids=(0,) * len(pieces),
        offsets=tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True)),
        logprobs=(-1.0,) * len(pieces),
        finish=rng.choice(list(FinishReason)),
    )


def random_verdict(rng: random.Random) -> Verdict:
    outcome, total = rng.choice(list(Outcome)), rng.randrange(1, 20)
    if outcome in (Outcome.PASSED, Outcome.WRONG_ANSWER):
        return Verdict(outcome, total if outcome is Outcome.PASSED else rng.randrange(total), total)
    line = rng.choice([None, *range(1, 15)])
    error = ErrorReport("E", "", line, line and line + rng.randrange(3), rng.choice(list(Category)))
    return Verdict(outcome, rng.randrange(total), total, rng.choice([error, error, None]))


def test_the_group_holds_the_papers_ablation():
    paper = {"coarse", "fine", "adaptive", "coarse+fine", "coarse+adaptive", "fine+adaptive", "coarse+fine+adaptive"}
    assert {*paper, "binary"} <= set(CHOICES)


@pytest.mark.parametrize("choice", CHOICES)
def test_credits_are_finite_and_inside_the_response(choice):
    rewards = compose_reward(choice)
    rng = random.Random(0)
    problem = Problem("p", "", ())
    for _ in range(300):
        program, verdict = random_program(rng), random_verdict(rng)
        for credit in rewards(problem, program, verdict):
            assert math.isfinite(credit.value)
            assert credit.term in rewards.terms
            if credit.span is not None:
                assert 0 <= credit.span[0] < credit.span[1] <= len(program.token_ids)


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice not in PENALTIES | UNTESTED])
def test_every_program_gets_a_reward_and_a_pass_the_highest(choice):
    rewards = compose_reward(choice)

    def reward(verdict: Verdict) -> float:
        credits = rewards(Problem("p", "", ()), random_program(random.Random(1)), verdict)
        assert any(credit.span is None for credit in credits)
        return sum(credit.value for credit in credits if credit.span is None)

    without_reward = (Outcome.PASSED, Outcome.UNJUDGEABLE)
    others = [Verdict(outcome, 1, 2) for outcome in Outcome if outcome not in without_reward]
    assert all(reward(Verdict(Outcome.PASSED, 2, 2)) > reward(other) for other in others)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_program_that_could_not_be_judged_has_no_credits(choice):
    rewards = compose_reward(choice)
    judged = (Problem("p", "", ()), random_program(random.Random(1)))
    assert rewards(*judged, Verdict(Outcome.UNJUDGEABLE, 1, 2)) == ()
    passed = rewards(*judged, Verdict(Outcome.PASSED, 2, 2))
    verdicts = (Outcome.UNJUDGEABLE, Outcome.PASSED, Outcome.UNJUDGEABLE)
    assert rewards.credit_batch([(*judged, Verdict(outcome, 2, 2)) for outcome in verdicts]) == [(), passed, ()]


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if "+" in choice])
def test_a_combination_holds_the_terms_in_its_name_and_only_lists_them(choice):
    assert list(compose_reward(choice).terms) == choice.split("+")
    assert set(OmegaConf.load(CONFIGS / "reward" / f"{choice}.yaml")) == {"defaults"}


def test_switches_of_the_official_code_are_reachable_from_the_command_line():
    rewards = compose_reward(
        "coarse+fine+adaptive", "reward.terms.adaptive.mode=replace", "reward.terms.fine.alpha=one"
    )
    assert list(rewards.terms) == ["fine", "adaptive"]
    assert rewards.terms["fine"].alpha == "one"


def test_a_wrong_option_is_refused_by_its_path_in_the_config(composed):
    cfg = composed("train", "reward=fine+adaptive", "reward.terms.fine.weight=0.3")
    with pytest.raises(ValueError, match=r"^reward\.terms\.fine\.weight is 0\.3: expected a number of at most 0"):
        build(cfg, "reward")


def test_yaml_values_are_the_defaults_of_the_classes():
    for term in compose_reward("coarse+fine+adaptive").terms.values():
        assert term == type(term)()
