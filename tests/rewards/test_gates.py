"""`gate: passed`: terms that speak of programs that pass alone."""

from dataclasses import dataclass

import pytest
from rollout_strategies import build_program

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.rewards.base import RewardStack
from rltf.rewards.binary import Binary
from rltf.rewards.overlong import Overlong
from rltf.setup.instantiate import build
from rltf.types import Credit, Outcome, Verdict

PASSED, WRONG = Verdict(Outcome.PASSED, 2, 2), Verdict(Outcome.WRONG_ANSWER, 1, 2)
UNKNOWN, ERROR = Verdict(Outcome.UNJUDGEABLE, 0, 2), Verdict(Outcome.SYNTAX_ERROR, 0, 2)
VERDICTS = (PASSED, WRONG, UNKNOWN, ERROR, PASSED)


@dataclass
class Asked:
    """A term of a user's own, which notes how many programs it is asked about."""

    gate: str | None = None
    programs: int = 0

    def credit_batch(self, judged):
        self.programs += len(judged)
        return [[Credit("asked", float(n))] for n, _ in enumerate(judged, start=1)]

    def __call__(self, problem, program, verdict):
        return self.credit_batch([(problem, program, verdict)])[0]


def values(stack, verdicts):
    credits = stack.credit_batch([(None, build_program(draw=i, length=8), v) for i, v in enumerate(verdicts)])
    return [{credit.term: credit.value for credit in of_program} for of_program in credits]


def test_a_gated_term_is_asked_about_programs_that_pass_alone():
    term = Asked("passed")
    assert values(RewardStack({"asked": term}), VERDICTS) == [{"asked": 1.0}, {}, {}, {}, {"asked": 2.0}]
    assert term.programs == 2
    without = Asked()
    values(RewardStack({"asked": without}), VERDICTS)
    assert without.programs == 4  # all that could be judged


def test_a_long_wrong_program_pays_no_penalty_and_a_long_right_one_does():
    overlong = Overlong(limit=8, margin=0.5, gate="passed")  # 8 tokens: -1
    stack = RewardStack({"binary": Binary(), "overlong": overlong})
    assert values(stack, [PASSED, WRONG]) == [{"binary": 1.0, "overlong": -1.0}, {"binary": 0.0}]
    plain = RewardStack({"binary": Binary(), "overlong": Overlong(limit=8, margin=0.5)})
    assert values(plain, [PASSED, WRONG])[1] == {"binary": 0.0, "overlong": -1.0}


def test_apart_a_gated_term_sets_no_program_that_fails_above_one_that_passes():
    overlong = Overlong(limit=8, margin=0.5, gate="passed")
    stack = RewardStack({"binary": Binary(), "overlong": overlong})
    group = []
    for draw, (verdict, length) in enumerate([(PASSED, 8), (PASSED, 4), (WRONG, 4), (WRONG, 8)]):
        program = build_program(draw=draw, length=length)
        group.append((program, verdict, stack(None, program, verdict)))
    [rollouts] = Advantages("group_mean", "std", terms="apart")([CreditedGroup(group)])
    # binary: +1, +1, -1, -1; overlong, of two: -1 against 0 -> -1, +1. Sums 0, 2, -1, -1, spread sqrt(1.5)
    spread = 1.5**0.5
    assert [r.advantage for r in rollouts] == pytest.approx([0.0, 2 / spread, -1 / spread, -1 / spread])


def test_an_unknown_gate_is_refused_by_its_path(composed):
    with pytest.raises(ValueError, match=r"^gate is 'compiled': expected passed or null$"):
        Overlong(gate="compiled")
    mine = "+reward.terms.mine={_target_: test_gates.Asked, gate: never}"
    cfg = composed("train", "reward=binary", mine, "trusted=[rltf,lightning,test_gates]")
    with pytest.raises(ValueError, match=r"^reward\.terms\.mine\.gate is 'never': expected passed or null$"):
        build(cfg, "reward")
    cfg = composed("train", "algorithm=dapo", "reward=binary", "reward.terms.overlong.gate=compiled")
    with pytest.raises(ValueError, match=r"^reward\.terms\.overlong\.gate is 'compiled': expected passed or null$"):
        build(cfg, "reward")
    assert build(composed("train", "algorithm=dapo", "reward.terms.overlong.gate=passed"), "reward")
