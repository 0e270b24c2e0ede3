"""`python -m rltf.benchmarks.decontaminate`: which training problems repeat problems of evaluation sets."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rltf.benchmarks.decontaminate.overlap import Overlap, overlaps
from rltf.commands.benchmark_options import named_benchmark, problems_of
from rltf.validation import sentence_of

MOST_NAMED = 20
"""Training problems that are named, those with the largest shares."""


def main(argv: Sequence[str] | None = None, prog: str = "python -m rltf.benchmarks.decontaminate") -> int:
    """Prints which training problems repeat others; returns 0, or 2 for a mistake."""
    arguments = _parser(prog).parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        train = problems_of(named_benchmark(arguments.train), ("train", "validation"))
        if not train:
            raise ValueError(f"{arguments.train.partition('=')[0]} has no training problems")
        results = {}
        for name in arguments.against:
            evaluation = problems_of(named_benchmark(name), ("test",))
            pairs = list(overlaps(train, evaluation, arguments.n, arguments.share))
            results[name.partition("=")[0]] = (len(evaluation), pairs)
        if arguments.write is not None:
            _write(arguments.write, [overlap for _, pairs in results.values() for overlap in pairs])
    except (ValueError, OSError) as error:
        print(f"error: {sentence_of(error)}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps({name: _record(count, pairs) for name, (count, pairs) in results.items()}))
    else:
        print("\n".join(_lines(len(train), results, arguments.n, arguments.share)))
    return 0


def _record(count: int, pairs: Sequence[Overlap]) -> dict[str, Any]:
    rows = [{"train": o.train_id, "eval": o.eval_id, "share": o.share, "same_solution": o.same_solution} for o in pairs]
    return {"evaluation_problems": count, "overlaps": rows}


def _lines(count: int, results: dict[str, tuple[int, list[Overlap]]], n: int, share: float) -> list[str]:
    lines = [f"{count} training problems; a problem repeats another with {share:.0%} of its runs of {n} words"]
    for name, (evaluation, pairs) in results.items():
        eval_ids = {overlap.eval_id for overlap in pairs}
        same = sum(overlap.same_solution for overlap in pairs)
        lines.append(
            f"{name}: {len(pairs)} training problems repeat {len(eval_ids)} of {evaluation}; "
            f"{same} have a solution in common"
        )
        pairs = sorted(pairs, key=lambda overlap: (-overlap.share, overlap.train_id))
        for overlap in pairs[:MOST_NAMED]:
            solution = ", same solution" if overlap.same_solution else ""
            lines.append(f"  {overlap.train_id} repeats {overlap.share:.0%} of {overlap.eval_id}{solution}")
        if len(pairs) > MOST_NAMED:
            lines.append(f"  and {len(pairs) - MOST_NAMED} more")
    return lines


def _write(path: Path, pairs: Sequence[Overlap]) -> None:
    ids = dict.fromkeys(overlap.train_id for overlap in pairs)
    path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Finds training problems that repeat evaluation problems, by runs of words and by solutions.",
        epilog="example: python -m rltf.benchmarks.decontaminate apps=apps.jsonl --against mbpp=mbpp.jsonl humaneval",
    )
    parser.add_argument("train", metavar="TRAIN", help="benchmark to train on: NAME, or NAME=FILE")
    parser.add_argument("--against", nargs="+", required=True, metavar="EVAL", help="benchmarks to be evaluated on")
    parser.add_argument("--n", type=int, default=8, help="words in a run (default: 8)")
    parser.add_argument("--share", type=float, default=0.3, help="of an evaluation problem's runs (default: 0.3)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="writes the ids, for benchmark.exclude=FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of text")
    return parser
