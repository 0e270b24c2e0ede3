"""Do the reference programs of the data sets pass their own tests in the sandbox? A sample here; with `-m slow -s` all
of them, with the counts that docs/benchmarks.md states."""

import json

import pytest

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.mbpp import Mbpp
from rltf.execution import LocalExecutor
from rltf.types import Job, Outcome

HUMANEVAL = (HumanEval, "humaneval.jsonl.gz", {})
MBPP = (Mbpp, "mbpp.jsonl", {"keep_constant": True})
SANITIZED = (Mbpp, "mbpp_sanitized.json", {"keep_constant": True})
ORIGINAL = (Apps, "apps/apps_original.jsonl.gz", {"keep_constant": True})
FUNCTION = (Apps, "apps/apps_function.jsonl.gz", {"keep_constant": True})
LEETCODE = (Apps, "leetcode/leetcode_train.jsonl.gz", {"keep_constant": True})
FILES = [HUMANEVAL, MBPP, SANITIZED, ORIGINAL, FUNCTION, LEETCODE]
NAMES = [file for _, file, _ in FILES]


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


def lacks_a_package(verdict):
    return verdict.error is not None and verdict.error.type == "ModuleNotFoundError"


@pytest.mark.parametrize(("kind", "file", "options"), FILES, ids=NAMES)
def test_a_sample_of_references_passes(shared_data, kind, file, options):
    problems = problems_of(kind(path=str(shared_data / file), **options))
    assert not failures(file, problems[:: max(1, len(problems) // 12)])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kind", "file", "options"), FILES, ids=NAMES)
def test_every_reference_passes_unless_it_lacks_a_package(shared_data, kind, file, options):
    failed = failures(file, problems_of(kind(path=str(shared_data / file), **options)))
    assert not [name for name, verdict in failed.items() if not lacks_a_package(verdict)]


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
