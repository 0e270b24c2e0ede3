"""What `inference.score=match` costs: CPU milliseconds a program, random weights of CodeT5+ 220M bimodal's shape.

    python tests/perf/matching.py [--programs 20] [--tokens 60] [--text 60] [--repeats 3]

Prints JSON: the median over repeats, of this process's CPU time, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from codet5p_folders import codet5p_t5_folder

from rltf.policies.codet5p.matching import Matcher

BASE = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=60, help="of a program")
    parser.add_argument("--text", type=int, default=60, help="tokens of the problem's text")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        codet5p_t5_folder(Path(folder), "bimodal", **BASE)
        matcher = Matcher("random", folder)
    text = "write " * (arguments.text // 2)
    programs = [f"x = {i}\n" + "x = x\n" * (arguments.tokens // 5) for i in range(arguments.programs)]
    lengths = [len(matcher.tokenizer(program)["input_ids"]) for program in programs]
    matcher.scores(text, programs[:2])
    milliseconds = []
    for _ in range(arguments.repeats):
        start = os.times().user
        matcher.scores(text, programs)
        milliseconds.append(1000 * (os.times().user - start) / len(programs))
    report = {
        "weights_M": round(sum(weight.numel() for weight in matcher.model.parameters()) / 1e6, 1),
        "text_tokens": len(matcher.tokenizer(text)["input_ids"]),
        "program_tokens": statistics.median(lengths),
        "cpu_ms_a_program": round(statistics.median(milliseconds), 1),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
