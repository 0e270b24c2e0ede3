"""Trains a byte-level BPE tokenizer on `infinitum`, for the tiny models: that of `mini` spells the words of these tasks
letter by letter. `python -m rltf.benchmarks.infinitum.tokenizer --out tokenizer.json`, then
`model.tokenizer=tokenizer.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rltf.benchmarks.infinitum.benchmark import Infinitum
from rltf.benchmarks.infinitum.english import VARIANTS
from rltf.benchmarks.mini.tokenizer import train


def texts(items: int, seed: int, language: str) -> Iterator[str]:
    """Prompts in all wordings, and programs, of the first items of the training split."""
    benchmark = Infinitum(seed=seed, paraphrases=VARIANTS, language=language)
    for problem in islice(benchmark.stream("train"), items * VARIANTS):
        prompt = benchmark.prompt(problem)
        yield prompt.head + prompt.question + prompt.tail
        yield from problem.references


def main() -> None:
    """The command line's entry point."""
    parser = argparse.ArgumentParser(prog="python -m rltf.benchmarks.infinitum.tokenizer", description=train.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--vocabulary", type=int, default=768, help="largest number of tokens")
    parser.add_argument("--items", type=int, default=800, help="training items to read")
    parser.add_argument("--seed", type=int, default=0, help="of the items")
    parser.add_argument("--language", default="python", help="of the programs, as benchmark.language")
    args = parser.parse_args()
    tokenizer = train(texts(args.items, args.seed, args.language), args.vocabulary)
    args.out.write_text(tokenizer.to_str(pretty=False) + "\n", encoding="utf-8")
    print(f"{args.out}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
