import json

import pytest
from benchmark_rows import apps_row, humaneval_row, mbpp_row
from hypothesis import assume, given
from hypothesis import strategies as st

from rltf.benchmarks.mbpp import Mbpp
from rltf.benchmarks.prompts import FENCE, FORMATS, STATEMENT_STOPS, Chat, Completion, Doc, Paper
from rltf.setup.instantiate import build
from rltf.types import AssertTest, CallTest, CheckTest, Problem, StdioTest

MBPP = Problem(
    "mbpp/1",
    "Write a function to add one.",
    tuple(AssertTest(f"assert add_one({n}) == {n + 1}") for n in range(4)),
    entry_point="add_one",
)
STDIN = Problem("apps/train/1", "Add the numbers.", (StdioTest("1 2\n", "3\n"),))
CALL = Problem("apps/train/2", "Negate.", (CallTest("f", (True, "a"), False),), entry_point="f", starter="def f(b, s):")
METHOD = Problem(
    "leetcode/x",
    "Add.",
    (CallTest("add", (1,), 2),),
    entry_point="add",
    starter="class Solution:\n    def add(self, n):",
)
HUMANEVAL = Problem(
    "HumanEval/0",
    'def f(x):\n    """Add one."""\n',
    (CheckTest("def check(candidate): ...", "f"),),
    entry_point="f",
    starter='def f(x):\n    """Add one."""\n',
)
PROBLEMS = [MBPP, STDIN, CALL, METHOD, HUMANEVAL]


def whole(prompt):
    return prompt.head + prompt.question + prompt.tail + prompt.answer


def test_doc_is_the_docstring_of_task_and_three_asserts_then_an_open_header():
    prompt = Doc().prompt(MBPP)
    assert whole(prompt) == (
        '"""\nWrite a function to add one.\n'
        'assert add_one(0) == 1\nassert add_one(1) == 2\nassert add_one(2) == 3\n"""\ndef add_one('
    )
    assert prompt.answer == "def add_one("
    assert not prompt.chat
    assert set(prompt.stop) == {"\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n#", "\ndef"}


def test_chat_is_task_asserts_and_instruction_with_an_opened_fence():
    prompt = Chat().prompt(MBPP)
    assert prompt.head + prompt.question + prompt.tail == (
        "Write a function to add one.\nThe code must pass these tests:\n"
        "assert add_one(0) == 1\nassert add_one(1) == 2\nassert add_one(2) == 3\n"
        "Answer with one Python code block only."
    )
    assert prompt.chat
    assert prompt.answer == "```python\n"
    assert prompt.stop == ("\n```",)


def test_paper_frames_question_starter_format_and_answer_marker():
    assert whole(Paper().prompt(CALL)) == "\nQUESTION:\nNegate.\ndef f(b, s):\n\nUse Call-Based format\n\nANSWER:\n"
    assert whole(Paper().prompt(STDIN)) == ("\nQUESTION:\nAdd the numbers.\n\n\nUse Standard Input format\n\nANSWER:\n")
    assert whole(Paper().prompt(MBPP)) == (
        "\nQUESTION:\nWrite a function to add one.\nYour code should satisfy these tests:\nassert add_one(0) == 1\n"
        "assert add_one(1) == 2\nassert add_one(2) == 3\n\n\nUse Call-Based format\n\nANSWER:\n"
    )


def test_cutting_the_question_leaves_the_asserts_and_the_answer_marker():
    for style, marker in [(Doc(), '"""\n'), (Chat(), "code block only."), (Paper(), "\nANSWER:\n")]:
        prompt = style.prompt(MBPP)
        assert prompt.question == MBPP.statement
        assert "assert add_one(0) == 1" in prompt.tail
        assert prompt.tail.endswith(marker)


def test_calls_are_shown_as_asserts_with_python_literals():
    assert "\nassert f(True, 'a') == False\n" in whole(Doc().prompt(CALL))
    assert "\nassert Solution().add(1) == 2\n" in whole(Chat().prompt(METHOD))


def test_a_call_of_unreasonable_length_is_not_shown():
    problem = Problem("p", "Sum.", (CallTest("f", (list(range(999)),), 0), CallTest("f", ([1],), 1)), entry_point="f")
    assert Doc().prompt(problem).tail == '\nassert f([1]) == 1\n"""\n'


def test_the_starter_is_shown_once():
    assert whole(Chat().prompt(CALL)).count("def f(b, s):") == 1
    for style in (Chat(), Paper()):
        assert whole(style.prompt(HUMANEVAL)).count("def f(x):") == 1


def test_a_whole_program_may_define_and_print_under_doc():
    prompt = Doc().prompt(STDIN)
    assert prompt.answer == ""
    assert prompt.stop == ('\n"""',)
    program = "import sys\ndef f(): ...\nif f():\n    print(1)"
    assert Doc().extract(STDIN, Doc().answer(STDIN, program)).program(Doc().answer(STDIN, program)) == program


def test_a_method_is_completed_inside_its_class():
    assert Doc().prompt(METHOD).answer == "class Solution:\n    def add("
    assert (
        Doc().extract(METHOD, "self, n): ...").program("self, n): ...") == "class Solution:\n    def add(self, n): ..."
    )


def test_a_humaneval_program_is_the_header_and_its_completion():
    assert whole(Completion().prompt(HUMANEVAL)) == HUMANEVAL.starter
    assert Completion().prompt(HUMANEVAL).tail == '    """Add one."""\n'
    assert Completion().extract(HUMANEVAL, "    return 1").program("    return 1") == HUMANEVAL.starter + "    return 1"


def test_chat_programs_end_at_the_closing_fence_wherever_it_is():
    for text, program in [
        ("x = 1\n```\nThat was it.\n```", "x = 1"),
        ("x = 1", "x = 1"),
        ("```", ""),
        ("\n```", ""),
        ("x = '```'\n", "x = '```'\n"),
    ]:
        assert Chat().extract(MBPP, text).program(text) == program, text


@pytest.mark.parametrize(
    ("style", "program"),
    [
        (Doc(), "import math\ndef add_one(x): return x + 1"),
        (Doc(), "def helper(x): return x\n\ndef add_one(x): return helper(x) + 1"),
        (Doc(), "def add_one(x): return x + 1\ndef helper(): ..."),
        (Doc(), "def add_one(x): return x + 1\nprint(add_one(1))"),
        (Chat(), "def add_one(x):\n    '''\n```\n    '''\n    return x + 1"),
        (Chat(), "```python"),
        (Completion(), "def other(): ..."),
    ],
)
def test_a_program_that_sampling_would_cut_cannot_be_a_demonstration(style, program):
    assert not style.fits(MBPP if style.__class__ is not Completion else HUMANEVAL, program)
    with pytest.raises(ValueError, match=r"benchmark\.prompt: "):
        style.answer(MBPP if style.__class__ is not Completion else HUMANEVAL, program)


pieces = st.lists(
    st.sampled_from(
        ["\n", "\r\n", "\t", " ", "`", "```", FENCE, '"""', "def", "é", "\U0001f40d", "x", *STATEMENT_STOPS]
    )
    | st.text(max_size=3)
).map("".join)


@given(pieces, st.sampled_from(PROBLEMS), st.sampled_from([*FORMATS.values(), Completion()]), st.booleans())
def test_extract_undoes_answer_for_every_program_that_fits(text, problem, style, with_lead):
    program = (style.lead(problem) if with_lead else "") + text
    assume(style.fits(problem, program))
    answer = style.answer(problem, program)
    assert style.extract(problem, answer).program(answer) == program


@given(pieces, st.sampled_from(PROBLEMS), st.sampled_from([*FORMATS.values(), Completion()]))
def test_a_sampled_answer_cut_at_the_stop_gives_the_demonstrated_program(text, problem, style):
    program = style.lead(problem) + text
    assume(style.fits(problem, program))
    answer = style.answer(problem, program)
    cut = min((at for stop in style.prompt(problem).stop if (at := answer.find(stop)) >= 0), default=len(answer))
    assert style.extract(problem, answer[:cut]).program(answer[:cut]) == program


@given(pieces, st.sampled_from(PROBLEMS), st.sampled_from([*FORMATS.values(), Completion()]))
def test_extraction_of_any_text_lies_inside_it(text, problem, style):
    found = style.extract(problem, text)
    assert 0 <= found.start <= found.end <= len(text)


ROWS = {"mbpp": mbpp_row(601), "humaneval": humaneval_row(), "apps": apps_row(1)}


@pytest.mark.parametrize("name", ROWS)
def test_system_turn_and_keywords_of_the_chat_template_are_keys(composed, tmp_path, name):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[name]))
    keys = ("benchmark.chat.system='Be brief.'", "benchmark.chat.template={enable_thinking: false}")
    named = (f"benchmark={name}", f"benchmark.path={path}", "benchmark.prompt=chat")
    benchmark = build(composed("train", *named, *keys), "benchmark")
    [problem] = [p for split in ("train", "test") for p in benchmark._splits[split]]
    prompt = benchmark.prompt(problem)
    assert (prompt.system, prompt.template) == ("Be brief.", {"enable_thinking": False})
    plain = build(composed("train", *named), "benchmark").prompt(problem)
    assert (plain.system, plain.template) == (None, {})
    assert plain.tail == prompt.tail


@pytest.mark.parametrize(
    ("prompt", "chat", "expected"),
    [
        ("doc", {"system": "Be brief."}, r"^chat\.system is 'Be brief\.': expected null with benchmark\.prompt=doc"),
        ("chat", {"system": 3}, r"^chat\.system is 3: expected a text"),
        ("chat", {"template": "no_think"}, r"^chat\.template is 'no_think': expected a table of keywords"),
        ("chat", {"sytem": "x"}, r"^chat\.sytem is 'x': expected one of the keys system, template"),
    ],
)
def test_chat_options_that_make_no_sense_are_refused(tmp_path, prompt, chat, expected):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(mbpp_row(601)))
    with pytest.raises(ValueError, match=expected):
        Mbpp(str(path), prompt=prompt, chat=chat)
    assert Mbpp(str(path), prompt=prompt, chat={"system": None, "template": None})
