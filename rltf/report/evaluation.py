"""The content of the report of an evaluation: pass@k of one policy, what became of its programs, and some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rltf.report.compare.flips import passes
from rltf.report.compare.statistics import Estimate, estimate_of_share
from rltf.report.document import Document, Table, section, table
from rltf.report.draw.bars import bar_chart, dot_chart
from rltf.report.draw.chart import Chart
from rltf.report.draw.numbers import percent
from rltf.report.read.evaluation import ProblemOutcome
from rltf.report.read.results import Evaluation
from rltf.report.read.run import as_object
from rltf.report.sections.overview import command, settings_table
from rltf.report.sections.results import share_text
from rltf.types import Outcome

MOST_ERRORS = 12
"""Error types in the chart."""
_WORDING = "paraphrase:"
"""Start of the tag of a problem that is a wording of an item; the item's id is the problem's without the last part."""


def build_evaluation(evaluation: Evaluation) -> Document:
    """Content of the report of one evaluation."""
    results = evaluation.results
    shares = dict(evaluation.pass_at_k)
    name, policy = str(results.get("benchmark", "")), str(results.get("policy", ""))
    facts = [(key, str(results[key])) for key in ("seed", "temperature", "top_p") if results.get(key) is not None]
    tiles = [(f"held-out {measure}", percent(estimate.value)) for measure, estimate in list(shares.items())[:3]]
    tiles += [("problems", f"{results['problems']:,}")] if isinstance(results.get("problems"), int) else []
    tiles += [("programs a problem", str(results["n"]))] if isinstance(results.get("n"), int) else []
    kinds = [chart for key in ("by_difficulty", "by_tag") for chart in _kind_parts(results, key)]
    sections = [
        *section(
            "pass@k", _pass_table(shares), dot_chart("heldout", "pass@k", list(shares), [("", 0, shares)], "pass@k")
        ),
        *section("What became of the programs", *_outcome_parts(results), _error_chart(results)),
        *section("Problems by kind", *kinds, _kinds_table(evaluation.problems)),
        *section("Stability under paraphrase", _stability_table(evaluation.problems)),
        *section("The search", _search_table(as_object(results.get("inference")))),
    ]
    return Document(
        title=f"Evaluation: {policy}, {name}",
        facts=(*facts, ("folder", evaluation.folder.resolve().name)),
        commands=(command(evaluation.overrides, "eval.py"),) if evaluation.config is not None else (),
        tiles=tuple(tiles),
        notices=(),
        results=(),
        sections=tuple(sections),
        gallery=evaluation.gallery,
        versions="",
        settings=settings_table(evaluation.config or {}, "eval"),
    )


def _pass_table(shares: Mapping[str, Estimate]) -> Table | None:
    note = "In brackets the 95 % interval over problems (bootstrap)."
    return table(["measure", "share"], [[measure, share_text(estimate)] for measure, estimate in shares.items()], note)


def _outcome_parts(results: Mapping[str, Any]) -> list[Table | Chart | None]:
    counts = {str(k): int(v) for k, v in as_object(results.get("outcomes")).items()}
    programs = sum(counts.values())
    names = [str(outcome) for outcome in Outcome if counts.get(str(outcome))]
    body = [[name.replace("_", " "), f"{counts[name]:,}", percent(counts[name] / programs)] for name in names]
    return [table(["outcome", "programs", "share"], body)]


def _error_chart(results: Mapping[str, Any]) -> Chart | None:
    counts = {str(k): int(v) for k, v in as_object(results.get("errors")).items()}
    programs = sum(int(v) for v in as_object(results.get("outcomes")).values())
    frequent = sorted(counts, key=lambda kind: -counts[kind])[:MOST_ERRORS]
    shares = {kind: Estimate(counts[kind] / programs) for kind in frequent}
    note = f"{len(counts) - len(frequent)} rarer types are left out." if len(counts) > len(frequent) else ""
    return bar_chart("errors", "Errors", frequent, [("", 0, shares)], "share of programs", note)


def _kind_parts(results: Mapping[str, Any], key: str) -> list[Chart | None]:
    shares = {
        str(label): Estimate(float(as_object(by_k)["1"]))
        for label, by_k in as_object(results.get(key)).items()
        if "1" in as_object(by_k)
    }
    name = "difficulty" if key == "by_difficulty" else "construct"
    return [dot_chart(name, f"pass@1 by {name}", list(shares), [("", 0, shares)], "pass@1")]


def _kinds_table(problems: Sequence[ProblemOutcome]) -> Table | None:
    """pass@1 of the problems with each tag, with intervals."""
    shares: dict[str, list[float]] = {}
    for problem in problems:
        for tag in problem.tags:
            shares.setdefault(tag, []).append(problem.passed / len(problem.draws))
    body = [[tag, str(len(shares[tag])), share_text(estimate_of_share(shares[tag]))] for tag in sorted(shares)]
    return table(["kind", "problems", "pass@1"], body, "In brackets Wilson's 95 % interval over problems.", folded=True)


def _stability_table(problems: Sequence[ProblemOutcome]) -> Table | None:
    """How many items end alike in all of their wordings; None where no item has several."""
    items: dict[str, list[bool]] = {}
    for problem in problems:
        if any(tag.startswith(_WORDING) for tag in problem.tags):
            items.setdefault(problem.problem_id.rpartition("/")[0], []).append(passes(problem))
    several = [wordings for wordings in items.values() if len(wordings) > 1]
    if not several:
        return None
    alike = estimate_of_share([float(len(set(wordings)) == 1) for wordings in several])
    counts = [sum(map(all, several)), sum(not any(wordings) for wordings in several)]
    row = [str(len(several)), *map(str, counts), str(len(several) - sum(counts)), share_text(alike)]
    note = (
        "An item passes by its greedy program, or by more than half of its draws. In brackets Wilson's 95 % interval."
    )
    return table(["items", "pass in all wordings", "fail in all", "differ", "stable"], [row], note)


def _search_table(search: Mapping[str, Any]) -> Table | None:
    """pass@k with and without a search; None where programs were only sampled."""
    with_search, without = as_object(search.get("with")), as_object(search.get("without"))
    if not as_object(with_search.get("n_at_k")):
        return None
    body = []
    for k, entry in as_object(with_search.get("pass_at_k")).items():
        body.append([f"pass@{k}", _cell(as_object(without.get("pass_at_k")).get(k)), _cell(entry)])
    for (name, entry), (search_name, search_entry) in zip(
        as_object(without.get("n_at_k")).items(), as_object(with_search.get("n_at_k")).items(), strict=False
    ):
        body.append([name if name == search_name else f"{name} / {search_name}", _cell(entry), _cell(search_entry)])
    tokens = as_object(search.get("budget")).get("tokens_per_problem")
    note = "" if tokens is None else f"{tokens:,.0f} tokens a problem."
    return table(["measure", "without", f"with {search.get('name')}"], body, note)


def _cell(entry: Any) -> str:
    share = as_object(entry)
    return share_text(Estimate(share["value"], share["low"], share["high"])) if share else ""
