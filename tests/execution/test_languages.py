"""Programs in JavaScript and C++: what they may be judged by, what becomes of them, and that nothing gets out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.inside.cpp import error_record
from rltf.execution.json_tests import InvalidInput
from rltf.execution.jsonl import parse
from rltf.execution.languages import installed_runtimes, require_language
from rltf.service.judge import Judge
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest, Test, Verdict
from rltf.validation import OptionError

INSTALLED = installed_runtimes()
javascript = pytest.mark.skipif("javascript" not in INSTALLED, reason="quickjs-ng is not installed")
cpp = pytest.mark.skipif("cpp" not in INSTALLED, reason="there is no g++")
IO = "#include <cstdio>\n"


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=1, timeout=2.0) as executor:
        yield executor


def judged(pool: LocalExecutor, language: str, program: str, *tests: Test, **fields: Any) -> Verdict:
    return pool.submit(Job(program, tests, language=language, **fields)).result()


def first_error(verdict: Verdict) -> tuple[str, int | None]:
    assert verdict.error is not None
    return verdict.error.type, verdict.error.line


@javascript
@pytest.mark.parametrize(
    ("program", "args", "returned"),
    [
        ("function f(x) { return x + 1 }", [1], 2),
        ("const f = (x) => [x, {a: x}, null, undefined]", [1], [1, {"a": 1}, None, None]),
        ("module.exports.f = function (x) { return new Map([['k', new Set([x])]]) }", [1], {"k": [1]}),
        ("exports.f = () => 2n ** 70n", [], 2**70),
        ("function f(x) { return [x, 1 / 0] }", [float("-inf")], [float("-inf"), float("inf")]),
        ("function f(x) { return x }", [{"__proto__": 1, "$number": "x"}], {"__proto__": 1, "$number": "x"}),
        ("async function f(x) { await new Promise(r => setTimeout(r, 1e9)); return x * 2 }", [21], 42),
        ("function f(s) { return [...s].reverse().join('') }", ["aé日"], "日éa"),
        ("const f = (x) => { x.push(1); return x.length }", [[]], 1),
    ],
)
def test_a_function_in_javascript_is_called(pool: LocalExecutor, program: str, args: list[Any], returned: Any) -> None:
    tests = (CallTest("f", tuple(args), returned), CallTest("f", tuple(args), "another value"))
    verdict = judged(pool, "javascript", program, *tests)
    assert [test.status for test in verdict.tests] == [Outcome.PASSED, Outcome.WRONG_ANSWER]


@javascript
@pytest.mark.parametrize(
    ("program", "outcome", "error", "line"),
    [
        ("function f() {\n  return g(1)\n}", "runtime_error", "ReferenceError", 2),
        ("function f() {\n  return (1\n}", "syntax_error", "SyntaxError", 3),
        ("let x = 1\n\nnull.x\nfunction f() {}", "runtime_error", "TypeError", 3),
        ("function f() {\n  JSON.parse('{')\n}", "runtime_error", "SyntaxError", 2),
        ("function f() { throw 5 }", "runtime_error", "Uncaught", None),
        ("function g() {}", "runtime_error", "ReferenceError", None),
        ("function f() { return f }", "runtime_error", "TypeError", None),
        ("function f() {\n\n return f() + 1 }", "runtime_error", "RangeError", 3),
        (
            "function f() { let a = []; for (;;) a.push(new Uint8Array(1e7).fill(1)) }",
            "memory_limit",
            "InternalError",
            1,
        ),
        ("function f() { for (;;); }", "timeout", "Timeout", None),
        ("async function f() { await new Promise(() => {}) }", "runtime_error", "Error", None),
        ("async function f() {\n  await null\n  return h()\n}", "runtime_error", "ReferenceError", 3),
    ],
)
def test_an_error_in_javascript_has_its_line(
    pool: LocalExecutor, program: str, outcome: str, error: str, line: int | None
) -> None:
    verdict = judged(pool, "javascript", program, CallTest("f", (), 1), timeout=1.0)
    assert (verdict.outcome.value, *first_error(verdict)) == (outcome, error, line)


SCRIPTS = {
    "read at once": "const t = require('fs').readFileSync(0, 'utf8').trim().split('\\n').map(Number);"
    "console.log(t[0] + t[1])",
    "lines": "const rl = require('readline').createInterface({input: process.stdin}); let s = 0;"
    "rl.on('line', l => s += +l).on('close', () => console.log(s))",
    "events": "let s = ''; process.stdin.on('data', d => s += d);"
    "process.stdin.on('end', () => console.log(eval(s.trim().split('\\n').join('+'))))",
    "for await": "(async () => { let s = 0; const rl = require('node:readline').createInterface();"
    " for await (const l of rl) s += +l; process.stdout.write(s + '\\n') })()",
    "readline()": "print(Number(readline()) + Number(readline()))",
    "timers": "setTimeout(() => console.log(n), 20); let n = 1; setTimeout(() => { n = 3 }, 10)",
}


@javascript
@pytest.mark.parametrize("way", SCRIPTS)
def test_a_script_in_javascript_reads_and_prints(pool: LocalExecutor, way: str) -> None:
    verdict = judged(pool, "javascript", SCRIPTS[way], StdioTest("1\n2\n", "3\n"))
    assert (verdict.outcome, verdict.error) == (Outcome.PASSED, None)


@javascript
def test_values_are_printed_as_node_prints_them(pool: LocalExecutor) -> None:
    program = (
        "console.log(new Set([1]), new Map([[1, 'a']]), -0, 1.50, undefined, 5n, [], {}, [1, 'a', {b: [null]}]);"
        "console.log('%s is %d', 'x', 4, {a: 1}); console.error('not compared')"
    )
    text = "Set(1) { 1 } Map(1) { 1 => 'a' } -0 1.5 undefined 5n [] {} [ 1, 'a', { b: [ null ] } ]\nx is 4 { a: 1 }\n"
    verdict = judged(pool, "javascript", program, StdioTest("", text), output=True)
    assert verdict.tests[0].output is not None
    assert (verdict.tests[0].output.stdout, verdict.tests[0].output.stderr) == (text, "not compared\n")


@javascript
def test_the_setup_runs_first_and_a_status_counts(pool: LocalExecutor) -> None:
    test = StdioTest("", "4")
    assert judged(pool, "javascript", "print(base)", test, setup="var base = 4").outcome == "passed"
    assert judged(pool, "javascript", "print(4); process.exit(3)", test).outcome == "runtime_error"
    assert judged(pool, "javascript", "print(4); process.exitCode = 1", test).outcome == "runtime_error"
    checker = "def check(stdin, expected, printed):\n    return int(printed) > 3"
    assert judged(pool, "javascript", "print(9)", StdioTest("", "", checker=checker)).outcome == "passed"


@javascript
def test_nothing_of_a_javascript_program_is_there_for_the_next(pool: LocalExecutor) -> None:
    leaves = "globalThis.seen = 1; Array.prototype.map = () => []; JSON.stringify = 0; function f() { return 1 }"
    looks = "function f() { return [typeof seen, [1].map(x => x + 1)] }"
    assert judged(pool, "javascript", leaves, CallTest("f", (), 1)).outcome == "passed"
    assert judged(pool, "javascript", looks, CallTest("f", (), ["undefined", [2]])).outcome == "passed"


@cpp
def test_a_program_in_cpp_is_compiled_once_and_run_for_each_test(pool: LocalExecutor) -> None:
    program = IO + 'int main() { long a, b; scanf("%ld %ld", &a, &b); printf("%ld\\n", a + b); }'
    verdict = judged(pool, "cpp", program, StdioTest("1 2", "3"), StdioTest("4 5", "9\n"), StdioTest("1 1", "3"))
    assert [test.status.value for test in verdict.tests] == ["passed", "passed", "wrong_answer"]
    assert judged(pool, "cpp", "int main() { return N; }", StdioTest("", ""), setup="#define N 0").outcome == "passed"


@cpp
@pytest.mark.parametrize(
    ("program", "outcome", "error", "line"),
    [
        ("int main() {\n  return x;\n}", "syntax_error", "CompileError", 2),
        ("int g(); int main() { return g(); }", "syntax_error", "CompileError", None),
        ("int main() { return 3; }", "runtime_error", "SystemExit", None),
        ("int main() { *(volatile int*)0 = 1; }", "runtime_error", "SIGSEGV", None),
        ("#include <vector>\nint main() { std::vector<int> v; v.at(3); }", "runtime_error", "std::out_of_range", None),
        ("#include <vector>\nint main() { std::vector<int> v(1 << 30); }", "memory_limit", "MemoryLimit", None),
        ("int main() { for (volatile int i;;) i = 0; }", "timeout", "Timeout", None),
        (IO + 'int main() { for (;;) puts("again and again"); }', "output_limit", "OutputLimit", None),
        (
            "template<int N> struct A { A<N + 1> a; };\nA<0> a;\nint main() {}",
            "syntax_error",
            "CompileError",
            1,
        ),
    ],
)
def test_an_error_in_cpp(pool: LocalExecutor, program: str, outcome: str, error: str, line: int | None) -> None:
    verdict = judged(pool, "cpp", program, StdioTest("", ""), timeout=1.0)
    assert (verdict.outcome.value, *first_error(verdict)) == (outcome, error, line)


HOSTILE = {
    "another program": '#include <cstdlib>\nint main() { return system("/bin/sh -c true") == 0 ? 0 : 1; }',
    "the judge's channel": "#include <unistd.h>\n#include <fcntl.h>\n"
    "int main() { for (int fd = 3; fd < 64; fd++) if (fcntl(fd, F_GETFD) >= 0) return 0; return 1; }",
    "files of the host": '#include <cstdio>\nint main() { return !fopen("/etc/passwd", "r") && !fopen("/root", "r"); }',
    "a change of its binary": '#include <fcntl.h>\nint main() { return open("/proc/self/exe", O_RDWR) < 0; }',
    "a file of the test before": '#include <cstdio>\nint main() { bool old = fopen("/tmp/x", "r");'
    ' fopen("/tmp/x", "w"); return !old; }',
    "the network": "#include <sys/socket.h>\n#include <arpa/inet.h>\nint main() { sockaddr_in a{AF_INET, htons(53)};"
    ' inet_aton("1.1.1.1", &a.sin_addr);'
    " return connect(socket(AF_INET, SOCK_STREAM, 0), (sockaddr*)&a, sizeof a) < 0; }",
    "a namespace of its own": "#include <sched.h>\nint main() { unshare(CLONE_NEWUSER); return 0; }",
    "processes that stay": "#include <unistd.h>\nint main() { if (!fork()) for (;;) pause(); return 1; }",
}


@cpp
@pytest.mark.parametrize("wanted", HOSTILE)
def test_a_program_in_cpp_does_not_get(pool: LocalExecutor, wanted: str) -> None:
    if pool.report()["files"] != "active":
        pytest.skip("without a private root programs see names of the host")
    verdict = judged(pool, "cpp", HOSTILE[wanted], StdioTest("", ""), StdioTest("", "\n"))
    assert {test.status.value for test in verdict.tests} <= {"runtime_error", "violation"}


@pytest.mark.parametrize("without", [("namespaces",), ("namespaces", "landlock"), ("seccomp",)], ids="+".join)
@pytest.mark.parametrize(
    ("language", "program"),
    [
        pytest.param("javascript", "print(+readline() + 1)", marks=javascript),
        pytest.param("cpp", IO + 'int main() { int a; scanf("%d", &a); printf("%d", a + 1); }', marks=cpp),
    ],
)
def test_where_layers_are_absent(language: str, program: str, without: tuple[str, ...]) -> None:
    with LocalExecutor(workers=1, without=without) as pool:
        assert judged(pool, language, program, StdioTest("1", "2")).outcome == "passed"


@pytest.mark.parametrize(
    ("language", "tests", "says"),
    [
        ("rust", (StdioTest("", ""),), "language is 'rust': expected python, javascript or cpp"),
        pytest.param("javascript", (AssertTest("assert f()"),), "expected kind call or stdio", marks=javascript),
        pytest.param("javascript", (CallTest("f", ((1, 2),), 1),), "expected values that JSON has", marks=javascript),
        pytest.param("cpp", (CallTest("f", (), 1),), "expected kind stdio or text for programs in cpp", marks=cpp),
    ],
)
def test_what_cannot_be_judged_is_refused(
    pool: LocalExecutor, language: str, tests: tuple[Test, ...], says: str
) -> None:
    with pytest.raises(OptionError, match=says):
        pool.submit(Job("", tests, language=language))


def test_a_language_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rltf.execution.languages.installed_runtimes", dict)
    with pytest.raises(OptionError, match=r"language is 'javascript': expected another one, or pip install quickjs-ng"):
        require_language(Job("", (StdioTest("", ""),), language="javascript"))
    with pytest.raises(OptionError, match="language is 'cpp': expected another one, or install g\\+\\+"):
        require_language(Job("", (StdioTest("", ""),), language="cpp"))


@javascript
def test_a_line_of_the_judge_names_its_language() -> None:
    row = {"id": 1, "program": "print(1)", "tests": [{"kind": "stdio", "stdin": "", "stdout": "1"}]}
    setup = {"setup": "var a = {b: 1} // no Python", "language": "javascript"}
    assert parse(json.dumps(row | setup).encode())[1].language == "javascript"
    with pytest.raises(InvalidInput, match="`language` is 'java': expected python or javascript or cpp"):
        parse(json.dumps(row | {"language": "java"}).encode())
    with pytest.raises(InvalidInput, match="tests is 'assert': expected kind call or stdio or text"):
        parse(json.dumps(row | setup | {"tests": [{"kind": "assert", "code": "assert f() == 1"}]}).encode())
    lines = json.dumps(row | setup)
    command = [sys.executable, "-m", "rltf.execution", "--workers", "1"]
    output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    assert json.loads(output)["outcome"] == "passed"


@javascript
def test_the_judge_in_python_takes_a_language() -> None:
    with Judge(workers=1) as judge:
        verdicts = judge.judge_answers(
            ["Here:\n```javascript\nconst f = (x) => x + 1\n```\n"],
            [[{"kind": "call", "function": "f", "args": [1], "expected": 2}]],
            language="javascript",
        )
        problem = {"tests": [{"input": "2", "output": "3"}], "language": "javascript"}
        assert judge.judge("print(+readline() + 1)", problem).outcome == "passed"
    assert verdicts[0].outcome == "passed"


def test_the_first_error_of_a_compiler_counts() -> None:
    text = "source.cpp: In function 'int main()':\nprogram.cpp:7:3: fatal error: x.h: No such file\n"
    record = error_record(text + "program.cpp:9:1: error: y\n", 5)
    assert (record["line"], record["message"]) == (5, "x.h: No such file")
    assert error_record("", 1)["message"] == "the compiler failed without a message"
