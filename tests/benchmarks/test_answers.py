"""The program in whole answers of chat models, and in answers whose block the prompt has opened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.benchmarks.answers import program_in_answer, program_in_opened_block
from rltf.benchmarks.prompts import Chat
from rltf.types import CallTest, Problem

GOOD = "def f(x):\n    return x + 1"
DRAFT = "def f(x):\n    return x"
BLOCK = f"```python\n{GOOD}\n```"
DRAFT_BLOCK = f"```python\n{DRAFT}\n```"
PROBLEM = Problem("p", "Add one.", (CallTest("f", (1,), 2),), entry_point="f")

ANSWERS = {
    GOOD: ("text", None),
    f"\n\n{GOOD}\n": ("text", None),
    BLOCK: ("python", 0),
    f"Sure!\n\n{BLOCK}\n\nIt adds one.": ("python", 0),
    f"```python\n{GOOD}": ("python", 0),
    f"```python\n{BLOCK}": ("python", 0),
    f"```python\n\n```python\n{GOOD}\n```\n```": ("python", 0),
    f"```\n{BLOCK}": ("python", 0),
    f"```python\n{GOOD}```": ("python", 0),
    f"Code: ```python\n{GOOD}\n```": ("python", 0),
    f"```\n{GOOD}\n```": ("unmarked", 0),
    f"~~~python\n{GOOD}\n~~~\nBye.": ("python", 0),
    f"````python\n{GOOD}\n````": ("python", 0),
    f"``` Python\n{GOOD}\n```": ("python", 0),
    f"```PY\n{GOOD}\n```": ("python", 0),
    f"```{{.python .numberLines}}\n{GOOD}\n```": ("python", 0),
    f'```python title="f.py"\n{GOOD}\n```': ("python", 0),
    f"{DRAFT_BLOCK}\nNo, rather:\n{BLOCK}": ("python", 1),
    f"{BLOCK}\nUse it:\n```python\nprint(f(1))\n```": ("python", 0),
    f"{BLOCK}\nTest it:\n```python\ndef test_f():\n    assert f(1) == 2\n```": ("python", 0),
    f"{BLOCK}\nIt prints:\n```\n2\n```": ("python", 0),
    f"```bash\npip install numpy\n```\n{BLOCK}\n```text\n2\n```": ("python", 1),
    f"```js\nlet x = 1\n```\n```\n{GOOD}\n```": ("unmarked", 1),
    f"{BLOCK}\n```python\n```": ("python", 0),
    f"```python\n```\n\n{BLOCK}": ("python", 0),
    f"<think>Add?\n{DRAFT_BLOCK}\n</think>\n{BLOCK}": ("python", 0),
    f"<THINK>\n{DRAFT_BLOCK}\n</Think>\n\n{GOOD}\n": ("text", None),
    f"<thinking>a</thinking>{BLOCK}": ("python", 0),
    f"Add?\n{DRAFT_BLOCK}\n</think>\n{BLOCK}": ("python", 0),
    f"<think>\n```python\ndef f(\n</think>\n{BLOCK}": ("python", 0),
    f"<think>a</think>\n<think>{DRAFT_BLOCK}</think>\n{BLOCK}": ("python", 0),
    f"[THINK]a\n{DRAFT_BLOCK}[/THINK]{BLOCK}": ("python", 0),
    f"<|begin_of_thought|>\n{DRAFT_BLOCK}\n<|end_of_thought|>\n{BLOCK}": ("python", 0),
    f"{BLOCK}\n<think>\nIs this\n{DRAFT_BLOCK}": ("python", 0),
    f"Here is the code:\n\n{GOOD}\n\nThis adds one.": ("lines", None),
    f"<answer>\n{BLOCK}\n</answer>": ("python", 0),
}
"""Answer that holds `GOOD` -> where, and in which block."""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_program_of_an_answer_and_where_it_was(answer, line_end):
    answer, good = answer.replace("\n", line_end), GOOD.replace("\n", line_end)
    found = program_in_answer(answer, "f")
    assert (found.text.rstrip("\r"), found.source, found.block) == (good, *ANSWERS[answer.replace("\r\n", "\n")])
    assert found.extraction.program(answer) == found.text


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("", ""),
        ("```", ""),
        ("```python\n```\n", ""),
        (f"<think>\n{DRAFT_BLOCK}", ""),
        ("I cannot do this.", "I cannot do this."),
        ("```python\ndef f(x:\n    return 1\n```\nSo.", "def f(x:\n    return 1"),
        ("```python\nn = int(input())\nprint(n)\n```\nInput:\n```\n5\n```", "n = int(input())\nprint(n)"),
        ("```python\nprint('</think>')\n```", "print('</think>')"),
        ("1. Code:\n   ```python\n   def f(x):\n       return 1\n   ```", "if True:\n   def f(x):\n       return 1"),
        ("```python\n'''\n```\nf(1)\n```\n'''\nx = 1\n```\nSo.", "'''\n```\nf(1)\n```\n'''\nx = 1"),
    ],
)
def test_other_answers(answer, program):
    assert program_in_answer(answer).text == program


def test_without_the_functions_name_the_last_block_that_defines_something_counts():
    assert program_in_answer(f"{DRAFT_BLOCK}\n{BLOCK}\n```python\nf(1)\n```").text == GOOD
    assert program_in_answer("```python\nx = 1\n```\n```python\ny = 2\n```").text == "y = 2"
    assert program_in_answer(f"{BLOCK}\n```python\ndef g(): ...\n```").text == "def g(): ..."
    assert program_in_answer(f"{BLOCK}\n```python\ndef g(): ...\n```", "f").text == GOOD


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if answer.startswith(("```", "<", "Sure"))])
def test_chat_reads_whole_answers_too(answer):
    assert Chat().extract(PROBLEM, answer).program(answer) == GOOD


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        (f"{GOOD}\n```", GOOD),
        (f"{GOOD}\n```\nUse it:\n```python\nf(1)\n```", GOOD),
        (GOOD, GOOD),
        ("def f(x:\n```", "def f(x:"),
        ("def f(x:\n```\nThat was it.", "def f(x:"),
        (f"```python\n{GOOD}", GOOD),
        ("    x = 1\n```", "    x = 1"),
        ("```", ""),
    ],
)
def test_in_an_opened_block_the_first_fence_closes_it(answer, program):
    found = program_in_opened_block(answer, "f")
    assert found.text == program
    assert Chat().extract(PROBLEM, answer).program(answer) == program


prose = st.text("abc .,:;!?\n`'\"<>/~-*", max_size=30)


@given(prose, prose, st.sampled_from(["```", "````", "~~~"]), st.sampled_from(["python", "py", "Python 3"]))
def test_a_python_block_in_prose_is_found(before, after, fence, mark):
    if "```" in before + after or "~~~" in before + after:
        return
    answer = f"{before}\n{fence}{mark}\n{GOOD}\n{fence}\n{after}"
    assert program_in_answer(answer, "f").text == GOOD


parts = st.sampled_from(
    ["```", "~~~", "```python\n", "\n", "\r\n", "<think>", "</think>", "def f(): ...", "  x = 1", "'''", "é"]
)


@given(st.lists(parts | st.text(max_size=3), max_size=20).map("".join))
def test_what_is_found_is_a_part_of_the_answer(answer):
    for found in (program_in_answer(answer, "f"), program_in_opened_block(answer, "f")):
        start, end = found.extraction.start, found.extraction.end
        assert 0 <= start <= end <= len(answer)
        assert found.text == found.extraction.program(answer) == found.extraction.lead + answer[start:end]
        assert (found.block is None) == (found.source in ("text", "lines", "nothing"))


def test_long_answers_take_no_long_time():
    program_in_answer("def x(\n" * 3000)
    program_in_answer("```python\nx = (\n" * 3000)
    program_in_answer("`" * 100_000 + "\n" + "<think>" * 10_000)
    program_in_answer("a ``` " * 20_000)
