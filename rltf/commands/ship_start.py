"""Writes a start that ships, and its card, from a run that trained it: `make warm-start`, `make long-start`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rltf.runs.atomic import replacing, write_text
from rltf.runs.checkpoint_file import read_checkpoint
from rltf.runs.files import CONFIG_FILE
from rltf.runs.record import read_summary, read_yaml
from rltf.runs.warm_starts import NAMED, SHIPPED, start_of_run, warmup_settings


def ship(run: Path, target: Path = SHIPPED) -> None:
    """Writes a run's start in half precision, and beside it a card: settings, seed, versions, pass@k.

    Args:
        run: folder of a run with a warm-up and an evaluation before RL.
        target: the file; its card has the suffix `.json`.

    Raises:
        ValueError: the run has no start.
    """
    path = start_of_run(run)
    if path is None:
        raise ValueError(f"{run} has no start: expected the folder of a run with warmup.from=scratch")
    weights = _halves(read_checkpoint(path)["state_dict"])
    with replacing(target) as new_file:
        torch.save({"state_dict": weights}, new_file)
    config: dict[str, Any] = read_yaml(run / CONFIG_FILE)
    summary = read_summary(run)
    card = {
        "what": "a policy after supervised warm-up, from random weights, on programs of which a share is faulty",
        "made_by": "make warm-start" if target == SHIPPED else "make long-start",
        "settings": warmup_settings(config),
        "seed": config["seed"],
        "versions": summary["versions"],
        "held_out": summary["evaluation"]["before"]["pass_at_k_interval"],
        "parameters": sum(weight.numel() for weight in {w.data_ptr(): w for w in weights.values()}.values()),
        "license": "that of rltf; the training programs are those of the benchmark, which rltf generates",
    }
    write_text(target.with_suffix(".json"), json.dumps(card, indent=1) + "\n")


def _halves(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights in half precision; tied ones stay one tensor."""
    halves = {weight.data_ptr(): weight.half() for weight in weights.values()}
    return {name: halves[weight.data_ptr()] for name, weight in weights.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: `python -m rltf.commands.ship_start RUN [--start NAME]`."""
    parser = argparse.ArgumentParser(prog="python -m rltf.commands.ship_start", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run with warmup.from=scratch")
    parser.add_argument("--start", choices=NAMED, help="which start; none: that of the default run")
    args = parser.parse_args(argv)
    try:
        ship(args.run, NAMED[args.start] if args.start else SHIPPED)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
