"""The binary search against oracles and brute force."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.prm.bisect import count_good_lines


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 10, 18, 64])
def test_the_first_bad_line_is_found_wherever_it_is_with_few_prefixes(lines):
    for first_bad in range(1, lines + 2):
        [(good, asked)] = count_good_lines([lines], lambda prefixes, bad=first_bad: [n < bad for _, n in prefixes])
        assert good == first_bad - 1
        assert asked <= math.ceil(math.log2(lines + 1))


def test_the_papers_counts_of_prefixes():
    most = {
        n: max(count_good_lines([n], lambda ps, g=g: [k <= g for _, k in ps])[0][1] for g in range(n + 1))
        for n in (10, 18, 64)
    }
    assert most == {10: 4, 18: 5, 64: 7}


@given(st.lists(st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=8))
def test_programs_that_share_rounds_get_what_asking_about_every_prefix_says(programs):
    rounds = []

    def ask(prefixes):
        rounds.append(len(prefixes))
        assert len({program for program, _ in prefixes}) == len(prefixes)
        assert all(1 <= lines <= programs[program][0] for program, lines in prefixes)
        return [lines <= programs[program][1] for program, lines in prefixes]

    brute = [sum(k <= good for k in range(1, n + 1)) for n, good in programs]
    found = count_good_lines([n for n, _ in programs], ask)
    assert [good for good, _ in found] == brute
    assert sum(asked for _, asked in found) == sum(rounds)
    assert len(rounds) <= max((math.ceil(math.log2(n + 1)) for n, _ in programs), default=0)


def test_a_good_prefix_is_missed_as_often_as_all_its_completions_fail():
    # One line, good; each of K = 3 completions passes with s = 0.4: missed with (1 - 0.4)^3 = 0.216.
    draw = random.Random(0)
    tries = 20_000
    found = count_good_lines(
        [1] * tries, lambda prefixes: [any(draw.random() < 0.4 for _ in range(3)) for _ in prefixes]
    )
    missed = sum(good == 0 for good, _ in found) / tries
    assert abs(missed - 0.216) < 4 * math.sqrt(0.216 * 0.784 / tries)
