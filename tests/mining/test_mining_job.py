"""`job=mine` from a folder to `mined.jsonl`, and `benchmark=mined` from there to verdicts."""

import json
from types import SimpleNamespace

import pytest

from rltf.benchmarks.mined import Mined
from rltf.benchmarks.splits import hash_fraction
from rltf.execution.values.codec import encode
from rltf.mining.job import MINED_FILE, Mine
from rltf.setup.checks import check_config
from rltf.types import CallTest, Outcome, Sampling
from rltf.validation import OptionError

SOURCE = '''
import math

def total(xs: list[int], factor=2):
    """Sums the items and multiplies.

    >>> total([1, 2])
    6
    """
    return sum(xs) * factor

def total2(ys: list[int], times=2):
    return sum(ys) * times

def split(text: str) -> tuple:
    return tuple(text.split()), len(text)

def root(x: float):
    return math.sqrt(x) + 1

def broken(x): return undefined
def nothing(x): pass

class Solution:
    def above(self, nums: list[int], k: int) -> int:
        return sum(n > k for n in nums)
'''


@pytest.fixture(scope="module")
def mined(pools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mined")
    (folder / "code").mkdir()
    (folder / "code" / "a.py").write_text(SOURCE.replace("\n", "\r\n"), newline="")
    (folder / "code" / "b.py").write_text("def f(x:")
    job = Mine(source=[str(folder / "code")])
    numbers = job(SimpleNamespace(executor=pools[0]), Sampling(), 1, folder)
    return folder / MINED_FILE, numbers


def test_the_numbers_of_a_job_add_up(mined):
    path, numbers = mined
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["name"] for row in rows] == ["total", "split", "root", "above"]
    assert (numbers["functions"], numbers["distinct"], numbers["mined"]) == (8, 4, 4)
    assert numbers["left_out"] == {
        "has the structure of another": 1,
        "reads names that are neither builtins nor allowed imports": 1,
        "returns no value": 1,
        "no Python of this version": 1,
    }
    assert numbers["functions"] == numbers["mined"] + sum(numbers["left_out"].values())
    assert numbers["tests"] == sum(len(row["tests"]) for row in rows) == 24
    assert numbers["killed"] == sum(row["killed"] for row in rows) <= numbers["mutants"]
    assert rows[0]["source"].endswith("a.py:4")
    assert rows[2]["setup"] == "import math"


def test_every_reference_passes_its_tests_in_every_prompt_format(mined, pools):
    for prompt in ("doc", "chat", "paper", "task"):
        benchmark = Mined(str(mined[0]), prompt, validation_share=0, test_share=0)
        for problem in benchmark.problems("train"):
            [reference] = problem.references
            answer = benchmark.answer(problem, reference)
            program = benchmark.extract(problem, answer).program(answer)
            assert pools[0].submit(problem.job(program)).result().outcome is Outcome.PASSED, (prompt, program)


def test_a_docstring_is_the_prompt_and_without_one_three_asserts_are(mined):
    benchmark = Mined(str(mined[0]), validation_share=0, test_share=0)
    total, split, root, above = benchmark.problems("train")
    prompts = [benchmark.prompt(problem) for problem in (total, split, root, above)]
    texts = [prompt.head + prompt.question + prompt.tail + prompt.answer for prompt in prompts]
    assert texts[0].startswith('def total(xs: list[int], factor=2):\n    """Sums the items')
    assert texts[1].startswith('"""\nWrite the function split.\nassert split(')
    assert texts[1].count("\nassert ") == 3
    assert texts[1].endswith("def split(")
    assert texts[3].endswith("class Solution:\n    def above(")
    assert benchmark.examples(total) == (CallTest("total", ([1, 2],), 6),)
    assert len(benchmark.examples(split)) == 3
    task = Mined(str(mined[0]), "task", validation_share=0, test_share=0)
    prompt = task.prompt(task.problems("train")[0])
    assert prompt.question + prompt.tail == "Sums the items and multiplies.\n\n>>> total([1, 2])\n6\n"


def row(number, **changes):
    structure = f"{number:064x}"
    test = {"function": "f", "args": [number], "expected": encode((number, {1}))}
    fields = {"id": f"mined/{number}", "name": "f", "header": "def f(x):\n", "code": "def f(x):\n    return x"}
    return fields | {"tests": [test, test | {"expected": 0}], "structure": structure} | changes


def write(path, rows):
    path.write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    return str(path)


def test_splits_go_by_the_structure(tmp_path):
    path = write(tmp_path / "m.jsonl", [row(number) for number in range(60)])
    benchmark = Mined(path, validation_share=0.25, test_share=0.25)
    for split, low, high in (("test", 0, 0.25), ("validation", 0.25, 0.5), ("train", 0.5, 1)):
        numbers = [int(problem.id.partition("/")[2]) for problem in benchmark.problems(split)]
        assert numbers == [n for n in range(60) if low <= hash_fraction(f"{n:064x}") < high]


def test_values_and_tolerances_are_those_of_the_file(tmp_path):
    rows = [row(1, demonstrations=["def f(x): return 1"])]
    rows[0]["tests"][0]["tolerance"] = 1e-6
    [problem] = Mined(write(tmp_path / "m.jsonl", rows), test_share=0, validation_share=0).problems("train")
    assert problem.tests == (CallTest("f", (1,), (1, {1}), tolerance=1e-6), CallTest("f", (1,), 0))
    assert problem.demonstrations == ("def f(x): return 1",)


@pytest.mark.parametrize("test", [{}, 3, {"function": "f", "args": [{"no": 1}], "expected": 0}, {"function": "f"}])
def test_a_test_that_cannot_be_read_is_one_sentence_with_its_line(tmp_path, test):
    path = write(tmp_path / "m.jsonl", [row(1), row(2, tests=[test])])
    with pytest.raises(ValueError, match=r"m\.jsonl line 2 has a test that cannot be read"):
        Mined(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_share": 1.0}, "test_share is 1.0"),
        ({"validation_share": -0.1}, "validation_share is -0.1"),
        ({"validation_share": 0.5, "test_share": 0.5}, "less than 1 with validation_share"),
        ({"prompt": "docs"}, "did you mean doc?"),
    ],
)
def test_a_benchmark_refuses_what_makes_no_sense(tmp_path, options, message):
    with pytest.raises(OptionError) as refused:
        Mined(write(tmp_path / "m.jsonl", [row(1)]), **options)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tests": 1}, "tests is 1: expected a whole number of at least 2"),
        ({"inputs": 3}, "inputs is 3: expected at least tests, which is 6"),
        ({"docstring": "want"}, "docstring is 'want': expected wanted, needed or ignored"),
        ({"kill_share": 2}, "kill_share is 2"),
        ({"timeout": 0}, "timeout is 0"),
        ({"imports": "math"}, "imports is 'math': expected a list of modules"),
        ({"source": []}, "source is []: expected a folder or file of code"),
        ({"limit": 0}, "limit is 0"),
        ({"hash_seed": -1}, "hash_seed is -1"),
    ],
)
def test_a_job_refuses_what_makes_no_sense(options, message):
    with pytest.raises(OptionError) as refused:
        Mine(**{"source": ".", **options})
    assert message in str(refused.value)


def test_a_source_without_a_function_is_one_sentence_with_the_reasons(pools, tmp_path):
    (tmp_path / "a.py").write_text("def f(x): return g(x)\ndef h(x): pass\ndef i(x): return j(x)\n")
    with pytest.raises(ValueError) as refused:
        Mine(source=str(tmp_path))(SimpleNamespace(executor=pools[0]), Sampling(), 0, tmp_path)
    assert str(refused.value) == (
        "job.source: none of 3 functions and files can be mined; most often: "
        "reads names that are neither builtins nor allowed imports (2), returns no value (1)"
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no code"):
        Mine(source=str(tmp_path / "empty"))(SimpleNamespace(executor=pools[0]), Sampling(), 0, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["job=mine"], "job.source is missing: expected a folder or file of Python code"),
        (["job=mine", "job.source=/nope"], "nothing is there"),
        (["job=mine", "job.source=.", "+job.test=3"], "job.test is not known: did you mean job.tests"),
        (["benchmark=mined"], "benchmark.path is missing: expected mined.jsonl of a run of job=mine"),
        (["benchmark=mbpp+mined"], "benchmark.parts.mined.path is missing: expected mined.jsonl"),
        (["buffer=distinct", "buffer.per_problem=two"], "buffer.per_problem is 'two'"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_before_any_work(composed, overrides, message):
    with pytest.raises(ValueError) as refused:
        check_config(composed("train", *overrides), "train")
    assert message in str(refused.value)


def test_actor_critic_is_what_its_page_says(composed):
    cfg = composed("train", "experiment=actor_critic")
    assert cfg.algorithm.mix.supervised is None
    assert cfg.algorithm.mix.rl.objective._target_ == "rltf.algorithms.reinforce.Reinforce"
    assert cfg.algorithm.mix.rl.objective.kl == 0.05
    assert (cfg.credit.gamma, cfg.credit.lam, cfg.credit.whiten) == (1.0, 1.0, False)
    assert (cfg.critic._target_, cfg.critic.passes) == ("rltf.critics.value.MlpCritic", 1.0)
    values = cfg.reward.terms.adaptive
    assert (values.floor, values.ceiling, values.error, values.syntax_error) == (-0.5, 1.0, -0.8, -1.0)
    assert cfg.buffer._target_ == "rltf.rollouts.distinct.DistinctBuffer"
    check_config(cfg, "train")
