"""`infinitum` in JavaScript: the printer, and that its programs do what those in Python do."""

from __future__ import annotations

import importlib
import json

import pytest

from rltf.benchmarks.infinitum import Infinitum
from rltf.benchmarks.infinitum.constructs import CONSTRUCTS
from rltf.benchmarks.infinitum.javascript import LARGEST, to_javascript
from rltf.benchmarks.infinitum.running import largest_number
from rltf.benchmarks.infinitum.tokenizer import texts
from rltf.execution import LocalExecutor
from rltf.execution.languages import installed_runtimes
from rltf.types import Outcome, Problem

pytestmark = pytest.mark.skipif("javascript" not in installed_runtimes(), reason="quickjs-ng is not installed")
TINY = {"sizes": {"test": 1}, "constructs": {"loop": 1}, "statements": {1: 1}}


def javascript(*statements: str, result: str = "t") -> str:
    """The lines that the printer makes of a function's body in Python, the return left out."""
    body = "\n".join(f"    {line}" for text in statements for line in text.split("\n"))
    head, *lines, last, end = to_javascript(f"def f(a, b, xs, s):\n{body}\n    return {result}").split("\n")
    assert (head, last, end) == ("function f(a, b, xs, s) {", f"  return {result};", "}")
    return "\n".join(line.removeprefix("  ") for line in lines)


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("t = a // 2 % 5", "const t = ((Math.floor(a / 2) % 5) + 5) % 5;"),
        ("t = a - (b - 3) * -4", "const t = a - (b - 3) * -4;"),
        (
            "t = abs(a) + len(xs) + sum(xs)",
            "const t = Math.abs(a) + xs.length + xs.reduce((sum, item) => sum + item, 0);",
        ),
        ("t = 1\nt += a * b", "let t = 1;\nt += a * b;"),
        ("q, r = divmod(a, 7)\nt = q * r", "const [q, r] = [Math.floor(a / 7), ((a % 7) + 7) % 7];\nconst t = q * r;"),
        ("h, *r = xs\nt = h + len(r)", "const [h, ...r] = xs;\nconst t = h + r.length;"),
        ("t = {0: 4, 2: -9}.get(a % 3, 5)", "const t = { 0: 4, 2: -9 }[((a % 3) + 3) % 3] ?? 5;"),
        ("t = [x * 2 for x in xs if x % 2 == 1]", "const t = xs.filter((x) => x % 2 !== 0).map((x) => x * 2);"),
        ("t = len(set(xs) | {a, 3})", "const t = [...new Set([...xs, a, 3])].length;"),
        (
            "t = sorted(set(xs) - {1, 3})",
            "const t = [...new Set(xs)].filter((item) => ![1, 3].includes(item)).sort((a, b) => a - b);",
        ),
        ("t = f'id-{a + 1}{s}#'", "const t = `id-${a + 1}${s}#`;"),
        ("if a > b:\n    t = 1\nelse:\n    t = 2", "let t;\nif (a > b) {\n  t = 1;\n} else {\n  t = 2;\n}"),
        (
            "n = abs(a)\nt = 0\nwhile n > 3:\n    t += n\n    n //= 2",
            "let n = Math.abs(a);\nlet t = 0;\nwhile (n > 3) {\n  t += n;\n  n = Math.floor(n / 2);\n}",
        ),
        (
            "t = 0\nfor x in xs:\n    for y in range(3):\n        t += x * y",
            "let t = 0;\nfor (const x of xs) {\n  for (let y = 0; y < 3; y++) {\n    t += x * y;\n  }\n}",
        ),
        (
            "t = ''\nfor c in s:\n    if c in 'ab':\n        t += c * 2\n    else:\n        t = c.upper() + t",
            'let t = "";\nfor (const c of s) {\n  if ("ab".includes(c)) {\n    t += c.repeat(2);\n  } else {\n'
            "    t = c.toUpperCase() + t;\n  }\n}",
        ),
        (
            "try:\n    t = a // (b % 3)\nexcept ZeroDivisionError:\n    t = 7",
            "let t;\ntry {\n"
            '  if (((b % 3) + 3) % 3 === 0) throw new RangeError("division by zero");\n'
            "  t = Math.floor(a / (((b % 3) + 3) % 3));\n} catch {\n  t = 7;\n}",
        ),
        (
            "try:\n    t = xs[4] - a\nexcept IndexError:\n    t = 7",
            'let t;\ntry {\n  if (4 >= xs.length) throw new RangeError("no such index");\n  t = xs[4] - a;\n'
            "} catch {\n  t = 7;\n}",
        ),
        ("def g(x):\n    return x + 1\nt = g(a)", "function g(x) {\n  return x + 1;\n}\nconst t = g(a);"),
    ],
)
def test_a_statement_in_javascript_says_what_python_means(python, expected):
    assert javascript(python) == expected


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    """Items of every construct, of one and of three statements."""
    return [
        problem
        for construct in CONSTRUCTS
        for problem in Infinitum(
            seed=11, language="javascript", constructs={construct: 1}, statements={1: 1, 3: 1}, sizes={"test": 3}
        ).problems("test")
    ]


def test_the_judge_passes_the_references_of_every_construct(problems):
    assert {problem.language for problem in problems} == {"javascript"}
    with LocalExecutor(workers=1, timeout=2.0) as executor:
        verdicts = executor.map([problem.job(problem.references[0]) for problem in problems])
        assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED] * len(problems)


@pytest.mark.parametrize("construct", ["loop", "lookup", "exception", "recursion"])
def test_the_judge_fails_a_reference_with_another_result(construct):
    options = {"seed": 2, "constructs": {construct: 1}, "statements": {1: 1}, "sizes": {"test": 1}}
    [problem] = Infinitum(language="javascript", **options).problems("test")
    head, last, end = problem.references[0].rpartition("\n  return ")
    wrong = f"{head}{last}1 + {end}"
    with LocalExecutor(workers=1, timeout=2.0) as executor:
        [verdict] = executor.map([problem.job(wrong)])
    assert verdict.outcome is Outcome.WRONG_ANSWER


def test_an_item_asks_for_the_same_and_has_the_same_tests_in_both_languages():
    options = {"seed": 20261128, "sizes": {"test": 20}, "paraphrases": 3}
    python, script = (Infinitum(language=name, **options).problems("test") for name in ("python", "javascript"))
    for ours, theirs in zip(python, script, strict=True):
        assert (ours.id, ours.tests, ours.tags) == (theirs.id, theirs.tests, theirs.tags)
        assert theirs.statement == ours.statement.replace(" function ", " JavaScript function ", 1)
        assert theirs.references == (to_javascript(ours.references[0]),)


def test_items_whose_numbers_javascript_does_not_have_are_drawn_anew(monkeypatch):
    options = {"seed": 6, "sizes": {"test": 5}, "constructs": {"arithmetic": 1}, "statements": {1: 1}}
    plain = Infinitum(**options).problems("test")
    largest = [largest_number(p.references[0], p.entry_point, [t.args for t in p.tests]) for p in plain]
    # Python's references alone say what is too large: with a low bound the items with larger numbers are other ones
    monkeypatch.setattr(importlib.import_module("rltf.benchmarks.infinitum.benchmark"), "LARGEST", max(largest) - 1)
    others = Infinitum(language="javascript", **options).problems("test")
    place = largest.index(max(largest))
    assert others[place].tests != plain[place].tests
    assert others[:place] != plain[:place] or place == 0


def test_the_largest_number_is_that_of_any_operation():
    code = "def f(a):\n    t = 5\n    t += a * a * a % 7\n    return t"
    assert largest_number(code, "f", [(2,), (-20,)]) == 8000
    assert LARGEST == 9007199254740992


@pytest.mark.parametrize("prompt", ["plain", "doc", "chat", "paper"])
def test_every_format_asks_for_the_reference_and_gives_it_back(prompt):
    benchmark = Infinitum(seed=3, language="javascript", prompt=prompt, sizes={"test": 17})
    for problem in benchmark.problems("test"):
        answer = benchmark.answer(problem, problem.references[0])
        assert benchmark.extract(problem, answer).program(answer) == problem.references[0]
        asked = benchmark.prompt(problem)
        text = asked.head + asked.question + asked.tail
        assert problem.statement in text
        assert "Python" not in text + asked.answer
        assert text.count("assert.deepStrictEqual(") == (0 if prompt == "plain" else 3)


def test_a_chat_answer_ends_at_its_closing_fence():
    benchmark = Infinitum(language="javascript", prompt="chat", **TINY)
    [problem] = benchmark.problems("test")
    answer = "function f() {}\n```\nThat was it:\n```python\nprint(1)\n```"
    assert benchmark.extract(problem, answer).program(answer) == "function f() {}"


def test_shown_tests_are_javascript():
    [problem] = Infinitum(seed=1, language="javascript", prompt="doc", **TINY).problems("test")
    first = problem.tests[0]
    line = f"// assert.deepStrictEqual({first.function}({json.dumps(first.args[0])}), {first.expected});"
    assert line in Infinitum(seed=1, language="javascript", prompt="doc", **TINY).prompt(problem).tail.split("\n")


def test_a_tokenizer_can_read_javascript():
    *prompts, program = list(texts(1, 0, "javascript"))[:2]
    assert "JavaScript function" in prompts[0]
    assert program.startswith("function ")


def test_without_quickjs_it_is_one_sentence(monkeypatch):
    languages = importlib.import_module("rltf.execution.languages")
    monkeypatch.setattr(languages, "installed_runtimes", dict)
    with pytest.raises(
        ValueError, match=r"^language is 'javascript': expected another one, or pip install quickjs-ng$"
    ):
        Infinitum(language="javascript")
