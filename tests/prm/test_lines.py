"""Lines that count, and the tokens that end them."""

from rltf.prm.lines import Step, code_lines, program_steps
from rltf.types import FinishReason, Program

TEXT = "def f(x):\n    # a remark\n\n    y = x + 1\n    return y\n"


def program_of(pieces, lead=""):
    ends = [len(lead) + sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    offsets = tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True))
    ids = tuple(range(1, len(pieces) + 1))
    return Program("p", lead + "".join(pieces), (9,), ids, offsets, (-1.0,) * len(ids), FinishReason.EOS)


def test_blank_lines_comments_and_bare_strings_are_no_steps():
    assert code_lines(TEXT) == [1, 4, 5]
    assert code_lines('def f():\n    """a\n    b\n    """\n    return 1\n') == [1, 5]
    assert code_lines("x = '''a\nb'''\n'bare'; y = 1\n") == [1, 2, 3]
    assert code_lines("def f(:\n    # no\n    'kept'\n") == [1, 3]  # does not parse
    assert code_lines("") == []


def test_a_step_ends_with_the_last_token_that_touches_its_line():
    program = program_of(["def f(x):", "\n    ", "# a remark", "\n\n", "    y = x", " + 1", "\n    return y", "\n", ""])
    # Line 4 has characters of tokens 4 and 5; line 5 begins inside token 6.
    assert program_steps(program) == [Step(1, (0, 1)), Step(4, (4, 6)), Step(5, (6, 7))]


def test_lines_that_were_given_are_no_steps_and_of_two_that_end_in_one_token_the_later_counts():
    assert program_steps(program_of(["x):\n", "    return x"], lead="import re\ndef f(")) == [
        Step(2, (0, 1)),
        Step(3, (1, 2)),
    ]
    assert program_steps(program_of(["a = 1\nb = 2\n", "c = 3"])) == [Step(2, (0, 1)), Step(3, (1, 2))]
