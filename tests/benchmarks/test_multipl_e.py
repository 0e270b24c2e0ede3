"""MultiPL-E in JavaScript and C++: tests as the judge takes them, headers that are continued, answers of chats."""

import shutil

import pytest

from rltf.benchmarks.languages import other_program
from rltf.benchmarks.multipl_e import MultiplE, javascript_tests
from rltf.execution import LocalExecutor
from rltf.execution.languages import installed_runtimes
from rltf.types import CallTest, Outcome

needs_javascript = pytest.mark.skipif("javascript" not in installed_runtimes(), reason="no quickjs-ng")
needs_cpp = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
JS_HEADER = "//Add one to all.\n// >>> add_one([1])\n// [2]\nfunction add_one(xs){\n"
CPP_HEADER = (
    "#include<assert.h>\n#include<vector>\n// Add one to all.\nstd::vector<long> add_one(std::vector<long> xs) {\n"
)
JS_BODY = "  return xs.map(x => x + 1);\n}"
CPP_BODY = "    for (auto& x : xs) x += 1;\n    return xs;"


def js_row(**changes):
    tests = (
        "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = add_one;\n"
        "  assert.deepEqual(candidate([1, 2]),[2, 3]);\n  assert.deepEqual(candidate([]),[]);\n}\n\ntest();"
    )
    stops = ["\nfunction ", "\n/*", "\n//", "\nconsole.log"]
    row = {"name": "HumanEval_0_add_one", "language": "js", "prompt": JS_HEADER, "tests": tests, "stop_tokens": stops}
    return row | changes


def cpp_row(**changes):
    tests = (
        "}\nint main() {\n    auto candidate = add_one;\n"
        "    assert(candidate((std::vector<long>({(long)1, (long)2})))"
        " == (std::vector<long>({(long)2, (long)3})));\n}\n"
    )
    row = {
        "name": "HumanEval_0_add_one",
        "language": "cpp",
        "prompt": CPP_HEADER,
        "tests": tests,
        "stop_tokens": ["\n}"],
    }
    return row | changes


def judged(problem, *programs):
    with LocalExecutor(workers=1) as executor:
        return [verdict.outcome for verdict in executor.map(map(problem.job, programs))]


@needs_javascript
def test_javascript_calls_are_judged_outside_of_the_program(jsonl):
    benchmark = MultiplE(path=jsonl(js_row(), cpp_row(name="other")))
    [problem] = benchmark.problems("test")
    assert problem.tests == (CallTest("add_one", ([1, 2],), [2, 3]), CallTest("add_one", ([],), []))
    prompt = benchmark.prompt(problem)
    assert prompt.head + prompt.question + prompt.tail == JS_HEADER
    assert prompt.stop == ("\nfunction ", "\n/*", "\n//", "\nconsole.log")
    program = benchmark.extract(problem, JS_BODY).program(JS_BODY)
    assert program == "function add_one(xs){\n" + JS_BODY
    assert benchmark.answer(problem, program) == JS_BODY
    lies = "function add_one(xs) { return {0: 2, 1: 3, length: 2}; }"
    assert judged(problem, program, lies, "function add_one(xs){") == [
        Outcome.PASSED,
        Outcome.WRONG_ANSWER,
        Outcome.SYNTAX_ERROR,
    ]


@needs_cpp
def test_a_cpp_program_passes_when_its_main_reaches_the_end(jsonl):
    benchmark = MultiplE(path=jsonl(cpp_row()), language="cpp")
    [problem] = benchmark.problems("test")
    program = benchmark.extract(problem, CPP_BODY).program(CPP_BODY)
    assert program == "std::vector<long> add_one(std::vector<long> xs) {\n" + CPP_BODY + "\n}"
    assert benchmark.answer(problem, program) == CPP_BODY
    header = program.partition("\n")[0]
    exits = f"#include <cstdlib>\n{header} std::exit(0); }}"
    prints = f'{header} std::puts("debug"); for (auto& x : xs) x += 1; return xs; }}'
    outcomes = judged(problem, program, prints, f"{header} return xs; }}", exits, f"{header} return 1; }}")
    assert outcomes == [
        Outcome.PASSED,
        Outcome.PASSED,
        Outcome.RUNTIME_ERROR,  # assert aborts
        Outcome.WRONG_ANSWER,  # it exits before the last word
        Outcome.SYNTAX_ERROR,
    ]


def test_values_that_json_lacks_and_other_statements():
    def tests(*lines):
        return javascript_tests("function test() {\n  let candidate = f;\n" + "\n".join(lines) + "\n}\n\ntest();", "f")

    [none] = tests('  assert.deepEqual(candidate(undefined, "undefined"),[undefined, 1]);')
    assert (none.args, none.expected) == ((None, "undefined"), [None, 1])
    [broken] = tests('  assert.deepEqual(candidate("a\nb"),"a");')
    assert broken.args == ("a\nb",)
    with pytest.raises(ValueError, match="hold a value that JSON does not have"):
        tests("  assert.deepEqual(candidate(new Set([1])),1);")
    with pytest.raises(ValueError, match=r"have a statement other than assert.deepEqual \(assert\(candidate"):
        tests("  assert(candidate(1) === 2);")
    with pytest.raises(ValueError, match="compare a call with other than one value"):
        tests("  assert.deepEqual(candidate(1), 2, 3);")


@needs_javascript
def test_rows_that_cannot_be_judged_are_counted(jsonl):
    odd = js_row(name="odd", tests="function test() {\n let candidate = f;\n let x = 1;\n}\n")
    headless = js_row(name="headless", prompt="// Add one.\n")
    benchmark = MultiplE(path=jsonl(js_row(), odd, headless))
    ids = ("multipl-e/javascript/odd", "multipl-e/javascript/headless")
    assert list(benchmark.excluded_ids.values()) == [ids]
    with pytest.raises(ValueError, match=r"rows.jsonl line 1 has no field 'tests'"):
        MultiplE(path=jsonl({"name": "x", "language": "js", "prompt": JS_HEADER}))
    with pytest.raises(ValueError, match=r"^language is 'rust': expected javascript or cpp"):
        MultiplE(path=jsonl(js_row()), language="rust")


def test_a_language_that_is_not_installed_is_refused(jsonl, monkeypatch):
    monkeypatch.setattr("rltf.benchmarks.languages.installed_runtimes", dict)
    with pytest.raises(ValueError, match=r"^language is 'javascript': expected another one, or pip install quickjs-ng"):
        MultiplE(path=jsonl(js_row()))


@needs_javascript
def test_a_chat_model_is_asked_for_its_language(jsonl):
    benchmark = MultiplE(path=jsonl(js_row()), prompt="chat")
    [problem] = benchmark.problems("test")
    prompt = benchmark.prompt(problem)
    assert prompt.answer == "```javascript\n"
    assert prompt.tail.endswith("Answer with one JavaScript code block only.")


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("f();\n```\nDone.", "f();"),
        ("f();", "f();"),
        ("```js\nf();\n```", "f();"),
        ("<think>\n```js\nold();\n```\n</think>\nSo:\n```js\nf();\n```", "f();"),
        ("```\n\n```\n```js\nf();\n", "f();\n"),
    ],
)
def test_the_program_in_an_answer(answer, program):
    assert other_program(answer).program(answer) == program
