"""What is minable, and why the rest is not."""

import ast
import json

import pytest

from rltf.mining.functions import Function, Limits, distinct, functions_of
from rltf.mining.imports import imports_of
from rltf.mining.job import IMPORTS
from rltf.mining.sources import programs
from rltf.mining.types_of import candidate_types, doctest_arguments
from rltf.mining.value_types import INT, STR, list_of, type_of_annotation, type_of_value
from rltf.mining.values import Constants, edge_inputs, ordinary_inputs

LIMITS = Limits(IMPORTS, 40, 4, "wanted")


def read(text, limits=LIMITS):
    return list(functions_of(text, "a.py", limits))


def only(text, limits=LIMITS):
    [function] = read(text, limits)
    assert isinstance(function, Function), function
    return function


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(x:", "no Python of this version"),
        ("def f(x): x", "returns no value"),
        ("def f(x): yield x", "a generator"),
        ("async def f(x): return x", "asynchronous"),
        ("@cache\ndef f(x): return x", "decorators"),
        ("def f(): return 1", "no parameters"),
        ("def f(a, b, c, d, e): return a", "more than 4"),
        ("def f(*a): return a", "* and **"),
        ("def f(x):\n    import os\n    return x", "an import or a class inside"),
        ("def f(x):\n    with x: return x", "with"),
        ("def f(x):\n    global y\n    return x", "global"),
        ("def f(x): return g(x)", "names that are neither"),
        ("import os\ndef f(x): return os.getcwd()", "names that are neither"),
        ("import random\ndef f(x): return random.choice(x)", "names that are neither"),
        ("import time\ndef f(x): return time.time() + x", "names that are neither"),
        ("def f(x): return open(x).read()", "more than its arguments"),
        ("def f(x): return hash(x)", "more than its arguments"),
        ("def f(x): return x.__class__", "more than its arguments"),
        ("def f(x):\n" + "    x += 1\n" * 40 + "    return x", "more than 40 lines"),
        ("class Solution:\n    def f(self, x): return self.g(x)", "other parts of its class"),
        ("class Solution:\n    def f(x): return x", "without self"),
    ],
)
def test_every_other_function_has_a_reason(text, reason):
    [result] = read(text)
    assert isinstance(result, str)
    assert reason in result


def test_random_stays_out_when_it_is_allowed():
    [reason] = read("import random\ndef f(x): return random.choice(x)", Limits((*IMPORTS, "random"), 40, 4, "wanted"))
    assert isinstance(reason, str)


def test_a_function_brings_the_imports_that_it_needs():
    text = "import math, os\nfrom collections import *\nfrom heapq import heappush as push\n"
    function = only(f"{text}def f(x):\n    return Counter([math.pi, push]), x\n")
    lines = ["from collections import Counter", "from heapq import heappush as push", "import math"]
    assert function.setup.split("\n") == lines


def test_a_star_of_a_module_that_is_not_pythons_own_binds_nothing():
    assert imports_of(ast.parse("from numpy import *"), ["numpy"]) == {}
    assert "numpy" in imports_of(ast.parse("import numpy"), ["numpy"])


def test_the_header_is_where_the_function_begins():
    text = 'def f(x, y=2):\r\n    """Adds.\r\n\r\n    More."""\r\n    return x + y\r\n'
    function = only(text)
    assert function.code.startswith(function.header)
    assert function.code[len(function.header) :] == "    return x + y"
    assert function.docstring == "Adds.\n\nMore."
    bare = only(text, Limits(IMPORTS, 40, 4, "ignored"))
    assert (bare.header, bare.docstring) == ("def f(x, y=2):\n", "")
    assert bare.code == "def f(x, y=2):\n    return x + y"
    assert read("def f(x): return x", Limits(IMPORTS, 40, 4, "needed")) == ["has no docstring"]


def test_a_method_of_a_solution_keeps_its_class():
    method = only("from typing import *\nclass Solution:\n    def f(self, x: List[int]) -> int:\n        return x[0]\n")
    assert method.is_method
    assert method.code.startswith("class Solution:\n    def f(self, x: List[int]) -> int:\n        return")
    assert [p.arg for p in method.parameters] == ["x"]


def test_clones_count_once():
    functions = read("def f(a): return a + 1\ndef g(b):\n    'Adds.'\n    return b+1\ndef h(b): return b + 2\n")
    assert [f.name for f in distinct(functions)] == ["f", "h"]


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("x: List[int]", "return x", "list[int]"),
        ("x: 'dict[str, float]'", "return x", "dict[str, float]"),
        ("x: Optional[str]", "return x", "optional[str]"),
        ("x: int | None", "return x", "optional[int]"),
        ("x: Tuple[int, ...]", "return x", "tuple[int, int, int]"),
        ("x=3", "return x", "int"),
        ("x", "return x.upper()", "str"),
        ("x", "return x[::-1] if x[0] == 'a' else x", "str"),
        ("x", "return [w.upper() for w in x]", "str"),
        ("x", "x.append(1)\n    return [w.upper() for w in x]", "list[str]"),
        ("x", "return sum(x)", "list[int]"),
        ("x", "return sum(x[i][0] for i in range(len(x)))", "list[list[int]]"),
        ("x", "return x % 7", "int"),
        ("x", "s = ''\n    for i in range(len(x)):\n        s = s + x[i]\n    return s", "str"),
        ("x", "return len(x.items())", "dict[str, int]"),
        ("x", "return 'b' in x", "str"),
        ("x", '"""F.\n\n    Args:\n        x (float): a number.\n    """\n    return x', "float"),
        ("x", '"""F.\n\n    :type x: list of int\n    """\n    return x', "list[int]"),
        ("x", '"""F.\n\n    >>> f([\'a\'])\n    1\n    """\n    return len(x)', "list[str]"),
    ],
)
def test_the_likeliest_type_of_a_parameter(header, body, expected):
    assert str(candidate_types(only(f"from typing import *\ndef f({header}):\n    {body}\n"))[0][0]) == expected


def test_an_annotation_leaves_no_doubt_and_a_bare_container_some():
    assert candidate_types(only("def f(x: int, y: str): return x")) == [(INT, STR)]
    assert len(candidate_types(only("def f(x: list): return x"))) > 1


def test_types_of_literals_and_annotations_that_nobody_knows():
    assert type_of_value([1, "a", 2]) == list_of(INT)
    assert type_of_value(object()) is None
    assert type_of_annotation(ast.parse("Callable[[int], int]", mode="eval").body) is None


def test_inputs_are_the_same_for_the_same_seed_and_lie_where_functions_are_defined():
    kinds = [list_of(INT), STR]
    inputs = ordinary_inputs(kinds, Constants(), 40, 3)
    assert inputs == ordinary_inputs(kinds, Constants(), 40, 3) != ordinary_inputs(kinds, Constants(), 40, 4)
    assert len(set(map(repr, inputs))) == len(inputs) == 40
    assert all(xs and min(xs) >= 0 and text for xs, text in inputs)
    assert [len(repr(i)) for i in inputs] == sorted(len(repr(i)) for i in inputs)


def test_a_type_with_few_values_has_few_inputs():
    from rltf.mining.value_types import BOOL

    assert sorted(ordinary_inputs([BOOL], Constants(), 40, 0)) == [(False,), (True,)]


def test_constants_of_the_body_are_values():
    function = only("def f(xs):\n    'Says 77.'\n    return sum(x == 50 for x in xs) if xs != ['west'] else 0")
    constants = Constants.of(function.node)
    assert sorted(constants.integers) == [-1, 0, 1, 49, 50, 51]
    assert constants.texts == ("west",)
    inputs = ordinary_inputs([list_of(INT)], constants, 40, 0)
    assert sum(50 in xs for (xs,) in inputs) > 4


def test_edge_values_stand_in_for_one_argument_at_a_time():
    edges = edge_inputs([INT, list_of(INT)], [(3, [4])], 10)
    assert (0, [4]) in edges
    assert (3, []) in edges
    assert all(a == 3 or b == [4] for a, b in edges)
    assert edge_inputs([INT], [(0,), (2,)], 10) == [(1,), (-1,), (-7,)]


def test_arguments_of_doctests_are_inputs():
    function = only('def f(a, b):\n    """Adds.\n\n    >>> f(2, [3])\n    5\n    """\n    return a + b[0]')
    assert doctest_arguments(function) == [(2, [3])]


def test_programs_come_out_of_folders_files_and_rows(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "x.py").write_text("x = 1")
    (tmp_path / "b" / "bad.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b" / "large.py").write_text("#" * (1 << 20) + "#")
    rows = [{"code": "a"}, {"solutions": ["b", "c"]}, {"solutions": json.dumps(["d", "e"])}, {"text": "f"}, [1]]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{\n")
    found = list(programs([str(tmp_path / "b"), str(tmp_path / "rows.jsonl")], None))
    assert [entry[0] for entry in found if isinstance(entry, tuple)] == ["x = 1", "a", "b", "d"]
    reasons = [entry for entry in found if isinstance(entry, str)]
    assert reasons[:2] == ["a file that is no UTF-8 text", "a file of more than 1 MB"]
    assert reasons[2:] == ["a row without code", *["a row that is no JSON object"] * 2]
    assert [e[0] for e in programs([str(tmp_path / "rows.jsonl")], "text") if isinstance(e, tuple)] == ["f"]
