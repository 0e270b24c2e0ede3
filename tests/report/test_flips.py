"""`python -m rltf.report A B --flips`: the statistics by hand, what may be compared, and what the report says."""

from __future__ import annotations

import json
from itertools import product

import pytest

from rltf.report.__main__ import main
from rltf.report.compare.flips import count_flips, flips_by_label, holm, mcnemar, passes
from rltf.report.compare.statistics import estimate_of_share
from rltf.report.evaluation import build_evaluation
from rltf.report.flips import build_flips, read_sides
from rltf.report.read.evaluation import ProblemOutcome
from rltf.report.read.results import read_evaluation
from rltf.types import Outcome

P, W = Outcome.PASSED, Outcome.WRONG_ANSWER


def outcome(name, passed, tags=("loop",), draws=None):
    drawn = draws if draws is not None else (P if passed else W,)
    return ProblemOutcome(name, "short", tuple(tags), drawn, passed if draws is None else None, {})


def test_the_exact_test_by_hand():
    # 12 and 3 of 15 flips: 2 * (1 + 15 + 105 + 455) / 2**15
    assert mcnemar(12, 3) == mcnemar(3, 12) == pytest.approx(1152 / 32768)
    assert mcnemar(12, 3) == pytest.approx(0.035156, abs=1e-6)
    assert mcnemar(5, 0) == 0.0625
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_the_exact_test_is_the_share_of_fair_splits_as_unequal():
    for fixed, broken in ((7, 2), (4, 4), (6, 0)):
        flips = fixed + broken
        splits = [abs(2 * sum(coins) - flips) for coins in product((0, 1), repeat=flips)]
        assert mcnemar(fixed, broken) == pytest.approx(sum(s >= abs(fixed - broken) for s in splits) / len(splits))


def test_holm_multiplies_the_smallest_by_their_number_and_never_falls():
    assert holm([0.01, 0.02, 0.04]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_wilsons_interval_by_hand():
    # share 0 of 10: z^2 / (n + z^2) = 3.841459 / 13.841459
    none = estimate_of_share([0.0] * 10)
    assert (none.value, none.low, none.high) == pytest.approx((0, 0, 0.277533), abs=1e-6)
    # share 3 of 10: (0.3 + 0.192073 -+ 1.959964 * sqrt(0.021 + 0.009604)) / 1.384146
    some = estimate_of_share([1.0] * 3 + [0.0] * 7)
    assert (some.low, some.high) == pytest.approx((0.107791, 0.603222), abs=1e-6)


def test_a_problem_passes_by_its_greedy_program_else_by_most_of_its_draws():
    assert passes(ProblemOutcome("p", "", (), (W, W, W), True, {}))
    assert passes(outcome("p", False, draws=(P, P, W)))
    assert not passes(outcome("p", False, draws=(P, P, W, W)))


def test_flips_are_counted_over_the_problems_of_both():
    first = [outcome("a", True), outcome("b", True), outcome("c", False, ("loop", "list")), outcome("d", False)]
    second = [outcome("b", False), outcome("a", True), outcome("c", True), outcome("e", True)]
    flips = count_flips(first, second)
    assert (flips.fixed, flips.broken, flips.both_passed, flips.both_failed) == (("c",), ("b",), 1, 0)
    assert (flips.problems, flips.p_value, flips.shares) == (3, 1.0, (2 / 3, 2 / 3))
    by_tag = flips_by_label(first, second, lambda problem: problem.tags)
    assert {tag: f.problems for tag, f in by_tag.items()} == {"loop": 3, "list": 1}


@pytest.fixture
def evaluation(tmp_path):
    """Writes a folder of eval.py; `passed` holds a letter a problem, P or W."""

    def write(name, passed, config="benchmark: {seed: 1, prompt: doc}\n", wordings=1, when="before"):
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        (folder / ".hydra" / "config.yaml").write_text(config)
        problems = [
            {
                "problem_id": f"infinitum/1/test/{i // wordings}/{i % wordings}",
                "difficulty": "short",
                "tags": ["loop" if i % 2 else "recursion", "size:1", f"paraphrase:{i % wordings}"],
                "draws": ["passed" if letter == "P" else "wrong_answer"],
                "greedy_passed": letter == "P",
                "tests_passed": 0.5,
                "errors": {},
            }
            for i, letter in enumerate(passed)
        ]
        file = folder / "evaluation.json"
        content = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**content, when: problems}))
        share = passed.count("P") / len(passed)
        entry = {"value": share, "low": share, "high": share}
        (folder / "results.json").write_text(json.dumps({"policy": name, "pass_at_k_interval": {"1": entry}}))
        return folder

    return write


def test_the_report_says_what_is_fixed_and_broken_by_construct(evaluation, tmp_path, capsys):
    # 8 of the even problems (recursion) are fixed, one odd one (loop) is broken
    first = evaluation("first", "WP" * 8 + "WP" * 2)
    second = evaluation("second", "PP" * 8 + "WW" + "WP")
    assert main([str(first), str(second), "--flips", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.err == (
        "20 problems, first -> second: 8 fixed, 1 broken, 9 passed and 2 failed by both; p = 0.039\n"  # 2 * 10 / 2**9
    )
    assert printed.out == f"{tmp_path / 'out' / 'report.html'}\n"
    text = (tmp_path / "out" / "report.md").read_text()
    # recursion: 2 / 2**8 = 0.0078, times two; loop: one flip alone
    assert "| recursion | 10 | 0.0 % | 80.0 % | 8 | 0 | 0.0078 | 0.016 |" in text
    assert "| loop | 10 | 100.0 % | 90.0 % | 0 | 1 | 1 | 1 |" in text
    assert "infinitum/1/test/17/0" in text
    assert "Flips: second against first" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_is_compared_with_itself_before_rl(evaluation):
    folder = evaluation("run", "WWP")
    evaluation("run", "PWP", when="after")
    document = build_flips(*read_sides([folder]))
    assert document.title == "Flips: after RL against before RL"
    assert ("fixed", "1") in document.tiles


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("benchmark: {seed: 2, prompt: doc}\n", "benchmark.seed is 1 and 2"),
        ("benchmark: {seed: 1, prompt: chat}\n", "benchmark.prompt is 'doc' and 'chat'"),
        (
            "benchmark: {seed: 1, prompt: doc}\nevaluation: {temperature: 0.8}\n",
            "evaluation.temperature is None and 0.8",
        ),
    ],
)
def test_evaluations_that_differ_are_refused_in_a_sentence_that_names_the_key(evaluation, config, sentence, capsys):
    first, second = evaluation("first", "PW"), evaluation("second", "PW", config)
    assert main([str(first), str(second), "--flips"]) == 2
    expected = f"--flips needs the same problems and prompts in both evaluations: {sentence}\n"
    assert capsys.readouterr().err == expected


def test_what_cannot_be_compared_is_one_sentence(evaluation, tmp_path, capsys):
    first, second = evaluation("first", "PW"), evaluation("second", "PW", wordings=2, config="{}\n")
    problems = json.loads((second / "evaluation.json").read_text())
    for problem in problems["before"]:
        problem["problem_id"] += "/other"
    (second / "evaluation.json").write_text(json.dumps(problems))
    for paths, sentence in (
        ((first,), "has no results after RL: expected a finished run, or a second evaluation"),
        ((first, first, first), "compares two evaluations, or one run before and after RL: got 3 paths"),
        ((first, tmp_path), "has no evaluation.json: expected a folder of eval.py, or of a run of train.py"),
        ((first, second), "needs the same problems in both evaluations: they begin with infinitum/1/test/0/0 and"),
    ):
        assert main([*map(str, paths), "--flips"]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


def test_problems_that_one_evaluation_lacks_are_counted(evaluation):
    document = build_flips(*read_sides([evaluation("first", "PWP"), evaluation("second", "PP")]))
    assert document.notices == ("1 problems are in one evaluation only, and left out.",)


def test_stability_and_kinds_of_an_evaluation_of_several_wordings(evaluation):
    document = build_evaluation(read_evaluation(evaluation("worded", "PPP" + "WWW" + "PWP" + "WWW", wordings=3)))
    tables = {section.title: section.tables for section in document.sections}
    [stability] = tables["Stability under paraphrase"]
    assert stability.body == (("4", "1", "2", "1", "75.0 % [30.1, 95.4]"),)
    kinds = {row[0]: row[1:] for row in tables["Problems by kind"][0].body}
    # of PPPWWWPWPWWW the even problems are P P W P P W, the odd ones P W W W W W
    assert kinds["recursion"] == ("6", "66.7 % [30.0, 90.3]")
    assert kinds["loop"] == ("6", "16.7 % [3.0, 56.4]")
    assert kinds["size:1"] == ("12", "41.7 % [19.3, 68.0]")


def test_an_evaluation_of_one_wording_says_nothing_of_stability(evaluation):
    document = build_evaluation(read_evaluation(evaluation("plain", "PW")))
    assert "Stability under paraphrase" not in {section.title for section in document.sections}
