"""Do the reference programs of the data sets pass their own tests in the sandbox? A sample here; with `-m slow -s` all
of them, with the counts that docs/benchmarks.md states."""

import json

import pytest

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.humaneval_plus import HumanEvalPlus
from rltf.benchmarks.leetcode import LeetCode
from rltf.benchmarks.mbpp import Mbpp
from rltf.benchmarks.mbpp_plus import MbppPlus
from rltf.execution import LocalExecutor
from rltf.types import Job, Outcome

HUMANEVAL = (HumanEval, "humaneval.jsonl.gz", {})
MBPP = (Mbpp, "mbpp.jsonl", {"keep_constant": True})
SANITIZED = (Mbpp, "mbpp_sanitized.json", {"keep_constant": True})
ORIGINAL = (Apps, "apps/apps_original.jsonl.gz", {"keep_constant": True})
FUNCTION = (Apps, "apps/apps_function.jsonl.gz", {"keep_constant": True})
LEETCODE = (LeetCode, "leetcode/leetcode_train.jsonl.gz", {"keep_constant": True})
MBPP_PLUS = (MbppPlus, "mbpp_plus.jsonl.gz", {})
HUMANEVAL_PLUS = (HumanEvalPlus, "humaneval.jsonl.gz", {"inputs": "humaneval_extra_inputs.jsonl.gz"})
FILES = [HUMANEVAL, MBPP, SANITIZED, ORIGINAL, FUNCTION, LEETCODE, MBPP_PLUS, HUMANEVAL_PLUS]
NAMES = [f"{kind.name}-{file}" for kind, file, _ in FILES]

TOO_LARGE = {"mbpp/255", "mbpp/599"}
"""Tasks of MBPP+ with inputs for which the reference needs more than 512 MB or 4 s."""
NO_INPUTS = {f"HumanEval/{number}" for number in (32, 63, 76, 156)}
"""Tasks with added inputs, of a development state, that are none of the task: the reference does not end, or its answer
is none."""
KNOWN = TOO_LARGE | NO_INPUTS


def problems_of(benchmark):
    return [
        problem for split in ("train", "validation", "test") for problem in _of(benchmark, split) if problem.references
    ]


def _of(benchmark, split):
    try:
        return benchmark.problems(split)
    except ValueError:  # no such split
        return ()


def failures(file, problems):
    """Problem -> verdict where the first reference fails, printed with the counts."""
    with LocalExecutor() as executor:
        verdicts = executor.map(Job(problem.references[0], problem.tests, problem.setup) for problem in problems)
        found = dict(zip((problem.id for problem in problems), verdicts, strict=True))
    failed = {name: verdict for name, verdict in found.items() if verdict.outcome is not Outcome.PASSED}
    print(f"\n{file}: {len(found) - len(failed)} of {len(found)} references pass")
    for name, verdict in failed.items():
        error = verdict.error
        print(f"  {name}: {verdict.outcome} {error.type + ': ' + error.message[:100] if error else ''}")
    return failed


def opened(shared_data, kind, file, options):
    files = {key: str(shared_data / value) if key == "inputs" else value for key, value in options.items()}
    return kind(path=str(shared_data / file), **files)


def lacks_a_package(verdict):
    return verdict.error is not None and verdict.error.type == "ModuleNotFoundError"


@pytest.mark.parametrize(("kind", "file", "options"), FILES, ids=NAMES)
def test_a_sample_of_references_passes(shared_data, kind, file, options):
    problems = [problem for problem in problems_of(opened(shared_data, kind, file, options)) if problem.id not in KNOWN]
    assert not failures(file, problems[:: max(1, len(problems) // 12)])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kind", "file", "options"), FILES, ids=NAMES)
def test_every_reference_passes_unless_it_lacks_a_package(shared_data, kind, file, options):
    failed = failures(file, problems_of(opened(shared_data, kind, file, options)))
    assert not [name for name, verdict in failed.items() if not lacks_a_package(verdict) and name not in KNOWN]


@pytest.mark.slow
def test_the_ten_prompt_problems_of_mbpp_pass_too(shared_data, tmp_path):
    """Tasks 1-10 are in no split; as tasks 1001-1010 they are training problems."""
    lines = (shared_data / "mbpp.jsonl").read_text(encoding="utf-8").split("\n")[:10]
    rows = [json.loads(line) for line in lines]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(row | {"task_id": row["task_id"] + 1000}) + "\n" for row in rows))
    problems = problems_of(Mbpp(path=str(file), keep_constant=True))
    assert len(problems) == 10
    assert not failures("mbpp.jsonl, tasks 1-10", problems)
