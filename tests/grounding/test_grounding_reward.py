"""`reward=grounding`: gate, comparison, blame, what is never read, metrics, whole runs."""

import csv
import json
from dataclasses import dataclass, replace

import pytest
import torch
from critic_cases import POLICIES, started
from grounding_cases import PASSED, RIGHT, Benchmark, program_of, rollouts_of
from hypothesis import given
from hypothesis import strategies as st

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.callbacks.phase_timer import PhaseTimer
from rltf.commands.train import train
from rltf.grounding.discriminator import Discriminator
from rltf.grounding.reward import Grounding
from rltf.rewards.base import RewardStack
from rltf.setup.checks import check_config
from rltf.types import CallTest, Credit, FinishReason, Outcome, Problem, Verdict
from rltf.validation import OptionError

WRONG_NAME = "def f(x):\n    return y"
UNUSED = "import re\nimport os\nimport io\nimport ast\ndef f(x):\n    y = 1\n    return x"
"""Five soft violations."""


def value(term, text, problem=None, **more):
    problem = problem or Benchmark().train[0]
    return term(problem, program_of(text, **more), PASSED)[0].value


def with_discriminator(**options):
    term = Grounding(discriminator=Discriminator(hidden=0, lr=1e-2), **options)
    term.bind(POLICIES["T5"](), Benchmark())
    started(term.learner)
    return term


def shaken(term):
    with torch.no_grad():
        for weight in term.learner.network.head.parameters():
            weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return term


def test_without_a_discriminator_a_program_earns_passed_or_failed():
    assert value(Grounding(), RIGHT) == 1.0
    assert value(Grounding(), WRONG_NAME) == -1.0
    assert value(Grounding(failed=-0.5, passed=0.25), RIGHT) == 0.25
    assert value(Grounding(failed=-0.5), WRONG_NAME) == -0.5


def test_soft_violations_cost_and_three_are_counted_at_most():
    assert value(Grounding(), UNUSED) == 1.0
    assert value(Grounding(soft=0.1), "def f(x):\n    y = 1\n    return x") == pytest.approx(0.9)
    assert value(Grounding(soft=0.1), UNUSED) == pytest.approx(0.7)
    assert value(Grounding(soft=0.1), "import re\n" + WRONG_NAME) == -1.0  # exactly


def test_levels_decide_what_fails():
    assert value(Grounding(checks={"undefined": "ignore"}), WRONG_NAME) == 1.0
    assert value(Grounding(checks={"unused": "hard"}), UNUSED) == -1.0


def test_a_program_that_was_cut_at_the_length_limit_fails_even_where_it_compiles():
    assert value(Grounding(), RIGHT, finish=FinishReason.LENGTH) == -1.0


def test_a_clean_program_earns_tanh_of_the_difference_and_a_hard_violation_fails_whatever_that_is():
    term = shaken(with_discriminator())
    other = "def f(x):\n    return x - 1"
    [difference] = term.learner.differences([term.learner.pair(Benchmark().train[0], other, RIGHT)])
    assert difference != 0
    assert value(term, other) == pytest.approx(torch.tensor(difference).tanh().item(), abs=1e-6)
    assert value(term, RIGHT) == 0.0  # equal to its reference
    assert value(term, WRONG_NAME) == -1.0


def test_without_a_reference_or_with_one_that_violates_a_check_itself_a_clean_program_earns_passed():
    term = shaken(with_discriminator())
    assert value(term, RIGHT, Benchmark().train[1], problem_id="p1") == 1.0
    broken = replace(Benchmark().train[0], references=(WRONG_NAME,))
    assert value(term, "def f(x):\n    return x - 1", broken) == 1.0


def test_a_draw_is_always_compared_with_the_same_reference_and_draws_with_several():
    references = tuple(f"def f(x):\n    return x + {i}" for i in range(4))
    problem = replace(Benchmark().train[0], references=references)
    chosen = [Grounding()._reference(problem, program_of(RIGHT, draw=draw)) for draw in range(40)]
    assert chosen == [Grounding()._reference(problem, program_of(RIGHT, draw=draw)) for draw in range(40)]
    assert set(chosen) == set(references)


@dataclass
class Unreadable:
    """Raises where anything of it is read but what a verdict's gate needs."""

    unjudgeable: bool = False
    outcome: Outcome = Outcome.PASSED

    def __getattr__(self, name):
        raise AssertionError(f"{name} was read")


class Untested(Problem):
    """A problem whose tests must not be read."""

    __slots__ = ()

    @property
    def tests(self):
        raise AssertionError("tests were read")


@pytest.mark.parametrize(
    "make", [Grounding, lambda: shaken(with_discriminator(blame=True))], ids=["checks", "compared"]
)
@pytest.mark.parametrize("text", [RIGHT, WRONG_NAME, "def f(x):\n    return x - 1", "def f(x"])
def test_no_test_and_no_verdict_is_read(make, text):
    problem = Benchmark().train[0]
    untested = Untested.__new__(Untested)
    for name in ("id", "statement", "entry_point", "setup", "references"):
        object.__setattr__(untested, name, getattr(problem, name))
    term, program = make(), program_of(text)
    expected = term(problem, program, PASSED)
    assert term(untested, program, Unreadable()) == expected
    other_tests = replace(problem, tests=(CallTest("g", (), None),))
    assert term(other_tests, program, Verdict(Outcome.TIMEOUT, 0, 9)) == expected


@given(st.sampled_from([o for o in Outcome if o is not Outcome.UNJUDGEABLE]), st.integers(0, 5))
def test_whatever_the_tests_say_the_stack_gives_the_same_credits(outcome, passed):
    stack, problem = RewardStack({"grounding": Grounding()}), Benchmark().train[0]
    for text in (RIGHT, WRONG_NAME):
        assert stack(problem, program_of(text), Verdict(outcome, passed, 5)) == stack(problem, program_of(text), PASSED)


def test_a_group_of_programs_that_all_fail_has_no_advantage():
    term = Grounding()
    rollouts = rollouts_of(term, Benchmark().train[0], [WRONG_NAME, "def g(x): return x", "def f("])
    group = CreditedGroup([(r.program, r.verdict, r.credits) for r in rollouts])
    [advantages] = Advantages("group_mean", "std")([group])
    assert [r.advantage for r in advantages] == [0.0, 0.0, 0.0]


def test_blame_weighs_the_line_of_the_first_hard_violation():
    """22 characters are 22 tokens and one for the end; the line `    return y` has 12 of them: -0.3 * 23 / 12."""
    credits = Grounding(blame=True)(Benchmark().train[0], program_of(WRONG_NAME), PASSED)
    assert credits == [Credit("grounding", -1.0), Credit("grounding", pytest.approx(-0.575), (10, 22))]
    assert len(Grounding(blame=True)(Benchmark().train[0], program_of("x = 1"), PASSED)) == 1  # no line is to blame
    assert len(Grounding(blame=True)(Benchmark().train[0], program_of(RIGHT), PASSED)) == 1


def test_metrics_of_four_programs_by_hand():
    """Of 4 programs 3 are clean, one of them is the reference; a fresh discriminator holds all for equal."""
    term = with_discriminator()
    texts = [RIGHT, WRONG_NAME, "def f(x):\n    return x - 1", "import re\ndef f(x):\n    return x"]
    metrics = term.learn(rollouts_of(term, Benchmark().train[0], texts))
    assert metrics["clean"] == 0.75
    assert (metrics["violated/undefined"], metrics["violated/unused"], metrics["violated/syntax"]) == (0.25, 0.25, 0.0)
    assert (metrics["pairs"], metrics["pair_accuracy"], metrics["difference"]) == (2.0, 0.5, 0.0)
    assert metrics["loss"] == pytest.approx(0.693147, abs=1e-6)  # half of two pairs
    again = term.learn([])  # programs are learned from once
    assert again == {"pairs": 0.0}


def test_the_policy_earns_less_for_what_the_discriminator_has_learned_to_tell():
    term = with_discriminator()
    texts = [f"def f(x):\n    return x - {i}" for i in range(8)]
    first = rollouts_of(term, Benchmark().train[0], texts)
    assert {r.reward for r in first} == {0.0}
    for _ in range(10):
        term.learn(rollouts_of(term, Benchmark().train[0], texts))
    assert max(r.reward for r in rollouts_of(term, Benchmark().train[0], texts)) < -0.1


def test_greedy_programs_are_credited_and_teach_nothing():
    term = with_discriminator()
    problem, program = Benchmark().train[0], program_of("def f(x):\n    return x", draw=-1, greedy=True)
    assert term(problem, program, PASSED)[0].value == 0.0
    assert term._pairs == {}


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["reward.terms.grounding.failed=x"], "^reward.terms.grounding.failed is 'x': expected a finite number"),
        (["reward.terms.grounding.soft=-1"], "^reward.terms.grounding.soft is -1: expected a number of at least 0"),
        (["reward.terms.grounding.returns=none"], "^reward.terms.grounding.returns is 'none': expected some or all"),
        (["reward.terms.grounding.blame=2"], "^reward.terms.grounding.blame is 2: expected true or false"),
        (
            ["reward.terms.grounding.checks.unused=strong"],
            "^reward.terms.grounding.checks.unused is 'strong': expected hard, soft or ignore",
        ),
        (
            ["+reward.terms.grounding.checks.undefned=hard"],
            r"checks.undefned is 'hard': expected a check among .* \(did you mean undefined\?\)",
        ),
        (
            ["reward.terms.grounding.discriminator.passes=0"],
            "^reward.terms.grounding.discriminator.passes is 0: expected a number above 0",
        ),
        (
            ["reward.terms.grounding.discriminator.weights=nowhere"],
            "^reward.terms.grounding.discriminator.weights is 'nowhere': expected the file grounding.pt of a run",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_path_before_anything_is_loaded(composed, overrides, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_config(composed("train", "reward=grounding", *overrides), "train")


@pytest.mark.parametrize("reward", ["grounding", "static", "coarse+grounding"])
def test_no_test_says_which_groups_teach(composed, reward):
    """`groups=live`, the default of small models, leaves out groups in which nobody passes: that is the tests' word."""
    cfg = composed("train", f"reward={reward}")
    check_config(cfg, "train")
    assert cfg.algorithm.advantages.groups == "all"
    assert composed("train", "reward=coarse").algorithm.advantages.groups == "live"


def test_a_discriminator_without_any_reference_is_refused():
    stack = RewardStack({"grounding": Grounding(discriminator=Discriminator())})
    with pytest.raises(
        OptionError, match=r"grounding\.discriminator is 'Discriminator': expected null with benchmark=cases"
    ):
        stack.bind(POLICIES["T5"](), Benchmark(references=((), ())))
    RewardStack({"grounding": Grounding()}).bind(POLICIES["T5"](), Benchmark(references=((), ())))


def test_problems_in_another_language_are_refused():
    benchmark = Benchmark()
    benchmark.train[1] = replace(benchmark.train[1], language="javascript")
    sentence = "^reward=grounding checks Python and p1 of benchmark=cases asks for javascript: use another reward"
    with pytest.raises(ValueError, match=sentence):
        RewardStack({"grounding": Grounding()}).bind(None, benchmark)


def test_without_pyflakes_one_sentence_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("rltf.validation.import_module", missing)
    with pytest.raises(ValueError, match=r"^reward=grounding needs the package pyflakes: install it with `pip install"):
        Grounding()


SMALL = (
    "report=false",
    "callbacks.progress=null",
    "logger=none",
    "rollouts={problems: 4, samples: 4, updates: 2, batch_size: 4}",
    "evaluation={problems: 2, samples: 1, ks: [1]}",
    "trainer={max_epochs: 4, check_val_every_n_epoch: 10, accumulate_grad_batches: 1}",
)
"""Beginning with the policy that ships, some of whose programs violate nothing."""
RUNS = {
    "coarse+grounding": ("reward=coarse+grounding", "reward.terms.grounding.discriminator.passes=2"),
    "rlcf": ("experiment=rlcf", "reward.terms.grounding.blame=true"),
    "static": ("reward=static",),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_run_with_grounding_goes_on_after_a_stop_to_the_bit(composed, tmp_path, monkeypatch, options):
    whole = train(composed("train", *SMALL, *options, f"paths.output_dir={tmp_path / 'whole'}"))

    def dies(self, trainer, module):
        if trainer.max_epochs == 4 and trainer.current_epoch == 3:
            raise RuntimeError("power loss")

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(PhaseTimer, "on_train_epoch_start", dies)
        with pytest.raises(RuntimeError, match="power loss"):
            train(composed("train", *SMALL, *options, f"paths.output_dir={broken}"))
    resumed = train(composed("train", *SMALL, *options, f"paths.output_dir={broken}", f"resume={broken}"))

    runs = (whole, resumed)
    states = [run.module.policy.state_dict() for run in runs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    lines = [[json.loads(x) for x in (run.folder / "rollouts.jsonl").read_text().splitlines()] for run in runs]
    assert [{**r, "seconds": 0} for r in lines[0]] == [{**r, "seconds": 0} for r in lines[1]]
    assert all("grounding" in {credit["term"] for credit in r["credits"]} for r in lines[0])
    with (resumed.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    iterations = len({r["iteration"] for r in lines[0]})
    assert sum(bool(row["reward/grounding/clean"]) for row in rows) == iterations
    if options != RUNS["static"]:
        learners = [torch.load(run.folder / "grounding.pt", weights_only=True) for run in runs]
        assert all(torch.equal(learners[0][name], learners[1][name]) for name in learners[0])
        assert any(float(row["reward/grounding/loss"] or 0) > 0 for row in rows)
    assert (whole.folder / "grounding.pt").exists() == (options != RUNS["static"])
