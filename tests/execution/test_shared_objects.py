"""Objects of a task's own classes travel both ways: content, identity, cycles and changes, and nothing else."""

from __future__ import annotations

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.values.codec import CannotSend
from rltf.execution.values.shared_objects import CHILD, JUDGE, Packing, SharedObjects, classes_of
from rltf.types import AssertTest, CheckTest, Job, Outcome, Test

SETUP = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

def linked(values):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head

def values(head):
    found = []
    while head:
        found.append(head.val)
        head = head.next
    return found
"""
REVERSE = """
def f(head):
    last = None
    while head:
        head.next, last, head = last, head, head.next
    return last
"""


def outcome(pool: LocalExecutor, program: str, *tests: str, setup: str = SETUP) -> Outcome:
    return pool.submit(Job(program, tuple(map(AssertTest, tests)), setup)).result().outcome


def test_a_linked_list_goes_in_and_another_comes_out(pool: LocalExecutor) -> None:
    assert outcome(pool, REVERSE, "assert values(f(linked([1, 2, 3]))) == [3, 2, 1]") == Outcome.PASSED
    assert outcome(pool, REVERSE, "assert values(f(head=linked([1, 2]))) == [1, 2]") == Outcome.WRONG_ANSWER
    new = "def f(n):\n    return ListNode(n, ListNode(n + 1))"
    assert outcome(pool, new, "assert values(f(4)) == [4, 5]", "assert type(f(1)) is ListNode") == Outcome.PASSED


def test_a_list_of_ten_thousand_nodes_needs_no_recursion(pool: LocalExecutor) -> None:
    test = "assert values(f(linked(list(range(10000))))) == list(range(9999, -1, -1))"
    assert outcome(pool, REVERSE, test) == Outcome.PASSED


def test_what_the_program_does_to_its_argument_is_seen(pool: LocalExecutor) -> None:
    program = "def f(a):\n    a.val = 7\n    a.next.next = ListNode(9)"
    test = "a = linked([1, 2, 3])\nf(a)\nassert values(a) == [7, 2, 9]"
    assert outcome(pool, program, test) == Outcome.PASSED
    many = "def f(lists):\n    lists[0], lists[1] = lists[1], lists[0]"
    test = "a, b = linked([1]), linked([2])\nx = [a, b]\nf(lists=x)\nassert x[0] is b and x[1] is a"
    assert outcome(pool, many, test) == Outcome.PASSED


def test_an_object_that_comes_back_is_the_one_that_went(pool: LocalExecutor) -> None:
    test = "a = linked([1, 2, 3])\nassert f(a) is a.next\nassert f(f(a)) is a.next.next"
    assert outcome(pool, "def f(a): return a.next", test) == Outcome.PASSED
    shared = "tail = linked([8])\nassert f(ListNode(1, tail), ListNode(2, tail))"
    assert outcome(pool, "def f(a, b): return a.next is b.next", shared) == Outcome.PASSED


def test_cycles_travel(pool: LocalExecutor) -> None:
    test = "a = linked([1, 2])\na.next.next = a\nassert f(a) is a"
    assert outcome(pool, "def f(a): return a.next.next", test) == Outcome.PASSED


def test_the_second_program_of_a_task_is_judged_like_the_first(pool: LocalExecutor) -> None:
    tests: tuple[Test, ...] = (CheckTest("def check(c):\n    assert values(c(linked([1, 2]))) == [2, 1]", "f"),)
    jobs = [Job(f"{REVERSE}\n# {i}", tests, SETUP) for i in range(3)]
    wrong = [Job(f"def f(head): return head\n# {i}", tests, SETUP) for i in range(3)]
    assert [v.outcome for v in pool.map(jobs + wrong)] == [Outcome.PASSED] * 3 + [Outcome.WRONG_ANSWER] * 3


def test_setup_that_builds_on_the_program_runs_after_it(pool: LocalExecutor) -> None:
    program = (
        "class Node:\n    def __init__(self, v):\n        self.v, self.left = v, None\ndef f(n):\n    return n.left.v"
    )
    setup = "root = Node(1)\nroot.left = Node(2)"
    assert outcome(pool, program, "assert f(root) == 2", "assert f(root) == 2", setup=setup) == Outcome.PASSED
    assert outcome(pool, program, "assert f(root) == 1", setup=setup) == Outcome.WRONG_ANSWER


LYING = """
class Liar(ListNode):
    def __eq__(self, other):
        return True
def f(n):
    return Liar(n)
"""
POISONED = """
ListNode.__eq__ = lambda self, other: True
def f(n):
    return ListNode(n)
"""


@pytest.mark.parametrize("program", [LYING, POISONED])
def test_what_equals_what_is_the_tasks_word(pool: LocalExecutor, program: str) -> None:
    assert outcome(pool, program, "assert f(1) == ListNode(2)") == Outcome.WRONG_ANSWER


def node_class() -> dict[str, type]:
    space: dict = {"__name__": "test"}
    exec("class Node:\n    pass\nclass Slotted:\n    __slots__ = ('a', 'b')\nclass Child(Node): pass", space)
    exec("class Words(list): pass\nclass Oops(Exception): pass\nfrom fractions import Fraction", space)
    return classes_of(space)


def test_only_classes_that_are_plain_content_are_shared() -> None:
    assert set(node_class()) == {"Node", "Slotted", "Child"}


def test_slots_and_fields_arrive() -> None:
    kinds = node_class()
    here, there = SharedObjects(kinds, JUDGE), SharedObjects(kinds, CHILD)
    slotted = kinds["Slotted"]()
    slotted.a = (1, {2})
    node = kinds["Child"]()
    node.me, node.other = node, slotted
    packing = Packing(here, lambda v: None)
    sent = packing.reference(node)
    there.absorb(packing.table(), lambda key: there.find(key))
    copy = there.find(sent["ref"])
    assert type(copy) is kinds["Child"]
    assert copy.me is copy
    assert copy.other.a == (1, {2})
    assert not hasattr(copy.other, "b")


@pytest.mark.parametrize(
    "table",
    [
        [["#0", "Node", []]],  # a key that only the judge gives out
        [["@0", "object", []]],
        [["@0", "Slotted", [["c", 1]]]],
        [["@0", "Node", [[1, 2]]]],
        [["@0", "Node"]],
        [["@0", "Node", [["a", {"ref": "@7"}]]]],
        [[["@0"], "Node", []]],
        [None],
    ],
)
def test_a_forged_table_is_refused(table: list) -> None:
    judge = SharedObjects(node_class(), JUDGE)
    with pytest.raises((ValueError, TypeError, AttributeError)):
        judge.absorb(table, judge.find)


def test_too_many_objects_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rltf.execution.values.shared_objects._MAX_OBJECTS", 3)
    kinds = node_class()
    head = None
    for _ in range(6):
        node = kinds["Node"]()
        node.next, head = head, node
    packing = Packing(SharedObjects(kinds, CHILD), lambda v: None)
    packing.reference(head)
    with pytest.raises(CannotSend, match="more than 3 objects"):
        packing.table()
