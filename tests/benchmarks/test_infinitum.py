"""`infinitum`: what it promises of its items, worked out from the items alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from infinitum_english import to_python
from tokenizers import Tokenizer

from rltf.benchmarks.infinitum import Infinitum
from rltf.benchmarks.infinitum import benchmark as module
from rltf.benchmarks.infinitum.cases import choose_cases
from rltf.benchmarks.infinitum.constructs import CONSTRUCTS
from rltf.benchmarks.infinitum.program import Draft, Source, canonical
from rltf.benchmarks.infinitum.running import Failure, Program, counted
from rltf.benchmarks.mini import Mini
from rltf.benchmarks.mini.forms import Type, Variable
from rltf.execution import Job, LocalExecutor
from rltf.setup.instantiate import build
from rltf.types import Outcome, Problem

ITEMS = 170
MINI_TOKENIZER = Path(__file__).parents[2] / "rltf" / "policies" / "tiny_tokenizer.json"


@pytest.fixture(scope="module")
def infinitum() -> Infinitum:
    return Infinitum(seed=20261128, sizes={"test": ITEMS, "train": 60})


def passes(problem: Problem, program: str) -> bool:
    """A plain judge of the benchmark's own programs, which may lack the statement that ends a loop."""
    try:
        function = Program(counted(ast.parse(program)), problem.tests[0].function)
    except Exception:
        return False
    return all(function(test.args) == test.expected for test in problem.tests)


def nodes(problem: Problem, *kinds: type) -> list:
    return [node for node in ast.walk(ast.parse(problem.references[0])) if isinstance(node, kinds)]


def is_total(loop: ast.For) -> bool:
    return [type(node) for node in loop.body] == [ast.AugAssign] and not isinstance(loop.body[0].value, ast.Constant)


def called(problem: Problem) -> set[str]:
    calls = nodes(problem, ast.Call)
    return {c.func.id for c in calls if isinstance(c.func, ast.Name)} | {
        c.func.attr for c in calls if isinstance(c.func, ast.Attribute)
    }


def functions(problem: Problem) -> list[ast.FunctionDef]:
    return [node for node in nodes(problem, ast.FunctionDef) if node.name != problem.entry_point]


def calls_itself(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == function.name for node in ast.walk(function))


def branches(problem: Problem) -> list[ast.If]:
    """Conditions of the function's own body, which stand in no loop and no helper."""
    return [node for node in ast.parse(problem.references[0]).body[0].body if isinstance(node, ast.If)]


def assigns_operation(problem: Problem) -> bool:
    body = ast.parse(problem.references[0]).body[0].body
    return all(isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) for node in body[:-1])


SIGNS = {
    "arithmetic": assigns_operation,
    "conditional": lambda p: any(not isinstance(node.body[0], ast.If) for node in branches(p)),
    "nested_conditional": lambda p: any(isinstance(node.body[0], ast.If) for node in branches(p)),
    "loop": lambda p: any(isinstance(n, ast.For) and is_total(n) for n in ast.parse(p.references[0]).body[0].body),
    "nested_loop": lambda p: any(isinstance(node.body[0], ast.For) for node in nodes(p, ast.For)),
    "while_loop": lambda p: bool(nodes(p, ast.While)),
    "early_exit": lambda p: bool(nodes(p, ast.Break)),
    "comprehension": lambda p: bool(nodes(p, ast.ListComp)),
    "unpacking": lambda p: any(isinstance(node.targets[0], ast.Tuple) for node in nodes(p, ast.Assign)),
    "counting": lambda p: any(not node.keys for node in nodes(p, ast.Dict)),
    "lookup": lambda p: any(node.keys for node in nodes(p, ast.Dict)),
    "set_algebra": lambda p: "set" in called(p),
    "string_building": lambda p: any(
        isinstance(node.body[0], ast.If) and node.body[0].orelse for node in nodes(p, ast.For)
    ),
    "formatting": lambda p: bool(nodes(p, ast.JoinedStr)),
    "helper": lambda p: any(not calls_itself(function) for function in functions(p)),
    "recursion": lambda p: any(calls_itself(function) for function in functions(p)),
    "exception": lambda p: bool(nodes(p, ast.Try)),
}
"""Construct -> what shows it in a syntax tree."""


def test_each_construct_is_in_its_own_items_and_in_no_other(infinitum):
    assert set(SIGNS) == set(CONSTRUCTS)
    tagged = Counter(problem.tags[0] for problem in infinitum.problems("test"))
    assert set(tagged) == set(CONSTRUCTS)
    for problem in infinitum.problems("test"):
        assert [name for name, shows in SIGNS.items() if shows(problem)] == [problem.tags[0]], problem.references[0]


def test_references_are_what_unparse_gives_and_pass_their_tests(infinitum):
    for problem in infinitum.problems("test"):
        code = problem.references[0]
        assert "\n".join(line for line in ast.unparse(ast.parse(code)).split("\n") if line) == code
        assert passes(problem, code)


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_the_judge_passes_a_reference_and_fails_it_with_any_statement_left_out(construct):
    problem = Infinitum(seed=4, constructs={construct: 1}, statements={1: 1}, sizes={"test": 1}).problems("test")[0]
    jobs = [
        Job(program, problem.tests, timeout=1.0) for program in [problem.references[0], *without_a_statement(problem)]
    ]
    with LocalExecutor(workers=1) as executor:
        right, *wrong = [verdict.outcome for verdict in executor.map(jobs)]
    assert right is Outcome.PASSED
    assert wrong
    assert Outcome.PASSED not in wrong


def without_a_statement(problem: Problem) -> list[str]:
    """The reference with each statement but its function replaced by `pass`, one at a time."""
    code, programs = problem.references[0], []
    count = sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(code)))
    for place in range(1, count):  # 0 is the function
        tree = ast.parse(code)
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
        for node in ast.walk(tree):
            for field in ("body", "orelse", "handlers"):
                block = getattr(node, field, None)
                if isinstance(block, list) and statements[place] in block:
                    block[block.index(statements[place])] = ast.Pass()
        programs.append(ast.unparse(ast.fix_missing_locations(tree)))
    return [program for program in programs if ast.dump(ast.parse(program)) != ast.dump(ast.parse(code))]


def test_english_read_back_by_a_grammar_of_its_own_gives_the_same_results():
    problems = Infinitum(seed=9, sizes={"test": 70}, paraphrases=3).problems("test")
    mixed = Infinitum(seed=9, sizes={"test": 20}, isolate=False, distractors=2, paraphrases=3).problems("test")
    assert len({p.statement for p in problems}) == 210
    for problem in [*problems, *mixed]:
        assert passes(problem, to_python(problem.statement)), problem.statement


def test_the_same_arguments_give_the_same_items_in_another_process(infinitum):
    code = (
        "from rltf.benchmarks.infinitum import Infinitum\n"
        "print(list(Infinitum(seed=20261128, sizes={'test': 12}).problems('test')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(list(infinitum.problems("test")[:12]))


def test_a_longer_split_starts_with_the_shorter_and_further_wordings_change_no_item(infinitum):
    assert Infinitum(seed=20261128, sizes={"test": 20}).problems("test") == infinitum.problems("test")[:20]
    worded = Infinitum(seed=20261128, sizes={"test": 20}, paraphrases=3).problems("test")
    assert worded[::3] == infinitum.problems("test")[:20]


def test_wordings_of_an_item_share_all_but_their_text():
    first, second, third = Infinitum(seed=2, sizes={"test": 1}, paraphrases=3).problems("test")
    assert first.tests == second.tests == third.tests
    assert first.references == third.references
    assert [p.id for p in (first, second, third)] == [f"infinitum/2/test/0/{i}" for i in range(3)]
    assert len({p.statement for p in (first, second, third)}) == 3
    assert [p.tags[-1] for p in (first, second, third)] == ["paraphrase:0", "paraphrase:1", "paraphrase:2"]


def test_two_seeds_share_less_than_a_hundredth_of_their_programs_and_mini_a_third(infinitum):
    other = Infinitum(seed=20261129, sizes={"test": ITEMS}).problems("test")
    trees = [{canonical(p.references[0], constants=True) for p in ps} for ps in (infinitum.problems("test"), other)]
    assert len(trees[0]) == ITEMS  # no two items of a split differ in names alone
    assert len(trees[0] & trees[1]) < 0.01 * ITEMS
    of_mini = [{p.statement for p in Mini(seed=seed).problems("test")} for seed in (0, 1)]
    assert len(of_mini[0] & of_mini[1]) > 0.25 * 300


def test_no_test_item_has_the_structure_of_a_training_item_of_any_seed(infinitum):
    structures = {canonical(p.references[0], constants=False) for p in infinitum.problems("test")}
    for seed in (0, 20261128):
        train = Infinitum(seed=seed, sizes={"train": 60}).problems("train")
        assert not structures & {canonical(p.references[0], constants=False) for p in train}


def test_names_and_constants_do_not_change_a_structure_and_constants_change_a_program():
    first, second = "def f(a):\n    t = a + 3\n    return t", "def g(rate):\n    fee = rate + 7\n    return fee"
    assert canonical(first, constants=False) == canonical(second, constants=False)
    assert canonical(first, constants=True) != canonical(second, constants=True)
    assert canonical(first, constants=True) == canonical(second.replace("7", "3"), constants=True)
    assert canonical(first, constants=False) != canonical(first.replace("+", "-"), constants=False)


def test_sizes_depths_and_bands_are_tagged():
    problems = list(islice(Infinitum(seed=1, statements={1: 1, 3: 1, 4: 1}, depth=3).stream("test"), 40))
    bands = {tag: p.difficulty for p in problems for tag in p.tags if tag.startswith("size:")}
    assert bands == {"size:1": "short", "size:3": "medium", "size:4": "long"}
    assert {tag for p in problems for tag in p.tags if tag.startswith("depth:")} == {"depth:1", "depth:2", "depth:3"}


def test_a_mixed_item_has_the_tags_of_all_its_constructs():
    problems = Infinitum(seed=1, isolate=False, statements={4: 1}, sizes={"test": 12}).problems("test")
    for problem in problems:
        tags = [tag for tag in problem.tags if ":" not in tag]
        assert tags == sorted(tags)
        assert 1 <= len(tags) <= 4
        for name in set(tags) & {"while_loop", "early_exit", "lookup", "formatting", "exception", "recursion"}:
            assert SIGNS[name](problem)
    assert max(len(p.tags) for p in problems) > 3 + 2


def test_distractors_are_said_and_may_be_left_out():
    for problem in Infinitum(seed=1, distractors=2, statements={1: 1}, sizes={"test": 10}).problems("test"):
        assert passes(problem, to_python(problem.statement))
        assert sum(passes(problem, program) for program in without_a_statement(problem)) == 2


def test_the_tests_tell_a_program_from_every_simpler_one():
    def cases(code: str, *parameters: Variable):
        source = Source("f", parameters, (), frozenset(), 1)
        return choose_cases(Random(0), code, source, 6)

    a, xs = Variable("a", Type.INT), Variable("xs", Type.INTS)
    assert cases("def f(a):\n    t = a + 1\n    return t", a) is not None
    assert cases("def f(a):\n    t = a * 2\n    t = a + 1\n    return t", a) is None  # a statement does nothing
    assert cases("def f(a):\n    t = a % 5 % 7\n    return t", a) is None  # an operation does nothing
    assert cases("def f(a):\n    t = a * 0\n    return t", a) is None  # a constant passes
    assert (
        cases("def f(a):\n    if a < 999:\n        return a + 1\n    return 0", a) is None
    )  # a condition always holds
    assert cases("def f(xs):\n    return xs", xs) is None  # an input passes


def test_runs_that_do_not_end_are_given_up():
    program = Program(counted(ast.parse("def f(a):\n    while a > 0:\n        a += 1\n    return a")), "f")
    assert program((-3,)) == -3
    result = program((3,))
    assert isinstance(result, Failure)
    assert not result.ended
    assert result != program((3,))  # a failure equals nothing


def test_a_statement_uses_the_one_before():
    for construct in CONSTRUCTS:
        draft = Draft.begin(Random(5), depth=2)
        for _ in range(2):
            longer = draft.extended(construct, distractors=0)
            assert longer is not None
            draft = longer
        first, second = draft.statements
        assert first.result.name in "\n".join(second.code)
        assert all(first.result.name in clause for clause in second.clauses)


@pytest.mark.parametrize("prompt", ["plain", "doc", "chat", "paper"])
def test_every_format_asks_for_the_reference_and_gives_it_back(prompt):
    benchmark = Infinitum(seed=3, prompt=prompt, sizes={"test": 20})
    for problem in benchmark.problems("test"):
        answer = benchmark.answer(problem, problem.references[0])
        text = answer.removesuffix("\n```")
        assert benchmark.extract(problem, text).program(text) == problem.references[0]
        asked = benchmark.prompt(problem)
        assert problem.statement in asked.head + asked.question + asked.tail
        assert ("assert " in asked.tail) == (prompt != "plain")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"constructs": {"lop": 1}}, r"constructs.lop is 1: expected only the names arithmetic, .*did you mean loop\?"),
        ({"constructs": {"loop": 0}}, "constructs is .*: expected a frequency above 0 of at least one of them"),
        ({"constructs": {"loop": -1}}, "constructs.loop is -1: expected a number of at least 0"),
        ({"statements": {0: 1}}, "statements is 0: expected a whole number of at least 1 and at most 8"),
        ({"statements": {1: 0}}, "statements is .*: expected a frequency above 0"),
        ({"language": "pyhton"}, r"language is 'pyhton': expected python or javascript \(did you mean python\?\)"),
        (
            {"language": "javascritp"},
            r"language is 'javascritp': expected python or javascript \(did you mean javascript\?\)",
        ),
        ({"prompt": "dok"}, r"prompt is 'dok': expected plain or doc or chat or paper \(did you mean doc\?\)"),
        ({"sizes": {"tests": 3}}, r"sizes.tests is 3: expected only the names train, .*did you mean test\?"),
        ({"depth": 0}, "depth is 0: expected a whole number of at least 1 and at most 4"),
        ({"paraphrases": 4}, "paraphrases is 4: expected a whole number of at least 1 and at most 3"),
        ({"distractors": -1}, "distractors is -1: expected a whole number"),
        ({"tests_per_problem": 2}, "tests_per_problem is 2: expected a whole number of at least 3"),
        ({"examples_per_problem": 6}, "examples_per_problem is 6: expected a whole number .* which is 6"),
    ],
)
def test_a_mistake_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}[^\n]*$"):
        Infinitum(**options)


def test_more_items_than_there_are_is_one_sentence_with_their_number(monkeypatch):
    monkeypatch.setattr(module, "split_of", lambda structure: "test")
    monkeypatch.setattr(module, "_ATTEMPTS", 2)
    whole = module.canonical
    # three programs in the world
    monkeypatch.setattr(module, "canonical", lambda code, constants: str(len(whole(code, constants)) % 3))
    with pytest.raises(ValueError, match=r"^benchmark.sizes.test is 9: there are 3 different items here, and [^\n]*$"):
        Infinitum(constructs={"arithmetic": 1}, statements={1: 1}, sizes={"test": 9}).problems("test")


def test_a_tokenizer_of_its_own_gives_back_its_texts_in_fewer_tokens_than_that_of_mini(
    tmp_path, monkeypatch, infinitum
):
    file = tmp_path / "tokenizer.json"
    # in a process of its own: in one that had run the judge the library's trainer was seen to hang
    command = [sys.executable, "-m", "rltf.benchmarks.infinitum.tokenizer", "--out", str(file), "--items", "30"]
    subprocess.run([*command, "--vocabulary", "600"], check=True, capture_output=True)
    own, of_mini = Tokenizer.from_file(str(file)), Tokenizer.from_file(str(MINI_TOKENIZER))
    problem = infinitum.problems("test")[0]
    ids = own.encode(problem.statement).ids
    assert own.decode(ids) == problem.statement
    assert len(ids) < len(of_mini.encode(problem.statement).ids)


def test_the_config_builds_it(composed):
    cfg = composed(
        "eval", "policy=x", "benchmark=infinitum", "benchmark.constructs={loop: 1}", "benchmark.sizes.test=2"
    )
    problems = build(cfg, "benchmark").problems("test")
    assert [problem.tags[0] for problem in problems] == ["loop", "loop"]
