"""`stage=prm_data`: labels for lines of the policy's own programs, without people (arXiv 2410.17621).

A prefix of a program is good when at least one of K completions that the policy draws passes all tests. The last good
one is found by binary search; lines up to it are labelled +1, those behind it -1. A program that passes is good to its
end, and nobody asks. Lines are those with code (`rltf.prm.lines`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from statistics import fmean
from typing import Any

from rltf.prm.bisect import last_good
from rltf.prm.lines import Step, steps_of
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Outcome, Problem, Program, Request, Sampling, Verdict

Judgement = tuple[Problem, Program, Verdict]


class PrmData:
    """Draws programs and labels their lines.

    Args:
        problems: training problems; None: all.
        samples: programs a problem; of equal texts one is labelled.
        completions: K, drawn of each prefix that is asked about.
        chunk: problems that share every round's call of the sampler.

    Raises:
        ValueError: a number is below 1.
    """

    def __init__(self, problems: int | None = 500, samples: int = 4, completions: int = 20, chunk: int = 64) -> None:
        counts = {"problems": 1 if problems is None else problems, "samples": samples}
        for key, value in (counts | {"completions": completions, "chunk": chunk}).items():
            if value < 1:
                raise ValueError(f"stage.job.{key} is {value}: expected a whole number of at least 1")
        self._problems, self._samples, self._completions, self._chunk = problems, samples, completions, chunk

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Writes `prm_data.jsonl`, a program a line: `problem_id`, `prompt_ids`, `token_ids`, `answer` (their text),
        `ends` (tokens up to the end of each line) and `labels` of these, `outcome`, `asked` (prefixes).

        Returns:
            `programs`, `lines`, `good_share` of lines, `asked` and `completions` in all.
        """
        problems = list(pipeline.benchmark.problems("train"))[: self._problems]
        shares, asked = [], 0
        with (folder / "prm_data.jsonl").open("w", encoding="utf-8") as file:
            for start in range(0, len(problems), self._chunk):
                chunk = problems[start : start + self._chunk]
                pending = pipeline.start_rollouts(chunk, range(self._samples), sampling, seed)
                judged = [one for group in pipeline.collect_verdicts(pending) for one in _different(group.triples())]
                for record in self.label(pipeline, judged, sampling, seed):
                    file.write(json.dumps(record) + "\n")
                    shares.append([label > 0 for label in record["labels"]])
                    asked += record["asked"]
        lines = [good for share in shares for good in share]
        return {
            "programs": len(shares),
            "lines": len(lines),
            "good_share": round(fmean(lines), 6) if lines else None,
            "asked": asked,
            "completions": asked * self._completions,
        }

    def label(
        self, pipeline: RolloutPipeline, judged: Sequence[Judgement], sampling: Sampling, seed: int
    ) -> list[dict[str, Any]]:
        """A record of each program that has lines; the programs share every round's call of the sampler."""
        known = [(one, steps) for one in judged if (steps := steps_of(one[1]))]
        searched = [i for i, ((_, _, verdict), _) in enumerate(known) if verdict.outcome is not Outcome.PASSED]

        def ask(prefixes: Sequence[tuple[int, int]]) -> list[bool]:
            asked = [known[searched[i]] for i, _ in prefixes]
            ends = [steps[lines - 1].end for (_, steps), (_, lines) in zip(asked, prefixes, strict=True)]
            cut = [(problem, program, end) for ((problem, program, _), _), end in zip(asked, ends, strict=True)]
            return self._rescued(pipeline, cut, sampling, seed)

        found = dict(zip(searched, last_good([len(known[i][1]) for i in searched], ask), strict=True))
        records = []
        for i, ((problem, program, verdict), steps) in enumerate(known):
            good, asked = found.get(i, (len(steps), 0))
            records.append(_record(pipeline, problem, program, verdict, steps, good, asked))
        return records

    def _rescued(
        self,
        pipeline: RolloutPipeline,
        prefixes: Sequence[tuple[Problem, Program, int]],
        sampling: Sampling,
        seed: int,
    ) -> list[bool]:
        """Whether one of K completions of each prefix passes; all are drawn in one call, and judged meanwhile."""
        draws = tuple(range(self._samples, self._samples + self._completions))
        requests = [
            Request(
                problem.id,
                program.prompt_ids,
                draws,
                prefix_ids=program.prefix_ids + program.token_ids[:end],
                stop=pipeline.benchmark.prompt(problem).stop,
            )
            for problem, program, end in prefixes
        ]
        problems = [problem for problem, _, _ in prefixes]
        verdicts: list[list[Future[Verdict]]] = [[] for _ in prefixes]
        for at, completed in pipeline.draw_programs(problems, requests, sampling, seed):
            verdicts[at].append(pipeline.judge(problems[at], completed))
        with pipeline.clock("execution_wait"):
            return [any(v.result().outcome is Outcome.PASSED for v in of_prefix) for of_prefix in verdicts]


def _different(judged: Sequence[Judgement]) -> list[Judgement]:
    return list({program.text: (problem, program, verdict) for problem, program, verdict in judged}.values())


def _record(
    pipeline: RolloutPipeline,
    problem: Problem,
    program: Program,
    verdict: Verdict,
    steps: Sequence[Step],
    good: int,
    asked: int,
) -> dict[str, Any]:
    return {
        "problem_id": problem.id,
        "prompt_ids": program.prompt_ids,
        "token_ids": program.token_ids,
        "answer": pipeline.policy.decode(program.token_ids)[0],
        "ends": [step.end for step in steps],
        "labels": [1.0] * good + [-1.0] * (len(steps) - good),
        "outcome": str(verdict.outcome),
        "asked": asked,
    }
