"""Rewards of lines: by hand, and what the guards hold."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from test_lines import program_of

from rltf.prm.model import ProcessRewardModel
from rltf.prm.reward import PrmReward, line_credits
from rltf.rewards.base import RewardStack
from rltf.rewards.faults import RewardError
from rltf.setup.instantiate import build
from rltf.types import Outcome, Verdict

LINES = ["def f(x):\n", "    a = x\n", "    b = 1\n", "    return a + b\n"]
PASSED, FAILED = Verdict(Outcome.PASSED, 2, 2), Verdict(Outcome.WRONG_ANSWER, 0, 2)


def total(lines, said, weight=0.25):
    return sum(credit.value for credit in line_credits(program_of(lines), said, weight))


@pytest.mark.parametrize("good", range(5))
def test_with_labels_as_the_model_the_sum_is_what_good_lines_exceed_bad_ones_by(good):
    said = [1.0] * good + [-1.0] * (4 - good)
    assert total(LINES, said) == pytest.approx(0.25 * (2 * good - 4) / 4)


@pytest.mark.parametrize("line", ["# nice\n", "\n", "    \n", "    'nice'\n"])
def test_lines_that_say_nothing_earn_nothing_however_the_model_likes_them(line):
    said = [0.5, -0.25, 1.0, 0.125]
    plain = line_credits(program_of(LINES), said, 0.25)
    padded = line_credits(program_of([*LINES[:2], line, line, *LINES[2:]]), [*said[:2], 1.0, 1.0, *said[2:]], 0.25)
    assert [credit.value for credit in padded] == [credit.value for credit in plain]
    assert [credit.span for credit in padded] == [(0, 1), (1, 2), (4, 5), (5, 6)]


def test_twice_as_many_lines_of_the_same_kind_earn_no_more():
    assert total(LINES * 2, [0.5] * 8) == total(LINES, [0.5] * 4) == 0.125


def test_the_model_earns_no_more_than_its_labels_say():
    assert total(LINES, [9.0, -9.0, 9.0, 0.0]) == pytest.approx(0.25 * (1 - 1 + 1) / 4)


@pytest.mark.parametrize("output", [float("nan"), float("inf"), -float("inf")])
def test_an_output_that_is_no_number_is_not_the_best_label_but_an_error(output):
    class Broken(Spoken):
        def token_outputs(self, programs):
            return [[0.5] * (len(program.token_ids) - 1) + [output] for program in programs]

    with pytest.raises(RewardError, match=r"^reward\.terms\.prm gave the program of draw 0 of p the value (nan|-?inf)"):
        RewardStack({"prm": Broken()})(None, program_of(LINES), FAILED)


class Spoken(PrmReward):
    """Says what it was told, and remembers how it was asked."""

    def __init__(self, *, weight=0.25, passed_weight=0.025):
        self._weight, self._passed_weight, self.asked = weight, passed_weight, []

    def token_outputs(self, programs):
        self.asked.append(len(programs))
        return [[1.0] * len(program.token_ids) for program in programs]


def test_the_weight_is_a_tenth_once_the_tests_pass_and_a_harvest_asks_once():
    term = Spoken()
    program = program_of(LINES)
    stack = RewardStack({"prm": term})
    found = stack.credit_batch([(None, program, PASSED), (None, program, FAILED), (None, program, PASSED)])
    assert [sum(c.value for c in credits) for credits in found] == pytest.approx([0.025, 0.25, 0.025])
    assert term.asked == [3]


def test_a_program_without_lines_earns_nothing():
    assert line_credits(program_of(["# only\n", ""]), [1.0, 1.0], 0.25) == []


def test_the_exported_model_says_what_it_said_in_training_whatever_shares_its_batch(model):
    folder, critic, programs = model
    said = [list(one.critic.tokens) for one in critic.add_predictions(programs)]
    for size in (1, 3, 32):
        found = PrmReward(str(folder), batch_size=size).token_outputs([rollout.program for rollout in programs])
        for mine, theirs in zip(found, said, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-5)
    assert isinstance(critic, ProcessRewardModel)


@pytest.mark.parametrize("choice", ["prm", "binary+prm", "coarse+fine+adaptive+prm"])
def test_the_yaml_builds_and_credits_lines(model, choice, config_dir):
    with initialize_config_dir(config_dir, version_base="1.3"):
        cfg = compose(overrides=[f"+reward={choice}", f"reward.terms.prm.model={model[0]}"])
    stack = instantiate(cfg.reward, _convert_="all")
    assert list(stack.terms) == choice.split("+")
    credits = stack(None, program_of(LINES), FAILED)
    assert [credit.span for credit in credits if credit.term == "prm"] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"^model is .*: expected the folder of a run of job=prm, with its critic\.pt"):
        PrmReward(str(tmp_path))
    with pytest.raises(ValueError, match=r"^weight is -1: expected a number of at least 0"):
        PrmReward(str(tmp_path), weight=-1)


def test_a_configs_mistake_is_named_by_its_full_path(config_dir):
    with initialize_config_dir(config_dir, version_base="1.3"):
        cfg = compose(overrides=["+reward=prm", "reward.terms.prm.model=nowhere", "+trusted=[rltf]"])
    with pytest.raises(ValueError, match=r"^reward\.terms\.prm\.model is 'nowhere': expected the folder"):
        build(cfg, "reward")
