"""Trains the byte-level BPE tokenizer of the embedded models on `mini`: `python -m rltf.benchmarks.mini.tokenizer`.

Digits and variables stand alone, so that the same token is read in the task and written in the program. A token never
starts inside one line and ends inside the code of another: a line break and the indentation after it stick to the
punctuation before them, so blame for a line falls on the tokens of that line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rltf.benchmarks.mini.benchmark import Mini

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("<pad>", "</s>", "<unk>")
"""Ids 0, 1 and 2."""
_NAMES = "xs|ys"
"""Variables of two letters; words of two letters and more take the spaces around them, variables and digits do not."""
_PIECES = (
    rf"\b(?:{_NAMES})\b| ?(?!(?:{_NAMES})\b)[A-Za-z_]{{2,}} ?|[A-Za-z_]|\d| ?[^\sA-Za-z_\d]+(?:\n *| )?|\n *| +|\s"
)
_ASSET = Path(__file__).parents[2] / "policies" / "tiny_tokenizer.json"


def texts(problems: int) -> Iterator[str]:
    """Prompts, right programs and demonstrations of the training split."""
    bench = Mini(seed=0, sizes={"train": problems}, demonstrated_share=1.0)
    for problem in bench.problems("train"):
        prompt = bench.prompt(problem)
        yield prompt.head + prompt.question + prompt.tail
        yield from problem.references
        yield from bench.demonstrations(problem)


def train(corpus: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer that gives back any text exactly.

    Args:
        corpus: Texts.
        vocabulary: Largest number of tokens, the 256 bytes and the special ones included.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def main() -> None:
    """The command line's entry point."""
    parser = argparse.ArgumentParser(prog="python -m rltf.benchmarks.mini.tokenizer", description=train.__doc__)
    parser.add_argument("--out", type=Path, default=_ASSET, help="file to write")
    parser.add_argument("--vocabulary", type=int, default=640, help="largest number of tokens")
    parser.add_argument("--problems", type=int, default=4000, help="training problems to read")
    args = parser.parse_args()
    tokenizer = train(texts(args.problems), args.vocabulary)
    args.out.write_text(tokenizer.to_str(pretty=False) + "\n")
    print(f"{args.out}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
