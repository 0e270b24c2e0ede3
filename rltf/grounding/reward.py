"""`reward=grounding`: what a compiler, static checks and a comparison with a reference say of a program's text (RLCF,
arXiv 2305.18341).

    a hard violation of a check        failed (-1)
    else, with a reference             tanh(h(x, W) - h(x, W_ref)), above -1 and below 1 (`rltf.grounding.comparison`)
    else                               passed (1)
    and less `soft` for each soft violation, of three at most

Tests are never read: programs are judged as ever, and verdicts are for the metrics alone.

How it deviates from the paper, of which only the abstract and second-hand accounts were at hand:
1. Checks of Python in the place of a compiler and a static analyser of Java (`rltf.grounding.checks`).
2. The loss of the discriminator is the logistic loss of pairs; the paper's is not known.
3. No term holds new weights near the old ones here: `algorithm.credit.penalty` (PPO) or `objective.kl` do that.
4. The discriminator begins as a copy of the policy with a head at zero, so that all programs are equal to it at first;
   the paper's is another model, which `discriminator.model` can be.
5. `blame` puts weight on the tokens of the first hard violation's line, as RLTF's fine feedback does without running
   anything; the paper has nothing of the kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, get_args

from rltf.benchmarks.splits import hash_fraction
from rltf.grounding.checks import LEVELS, Returns, Task, Violation, levels_of, read_levels, violations
from rltf.grounding.discriminator import Discriminator
from rltf.rewards.spans import tokens_of_lines
from rltf.types import Credit, FinishReason, Problem, Program, Rollout, Verdict
from rltf.validation import OptionError, import_extra, require

if TYPE_CHECKING:
    from rltf.grounding.comparison import Pair, ProgramComparison

MOST_SOFT = 3
"""Soft violations that are counted."""
BLAME_WEIGHT = -0.3
"""Of a program's tokens together, on the line of its first hard violation: RLTF's fine weight, times its length."""


class Grounding:
    """Reward term of the whole program, from its text alone.

    Args:
        failed: reward of a program with a hard violation.
        passed: reward of one without, where nothing compares.
        checks: check -> `hard`, `soft` or `ignore`; others have their defaults (`rltf.grounding.checks.LEVELS`).
        soft: what a soft violation costs.
        returns: the check `value` asks for a value on `some` path through the function asked for, or on `all`.
        blame: also put weight on the tokens of the line of the first hard violation.
        discriminator: compares programs with references; None: the checks alone.

    Raises:
        OptionError: an option is out of range, or an unknown check.
        ValueError: pyflakes is not installed.

    Example:
        >>> from rltf.types import Outcome
        >>> program = Program("p", "def f(x):\\n    return y", (), (1, 2), ((0, 9), (9, 22)), (), FinishReason.EOS)
        >>> Grounding()(Problem("p", "", (), entry_point="f"), program, Verdict(Outcome.PASSED, 1, 1))
        [Credit(term='grounding', value=-1.0, span=None)]
    """

    def __init__(
        self,
        failed: float = -1.0,
        passed: float = 1.0,
        checks: Mapping[str, Any] | None = None,
        soft: float = 0.0,
        returns: str = "some",
        blame: bool = False,
        discriminator: Discriminator | None = None,
    ) -> None:
        require("failed", failed)
        require("passed", passed)
        require("soft", soft, at_least=0)
        require("returns", returns, choices=get_args(Returns))
        require("blame", blame, choices=(True, False))
        self.levels = read_levels(checks)
        import_extra("pyflakes", "reward=grounding")  # missing where rltf was installed before it was needed
        self.failed, self.passed, self.soft, self.blame = failed, passed, soft, blame
        self._returns: Returns = returns  # type: ignore[assignment]
        self._discriminator = discriminator
        self.learner: ProgramComparison | None = None
        self._problems: Mapping[str, Problem] = {}
        self._pairs: dict[tuple[str, int, str], tuple[Pair, float]] = {}
        """Problem, draw and text of the programs that were compared and not yet learned from -> pair and difference."""

    def bind(self, policy: Any, benchmark: Any) -> None:
        """Reads the training problems, and makes the discriminator for a run.

        Args:
            policy: of the run.
            benchmark: of the run; its training problems' references are compared with.

        Raises:
            OptionError: no training problem has a reference.
            ValueError: one asks for another language than Python.
        """
        self._problems = {problem.id: problem for problem in benchmark.problems("train")}
        for problem in self._problems.values():
            if problem.language != "python":
                raise ValueError(
                    f"reward=grounding checks Python and {problem.id} of benchmark={benchmark.name} asks for "
                    f"{problem.language}: use another reward"
                )
        if self._discriminator is None:
            return
        if not any(problem.references for problem in self._problems.values()):
            raise OptionError(
                "discriminator",
                type(self._discriminator).__name__,
                f"null with benchmark={benchmark.name}, whose training problems have no reference to compare with",
            )
        self.learner = self._discriminator.comparison(policy, benchmark)

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """The credit of one program, and its blame."""
        return self.credit_batch([(problem, program, verdict)])[0]

    def credit_batch(self, judged: Sequence[tuple[Problem, Program, Verdict]]) -> list[Sequence[Credit]]:
        """The credit of each program, and its blame; the discriminator reads all programs at once."""
        violations_of_programs = [self.violations(problem, program) for problem, program, _ in judged]
        clean = [not levels_of(of_program, self.levels, "hard") for of_program in violations_of_programs]
        compared = self._compare([triple[:2] for triple, is_clean in zip(judged, clean, strict=True) if is_clean])
        credits: list[Sequence[Credit]] = []
        for (_, program, _), of_program, is_clean in zip(judged, violations_of_programs, clean, strict=True):
            value = next(compared) if is_clean else self.failed
            if is_clean:
                value -= self.soft * min(MOST_SOFT, len(levels_of(of_program, self.levels, "soft")))
            whole = Credit("grounding", value)
            credits.append([whole] if is_clean or not self.blame else [whole, *self._blamed(program, of_program)])
        return credits

    def violations(self, problem: Problem, program: Program) -> tuple[Violation, ...]:
        """All violations of a program. One that was cut at the length limit does not end, so it fails `syntax`."""
        if program.finish is FinishReason.LENGTH:
            return (Violation("syntax", None),)
        return violations(program.text, Task(problem.entry_point, problem.setup), self._returns)

    def _compare(self, programs: Sequence[tuple[Problem, Program]]) -> Any:
        """An iterator over the reward of each clean program, before soft violations."""
        rewards = [self.passed] * len(programs)
        if self.learner is not None:
            pairs: dict[int, Pair] = {}
            for i, (problem, program) in enumerate(programs):
                reference = self._reference(problem, program)
                if reference is not None:
                    pairs[i] = self.learner.pair(problem, program.text, reference)
            differences = self.learner.differences(list(pairs.values()))
            for (i, pair), difference in zip(pairs.items(), differences, strict=True):
                rewards[i] = math.tanh(difference)
                if not programs[i][1].greedy:
                    self._pairs[_key(programs[i][1])] = (pair, difference)
        return iter(rewards)

    def _reference(self, problem: Problem, program: Program) -> str | None:
        """The reference that a draw is compared with: always the same one; None where there is none, or where that one
        violates a hard check itself."""
        if not problem.references:
            return None
        place = hash_fraction(f"{problem.id}/{program.draw}")
        reference = problem.references[int(place * len(problem.references))]
        of_reference = violations(reference, Task(problem.entry_point, problem.setup), self._returns)
        return None if levels_of(of_reference, self.levels, "hard") else reference

    def _blamed(self, program: Program, of_program: Sequence[Violation]) -> list[Credit]:
        line = next((v.line for v in levels_of(of_program, self.levels, "hard") if v.line is not None), None)
        span = None if line is None else tokens_of_lines(program.text, program.offsets, line, line)
        if span is None:
            return []
        weight = BLAME_WEIGHT * len(program.token_ids) / (span[1] - span[0])
        return [Credit("grounding", weight, span)]

    def learn(self, rollouts: Sequence[Rollout]) -> dict[str, float]:
        """Trains the discriminator on the programs of an iteration that it compared; a collective call.

        Args:
            rollouts: of this process, each credited by this term.

        Returns:
            `clean`: share of sampled programs without a hard violation; `violated/<check>`: share with a violation of
            that check; and, with a discriminator, of the programs that differ from their reference: `pairs`, their
            number, `pair_accuracy`, how often the reference was held for the better one (0.5 for a draw), `difference`,
            the mean; then `loss` and `grad_norm` of its training.
        """
        from rltf.training.ranks import all_gather  # imports torch

        sampled = [rollout.program for rollout in rollouts if not rollout.program.greedy]
        violations_of_programs = [self.violations(self._problems[program.problem_id], program) for program in sampled]
        checks = [{violation.check for violation in of_program} for of_program in violations_of_programs]
        compared = [self._pairs.get(_key(program)) for program in sampled]
        pairs = [pair for pair in compared if pair is not None and pair[0].generated != pair[0].reference]
        self._pairs.clear()
        all_checks = [of_program for rank in all_gather(checks) for of_program in rank]
        metrics: dict[str, float] = {}
        if all_checks:
            hard = {check for check, level in self.levels.items() if level == "hard"}
            metrics["clean"] = fmean(not hard & of_program for of_program in all_checks)
            metrics |= {f"violated/{check}": fmean(check in c for c in all_checks) for check in LEVELS}
        if self.learner is None:
            return metrics
        differences = [d for rank in all_gather([difference for _, difference in pairs]) for d in rank]
        metrics["pairs"] = float(len(differences))
        if differences:
            metrics["pair_accuracy"] = fmean((d < 0) + (d == 0) / 2 for d in differences)
            metrics["difference"] = fmean(differences)
        return metrics | self.learner.learn([pair for pair, _ in pairs])


def _key(program: Program) -> tuple[str, int, str]:
    return program.problem_id, program.draw, program.text
