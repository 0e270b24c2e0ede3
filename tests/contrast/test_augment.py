"""Augmentations of programs: lines and meaning stay."""

import ast
from random import Random

import pytest
from contrast_cases import encoded_references, mini, reader

from rltf.contrast.augment import NAMES, mask_tokens, rename_locals, shift_tokens
from rltf.execution import LocalExecutor
from rltf.types import Outcome


def test_renaming_leaves_the_verdicts_of_two_hundred_programs_as_they_are():
    pairs = [(problem, problem.references[0]) for problem in mini(200).problems("train")]
    renamed = [rename_locals(text, problem.entry_point, Random(n)) for n, (problem, text) in enumerate(pairs)]
    assert sum(new != text for new, (_, text) in zip(renamed, pairs, strict=True)) > 150
    with LocalExecutor(workers=1) as executor:
        verdicts = list(executor.map([p.job(new) for new, (p, _) in zip(renamed, pairs, strict=True)]))
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASSED}


@pytest.mark.parametrize(
    ("text", "stay", "change"),
    [
        ("def f(first, second=1):\n    print(first, sep='')\n    return second", {"f", "print", "sep"}, {"first"}),
        ("def f(data):\n    return sorted(data, key=len)", {"f", "sorted", "key", "len"}, {"data"}),
        ("def g(size):\n    return size\n\ndef f(q1):\n    return g(size=q1)", {"f", "g", "size"}, {"q1"}),
        ("import math as maths\nnum = maths.pi\nprint(num)", {"maths", "pi", "print"}, {"num"}),
        ("class Box:\n    side = 1\n\nbox1 = Box()\nprint(box1.side)", {"Box", "side"}, {"box1"}),
        ("total1 = 0\ndef f():\n    global total1\n    total1 += 1\n    return total1", {"f", "total1"}, set()),
        ("try:\n    top = 1\nexcept ValueError as oops:\n    print(oops)", {"oops", "ValueError"}, {"top"}),
        ("sum = 1\nprint(sum)", {"sum", "print"}, set()),
    ],
)
def test_what_others_know_by_its_name_stays(text, stay, change):
    renamed = rename_locals(text, "f", Random(0))
    names = set(_identifiers(renamed))
    assert stay <= names
    assert not change & names
    assert change or renamed == text


def _identifiers(text):
    for node in ast.walk(ast.parse(text)):
        for field in ("id", "arg", "name", "attr", "asname"):
            if isinstance(getattr(node, field, None), str):
                yield getattr(node, field)
        yield from getattr(node, "names", []) if isinstance(node, ast.Global | ast.Nonlocal) else []


@pytest.mark.parametrize(
    "text",
    [
        "def f(x1:",
        "def f(x1):\n    return f'{x1}'",
        "def f(x1):\n    return locals()['x1']",
        "x1 = 1\nprint(eval('x1'))",
        "ﬁ1 = 1\nprint(ﬁ1)",  # the parser knows it by another spelling than the text has
    ],
)
def test_a_program_whose_names_cannot_be_told_comes_back_as_it_is(text):
    assert rename_locals(text, "f", Random(0)) == text


def test_columns_behind_characters_of_several_bytes_are_found():
    assert rename_locals("w1 = 'ä€'; v1 = w1 + 'ü'; print(v1)", None, Random(1)).count("'ä€'") == 1
    renamed = rename_locals("print('ä€', end=''); v1 = 2; print(v1)", None, Random(1))
    [new] = [name for name in NAMES if f" {name} = 2" in renamed]
    assert renamed == f"print('ä€', end=''); {new} = 2; print({new})"


def test_two_names_never_become_one():
    text = "def f(a, b):\n    c = a - b\n    return c - a"
    for seed in range(50):
        renamed = rename_locals(text, "f", Random(seed))
        parameters = [argument.arg for argument in ast.parse(renamed).body[0].args.args]
        assert len({*parameters, ast.parse(renamed).body[0].body[0].targets[0].id}) == 3
        assert not {*parameters} & {"a", "b", "c"}


def test_a_window_of_tokens_repeats_its_first_and_leaves_the_end_of_the_first_line_alone():
    drawn = {shift_tokens((5, 6, 7, 8, 9), 3, 4, Random(seed)) for seed in range(60)}
    assert drawn == {(5, 6, 7, 8, 9), (6, 6, 7, 8, 9), (7, 7, 7, 8, 9)}
    assert shift_tokens((5, 6, 7), 2, 0, Random(1)) == (5, 6, 7)
    assert {shift_tokens((5, 6, 7), 0, 4, Random(seed)) for seed in range(9)} == {(5, 6, 7)}


def test_a_tenth_of_the_tokens_become_unknown_and_line_ends_stay():
    tokens = tuple(range(100, 5100))
    masked = mask_tokens(tokens, set(range(0, 5000, 5)), 2, 0.1, Random(0))
    unknown = [position for position, token in enumerate(masked) if token == 2]
    assert 330 < len(unknown) < 470  # of 4000; the standard deviation is 19
    assert not [position for position in unknown if position % 5 == 0]
    assert all(new in (2, old) for new, old in zip(masked, tokens, strict=True))
    assert mask_tokens(tokens, (), 2, 0.0, Random(0)) == tokens


def test_an_augmented_program_has_its_line_ends_where_tokens_hold_them():
    read = reader(shift=4, mask=0.5, rename=1.0)
    draw = Random(0)
    programs = encoded_references(read)
    assert len(programs) > 40
    differing = 0
    for program in programs:
        augmented = read.augmented(program, draw)
        assert len(augmented.ends) == len(program.ends)
        differing += augmented.token_ids != program.token_ids
        kept = [augmented.token_ids[position] for position in sorted(augmented.line_breaks)]
        lines = read.policy.decode(augmented.token_ids)[0].count("\n")
        assert lines == program.text.count("\n")
        assert read.policy.tokenizer.unk_token_id not in kept
    assert differing == len(programs)


def test_without_augmentations_a_program_stays():
    read = reader(shift=0, mask=0.0, rename=0.0)
    [program] = encoded_references(read, 1)
    assert read.augmented(program, Random(0)) == program
