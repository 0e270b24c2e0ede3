"""Shares of tests passed that count a test by how few programs of the group pass it (VeRPO, arXiv 2601.03525).

    weight of test t   = 1 - share of the group's programs that pass t
    share of program i = sum of the weights of the tests that i passes / sum of all weights

How it deviates from the paper:
1. Weights come from the difficulty of a test alone; VeRPO also looks at how densely tests lie.
2. The greedy program is no part of the pass rates, as it is part of no other group statistic; where it is the only
   program, its own tests count.
3. Where every program passes every test there is nothing to weigh by, and all tests count alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from rltf.types import Outcome, Problem, Program, Verdict

Judged = tuple[Problem, Program, Verdict]


def rare_shares(judged: Sequence[Judged]) -> list[float]:
    """Each program's weighted share of tests passed, the groups being the programs of one problem.

    Example:
        >>> from rltf.types import FinishReason, TestResult
        >>> problem, wrong = Problem("p", "", ()), Outcome.WRONG_ANSWER
        >>> program = Program("p", "", (), (), (), (), FinishReason.EOS)
        >>> easy, nothing = (TestResult(Outcome.PASSED, 0.0), TestResult(wrong, 0.0)), (TestResult(wrong, 0.0),) * 2
        >>> verdicts = Verdict(wrong, 1, 2, tests=easy), Verdict(wrong, 0, 2, tests=nothing)
        >>> rare_shares([(problem, program, verdict) for verdict in verdicts])  # weights 0.5 and 1
        [0.3333333333333333, 0.0]
    """
    groups: dict[str, list[Judged]] = {}
    for triple in judged:
        groups.setdefault(triple[1].problem_id, []).append(triple)
    weights = {problem_id: _test_weights(group) for problem_id, group in groups.items()}
    return [_weighted_share(verdict, weights[program.problem_id]) for _, program, verdict in judged]


def _test_weights(group: Sequence[Judged]) -> list[float]:
    sampled = [verdict for _, program, verdict in group if not program.greedy]
    verdicts = sampled or [verdict for _, _, verdict in group]
    tests = max(len(verdict.tests) for verdict in verdicts)
    passes = [sum(_passes(verdict, t) for verdict in verdicts) for t in range(tests)]
    weights = [1.0 - count / len(verdicts) for count in passes]
    return weights if any(weights) else [1.0] * tests


def _weighted_share(verdict: Verdict, weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(weight for t, weight in enumerate(weights) if _passes(verdict, t)) / total if total else 0.0


def _passes(verdict: Verdict, test: int) -> bool:
    """False also for a program that was judged without a result for each test: it did not compile."""
    return test < len(verdict.tests) and verdict.tests[test].status is Outcome.PASSED
