"""Searches followed by hand: what they draw, what they run, and what they submit."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_search import CRASH, EXAMPLE, HIDDEN, RIGHT, SHORTCUT, WRONG, Letters, OneExample, Scripted, pipeline_of

from rltf.inference.best_of_n import BestOfN
from rltf.inference.critic_sampling import CriticSampling, _share_draws, trusted_prefix_length
from rltf.inference.results import SearchResult, search_record
from rltf.inference.sample import PlainSampling
from rltf.types import FinishReason, Program, Sampling


def run(search, benchmark, draws=range(2), greedy=False):
    pending = search.start_rollouts(benchmark.problems("test"), draws, Sampling(max_new_tokens=60), 0, greedy=greedy)
    return [search.finish_problem(judged) for judged in search._pipeline.collect_verdicts(pending)]


class Trusting:
    """Trusts a program most after a given text."""

    def __init__(self, text):
        self.text, self.asked = text, []

    def start(self, device):
        assert not self.asked

    def __call__(self, programs):
        self.asked.append([program.text for program in programs])
        best = [
            program.text.index(self.text) + len(self.text) - 1 if self.text in program.text else 0
            for program in programs
        ]
        return [[float(t == at) for t in range(len(p.token_ids))] for p, at in zip(programs, best, strict=True)]


def test_no_search_ever_runs_a_hidden_test(executor):
    benchmark = OneExample("a", "b")
    seen = []

    class Spied(CriticSampling):
        def search(self, tasks, draws, sampling, seed):
            for task in tasks:
                assert (task.problem.references, task.problem.demonstrations) == ((), ())
                assert "HIDDEN" not in repr(task)
            found = super().search(tasks, draws, sampling, seed)
            seen.extend(executor.jobs)
            return found

    script = {
        "a": [(SHORTCUT, -0.1), (WRONG, -0.2), (RIGHT, -0.3), (SHORTCUT, -0.4)],
        "b": [(CRASH, -0.1), (WRONG, -0.2)],
    }
    sampler = Scripted(policy=script, repairer={"b": {2: (SHORTCUT, -0.1), 3: (RIGHT, -0.1)}})
    search = Spied(pipeline_of(benchmark, sampler, executor), Trusting("def f(x): return "))
    search._repair_model = Letters("repairer")
    run(search, benchmark)
    assert len(seen) == 8
    assert {job.tests for job in seen} == {(EXAMPLE,)}
    assert {job.tests for job in executor.jobs[8:]} == {(EXAMPLE, HIDDEN)}
    # A program that passes the example alone was refined: the search could not know better.
    assert search.results[0].first_round == (False, False)
    assert search.results[0].last_round == (True, False)


def test_refining_keeps_the_trusted_prefix_verbatim_and_asks_the_critic_once_for_all_problems(executor):
    benchmark = OneExample("a", "b")
    begin = "def f(x): return "
    script = {name: [(SHORTCUT, -0.1), (WRONG, -0.2), (RIGHT, -0.3), (begin + "3", -0.3)] for name in "ab"}
    sampler = Scripted(policy=script)
    critic = Trusting(begin)
    search = CriticSampling(pipeline_of(benchmark, sampler, executor), critic)
    found = run(search, benchmark)
    assert critic.asked == [[SHORTCUT, SHORTCUT]]
    [(_, first), (_, second)] = sampler.requests
    assert [(r.draws, r.prefix_ids) for r in first] == [((0, 1), ())] * 2
    assert [(r.draws, "".join(map(chr, r.prefix_ids))) for r in second] == [((2, 3), begin)] * 2
    for judged in found:
        assert [p.text for p in judged.programs] == [RIGHT, begin + "3"]
        assert all("".join(map(chr, p.prefix_ids)) == begin for p in judged.programs)
        assert "".join(chr(t) for t in judged.programs[0].token_ids) == "x + 1\0"


def test_repair_reads_the_failed_program_its_outcome_and_the_errors_words(executor):
    benchmark = OneExample("a")
    sampler = Scripted(
        policy={"a": [(CRASH, -0.1), (WRONG, -0.2)]}, repairer={"a": {2: (RIGHT, -0.1), 3: (WRONG, -0.1)}}
    )
    search = CriticSampling(pipeline_of(benchmark, sampler, executor))
    search._repair_model = Letters("repairer")
    [judged] = run(search, benchmark)
    assert search._repair_model.prompts == [
        "# This program fails: runtime_error, NameError: name 'y' is not defined, line 1\n"
        "# def f(x): return y\n# Its task:\nAdd one (a).\n"
    ]
    assert [p.text for p in judged.programs] == [RIGHT, WRONG]
    assert search.results[0].programs == {"drawn": 2, "refined": 0, "repaired": 2}


def test_without_repair_model_or_example_tests_the_first_round_is_the_last(executor):
    script = {"a": [(WRONG, -0.1), (CRASH, -0.2)]}
    for benchmark in (OneExample("a"), OneExample("a", examples=())):
        search = CriticSampling(pipeline_of(benchmark, Scripted(policy=script), executor))
        search._repair_model = None if benchmark.shown else Letters("repairer")
        [judged] = run(search, benchmark)
        assert [p.text for p in judged.programs] == [WRONG, CRASH]
        assert search.results[0].programs == {"drawn": 2, "refined": 0, "repaired": 0}


def test_the_greedy_program_is_judged_and_takes_no_part(executor):
    benchmark = OneExample("a")
    script = {"a": {-1: (RIGHT, -9.0), 0: (WRONG, -0.1), 1: (CRASH, -0.1)}}
    search = BestOfN(pipeline_of(benchmark, Scripted(policy=script), executor))
    [judged] = run(search, benchmark, greedy=True)
    assert [(p.text, p.greedy) for p in judged.programs] == [(RIGHT, True), (WRONG, False), (CRASH, False)]
    assert search.results[0].submissions == (False, False)


def test_the_best_of_n_passes_the_examples_and_ties_go_to_the_likelier_program(executor):
    benchmark = OneExample("a")
    drawn = [(WRONG, -0.01), (SHORTCUT, -0.4), (RIGHT, -0.3), (RIGHT, -0.2), (CRASH, -0.02)]
    search = BestOfN(pipeline_of(benchmark, Scripted(policy={"a": drawn}), executor))
    run(search, benchmark, draws=range(5))
    [result] = search.results
    # RIGHT (-0.2), SHORTCUT (-0.4), then those that fail the example: WRONG (-0.01), CRASH (-0.02). RIGHT comes once.
    assert result.submissions == (True, False, False, False)
    record = search_record("best_of_n", search.results, [1, 5, 10])
    assert record["with"]["n_at_k"]["1@5"]["value"] == 1.0
    assert record["without"]["n_at_k"]["1@5"]["value"] == 0.4
    assert set(record["with"]["pass_at_k"]) == {"1", "5"}


def test_with_match_ties_go_to_the_program_that_matches_the_text_and_the_likelier_one_is_no_matter(
    executor, monkeypatch
):
    """A matcher that likes long programs: RIGHT and SHORTCUT pass the example, and RIGHT, less likely, is longer."""
    asked = []

    class ByLength:
        def __init__(self, **keywords):
            asked.append(keywords)
            self.model = self

        def to(self, device):
            asked.append(device)

        def scores(self, text, programs):
            asked.append((text, programs))
            return [len(program) for program in programs]

    monkeypatch.setattr("rltf.policies.codet5p.matching.Matcher", ByLength)
    benchmark = OneExample("a")
    drawn = [(WRONG, -0.3), (SHORTCUT, -0.1), (RIGHT, -0.9)]
    search = BestOfN(
        pipeline_of(benchmark, Scripted(policy={"a": drawn}), executor), score="match", matcher={"path": "somewhere"}
    )
    run(search, benchmark, draws=range(3))
    assert search.results[0].submissions == (True, False, False)
    assert asked == [{"path": "somewhere"}, "cpu", ("Add one (a).", [WRONG, SHORTCUT, RIGHT])]
    plain = BestOfN(pipeline_of(benchmark, Scripted(policy={"a": drawn}), executor), matcher={"path": "nowhere"})
    run(plain, benchmark, draws=range(3))
    assert plain.results[0].submissions == (False, True, False)  # and no matcher is loaded
    assert len(asked) == 3


def test_a_matcher_that_is_not_there_and_other_scores_are_refused(executor, tmp_path):
    pipeline = pipeline_of(OneExample("a"), Scripted(), executor)
    with pytest.raises(ValueError, match=r"^inference\.matcher\.path is .*nowhere', where there is nothing: expected"):
        BestOfN(pipeline, score="match", matcher={"path": str(tmp_path / "nowhere")})
    with pytest.raises(ValueError, match=r"^matcher\.batch_size is 0: expected a whole number of at least 1"):
        BestOfN(pipeline, score="match", matcher={"batch_size": 0})
    with pytest.raises(ValueError, match=r"^score is 'tests': expected logprob or match"):
        BestOfN(pipeline, score="tests")


def test_sampling_judges_every_program_by_all_tests_alone(executor):
    benchmark = OneExample("a")
    search = PlainSampling(pipeline_of(benchmark, Scripted(policy={"a": [(RIGHT, -0.1), (SHORTCUT, -0.1)]}), executor))
    run(search, benchmark)
    assert [job.tests for job in executor.jobs] == [(EXAMPLE, HIDDEN)] * 2
    assert search.results == [
        SearchResult("a", (True, False), (True, False), {"drawn": 2}, {"drawn": len(RIGHT) + len(SHORTCUT) + 2})
    ]


def test_a_search_needs_programs_to_choose_from(executor):
    search = BestOfN(pipeline_of(OneExample("a"), Scripted(), executor))
    with pytest.raises(ValueError, match=r"inference=best_of_n .* evaluation\.temperature above 0"):
        run(search, OneExample("a"), draws=())


def test_prefixes_end_where_trust_is_highest_and_never_hold_the_whole_program():
    offsets = ((0, 1), (1, 2), (2, 3), (3, 3))  # three characters and the end of the sequence
    program = Program("p", "abc", (), (1, 2, 3, 0), offsets, (-0.1,) * 4, FinishReason.EOS)
    assert trusted_prefix_length(program, [0.1, 0.9, 1.0, 1.0]) == 2
    assert trusted_prefix_length(program, [0.9, 0.1, 0.0, 0.0]) == 1
    assert trusted_prefix_length(program, [0.5, 0.5, 0.5, 0.5]) == 2  # the longest of equals
    assert trusted_prefix_length(Program("p", "", (), (0,), ((0, 0),), (-0.1,), FinishReason.EOS), [1.0]) == 0


@given(st.lists(st.integers(0, 3), max_size=8), st.integers(1, 12))
def test_every_draw_of_a_problem_goes_to_one_seed_and_no_seed_gets_two_more_than_another(owners, count):
    draws = list(range(20, 20 + count))
    shares = _share_draws(owners, draws)
    for owner in set(owners):
        mine = [share for o, share in zip(owners, shares, strict=True) if o == owner]
        assert sorted(draw for share in mine for draw in share) == draws
        assert max(map(len, mine)) - min(map(len, mine)) <= 1


def test_what_was_spent_and_found_by_hand():
    results = [
        SearchResult(
            "a",
            first_round=(True, False, False, False),
            last_round=(True, True, False, False),
            programs={"drawn": 4, "refined": 4, "repaired": 0},
            tokens={"drawn": 40, "refined": 20, "repaired": 0},
            submissions=(False, True, True),
            has_examples=True,
        ),
        SearchResult(
            "b",
            first_round=(False,) * 4,
            last_round=(False,) * 4,
            programs={"drawn": 4, "refined": 0, "repaired": 0},
            tokens={"drawn": 60, "refined": 0, "repaired": 0},
            submissions=(False,),
        ),
    ]
    record = search_record("critic_sampling", results, [1, 2, 8])
    value = {
        (way, kind, k): entry["value"]
        for way in ("with", "without")
        for kind in ("pass_at_k", "n_at_k")
        for k, entry in record[way][kind].items()
    }
    two_of_four = 1 - comb(2, 2) / comb(4, 2)
    assert value == {
        ("without", "pass_at_k", "1"): 0.125,
        ("without", "pass_at_k", "2"): 0.25,
        ("without", "n_at_k", "1@4"): 0.125,
        ("without", "n_at_k", "2@4"): 0.25,
        ("with", "pass_at_k", "1"): 0.25,
        ("with", "pass_at_k", "2"): round(two_of_four / 2, 6),
        ("with", "n_at_k", "1@8"): 0.0,
        ("with", "n_at_k", "2@8"): 0.5,
    }
    assert record["budget"] == {
        "programs": {"drawn": 8, "refined": 4, "repaired": 0},
        "tokens": {"drawn": 100, "refined": 20, "repaired": 0},
        "programs_per_problem": 6.0,
        "tokens_per_problem": 60.0,
    }
    assert record["problems"] == {"all": 2, "with_examples": 1, "drawn": 2, "refined": 1, "repaired": 0}


def test_training_programs_begin_where_the_critic_trusts_the_first_half(executor):
    benchmark = OneExample("a", "b")
    begin = "def f(x): return "
    script = {
        "a": [(SHORTCUT, -0.1), (WRONG, -0.2), (RIGHT, -0.3), (begin + "3", -0.4)],
        "b": [(WRONG, -0.1), (CRASH, -0.2), (WRONG, -0.3), (RIGHT, -0.4)],
    }
    for name in "ab":
        script[name] = {**dict(enumerate(script[name])), -1: (RIGHT, -0.1)}
    sampler = Scripted(policy=script)
    pipeline = pipeline_of(benchmark, sampler, executor)
    pipeline.multi_round_sampler = CriticSampling(pipeline, Trusting(begin))
    pending = pipeline.start_rollouts(
        benchmark.problems("train"), range(4), Sampling(max_new_tokens=60), 0, greedy=True, version=7, training=True
    )
    [_, (_, first), (_, second)] = sampler.requests
    assert [(r.draws, r.prefix_ids) for r in first] == [((0, 1), ())] * 2
    given = {r.problem_id: (r.draws, "".join(map(chr, r.prefix_ids))) for r in second}
    assert given == {"a": ((2, 3), begin), "b": ((2, 3), "")}  # no program of b passes its example
    groups = pipeline.collect_rollouts(pending)
    assert [[r.program.draw for r in group] for group in groups] == [[-1, 0, 1, 2, 3]] * 2
    assert [r.program.text for r in groups[0]] == [RIGHT, SHORTCUT, WRONG, RIGHT, begin + "3"]
    assert {r.program.version for group in groups for r in group} == {7}
    refined = groups[0][3].program
    assert len(refined.token_ids) == len(refined.logprobs) == len(RIGHT) - len(begin) + 1
    tests = [job.tests for job in executor.jobs]
    # whole tests for 4 and 3 different programs
    assert (tests.count((EXAMPLE,)), tests.count((EXAMPLE, HIDDEN)), len(tests)) == (8, 7, 15)
