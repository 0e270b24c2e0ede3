"""Mutants: one change each, all different, none a syntax error."""

import ast
from random import Random

import pytest

from rltf.benchmarks.mutants import KINDS, draw_in_turn, mutants

PROGRAM = '''
def f(xs: list[int], k: int = 0) -> int:
    """Sum of the larger ones."""
    total = 0
    for i in range(len(xs)):
        if xs[i] > k and not xs[i] == 7:
            total += xs[i]
    return max(total, -1)
'''


def texts(program, kind):
    return [mutant.text for mutant in mutants(program, kinds=[kind])]


@pytest.mark.parametrize(
    ("kind", "program", "expected"),
    [
        ("comparison", "a = x < 1", ["a = x <= 1", "a = x > 1"]),
        ("operator", "a = x // 2", ["a = x / 2", "a = x % 2"]),
        ("boolean", "a = x and y", ["a = x or y"]),
        ("negation", "a = 1 if not x else -2", ["a = 1 if x else -2", "a = 1 if not x else 2"]),
        ("constant", "a = 1\nb = True\nc = 'y'", ["a = 2", "a = 0", "b = False", "c = ''"]),
        ("span", "a = range(n)\nb = x[1:]", ["a = range(n + 1)", "a = range(1, n)", "b = x[:]"]),
        ("extreme", "a = sorted(x)\nb = max(x)", ["a = list(x)", "a = sorted(x, reverse=True)", "b = min(x)"]),
        ("missing_statement", "a += 1\nx.sort()", ["pass\nx.sort()", "a += 1\npass"]),
        ("result", "def f(x):\n    return x", ["def f(x):\n    return None"]),
        ("branch", "while x:\n    pass", ["while False:\n    pass"]),
    ],
)
def test_changes_of_each_kind(kind, program, expected):
    made = texts(program, kind)
    assert len(made) == len(expected)
    for text, part in zip(made, expected, strict=True):
        assert part in text


def test_every_mutant_compiles_differs_and_is_there_once():
    made = mutants(PROGRAM)
    assert {mutant.kind for mutant in made} == set(KINDS)
    trees = {ast.dump(ast.parse(mutant.text)) for mutant in made}
    assert len(trees) == len(made)
    assert ast.dump(ast.parse(PROGRAM)) not in trees
    for mutant in made:
        compile(mutant.text, "<mutant>", "exec")


def test_the_program_is_the_same_afterwards_and_lines_are_those_of_the_change():
    before = ast.unparse(ast.parse(PROGRAM))
    [removed] = mutants(PROGRAM, kinds=["missing_statement"])
    assert removed.line == 7
    assert removed.text == before.replace("total += xs[i]", "pass")


def test_docstrings_and_annotations_stay():
    for mutant in mutants(PROGRAM):
        assert '"""Sum of the larger ones."""' in mutant.text
        assert "xs: list[int], k: int" in mutant.text


def test_a_sample_takes_kinds_in_turn_and_depends_on_the_seed():
    few = mutants(PROGRAM, limit=len(KINDS))
    assert {mutant.kind for mutant in few} == set(KINDS)
    assert few == mutants(PROGRAM, limit=len(KINDS))
    assert few != mutants(PROGRAM, limit=len(KINDS), seed=1)
    assert len(mutants(PROGRAM, limit=10_000)) == len(mutants(PROGRAM))


def test_a_draw_takes_of_each_pile_in_turn_and_an_item_of_two_piles_once():
    rng = Random(0)
    assert draw_in_turn([["a"], [], ["b"], ["c"]], 2, rng) == ["a", "b"]
    assert draw_in_turn([["a"], ["a", "a"], ["c"]], 3, rng) == ["a", "c"]
    items = draw_in_turn([list(range(50)), [50, 51]], 10, rng)
    assert set(items[1:4:2]) == {50, 51}  # the second pile has two, and then the first alone goes on
    assert len(set(items)) == 10
    assert draw_in_turn([["a"]], 0, rng) == draw_in_turn([], 3, rng) == []


def test_an_f_string_keeps_its_texts():
    assert all("a{" in mutant.text for mutant in mutants("x = f'a{1 + 2}b'"))


def test_bad_arguments_are_one_sentence():
    with pytest.raises(ValueError, match=r"^limit is 0: expected"):
        mutants("x = 1", limit=0)
    with pytest.raises(ValueError, match=r"^kinds is .swap.: expected comparison, "):
        mutants("x = 1", kinds=["swap"])
    with pytest.raises(SyntaxError):
        mutants("def f(:")
