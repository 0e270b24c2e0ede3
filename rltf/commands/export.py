"""`rltf export RUN`: the policy of a run's checkpoint in the Hugging Face layout, also of a run that was stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rltf.runs.checkpoint_file import check_checkpoint, checkpoint_path, newest, read_checkpoint
from rltf.runs.failures import USER_MISTAKE
from rltf.runs.files import CHECKPOINT_FOLDER, CONFIG_FILE, POLICY_FOLDER, SUMMARY_FILE
from rltf.runs.lock import locked
from rltf.runs.model_card import write_card
from rltf.runs.record import read_summary
from rltf.runs.resume import read_config
from rltf.setup.instantiate import build

BEST_FOLDER = "policy_best"
"""Of a run: its policy with the best validation pass@1."""
PREFIX = "policy."
"""Of the policy's weights in a checkpoint."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the folder and prints its path.

    Returns:
        0; 2 after a mistake, which is one sentence.
    """
    options = _parser().parse_args(arguments)
    trusted = ["rltf", "lightning", *options.trust]
    try:
        checkpoint = find_checkpoint(options.run, options.best)
        out = options.out or options.run / (BEST_FOLDER if options.best else POLICY_FOLDER)
        with locked(options.run) if out == options.run / POLICY_FOLDER else nullcontext():
            iterations = export(options.run, checkpoint, out, trusted, options.trust_remote_code)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_MISTAKE
    when = "of the warm-up" if checkpoint.name.startswith("warmup") else f"after {iterations} iterations"
    print(f"{out}: the policy {when} ({checkpoint.relative_to(options.run)})")
    return 0


def find_checkpoint(run: Path, best: bool) -> Path:
    """The checkpoint with the best validation pass@1, or the newest one of a run.

    Raises:
        ValueError: the folder is no run's, or the run has none.
    """
    if not (run / CONFIG_FILE).is_file():
        raise ValueError(f"{run} is no run folder: expected one that holds {CONFIG_FILE}")
    checkpoint = newest(run, ("best",) if best else ("last", "warmup"))
    if checkpoint is None and best and checkpoint_path(run, "last").exists():
        raise ValueError(f"{run} has no best.ckpt, since nothing was validated yet: leave out --best")
    if checkpoint is None:
        raise ValueError(f"{run / CHECKPOINT_FOLDER} holds no checkpoint: expected a run that has saved one")
    return checkpoint


def export(run: Path, checkpoint: Path, out: Path, trusted: Sequence[str], trust_remote_code: bool) -> int:
    """Builds the run's model, loads the checkpoint's weights, and writes the policy.

    Args:
        run: the run folder. Its config is data that may be somebody else's, so it does not say what is trusted.
        checkpoint: of that run.
        out: the folder to write.
        trusted: packages that the model's `_target_` may name.
        trust_remote_code: run model code that comes with the weights.

    Returns:
        Iterations of RL that the policy has had.

    Raises:
        ValueError: the model cannot be built, or is not the checkpoint's.
    """
    cfg: DictConfig = OmegaConf.create({**read_config(run), "trusted": list(trusted)})
    if OmegaConf.select(cfg, "model.trust_remote_code") and not trust_remote_code:
        raise ValueError(f"{run / CONFIG_FILE} has model.trust_remote_code=true: expected --trust-remote-code, too")
    policy = build(cfg, "model")
    trained = {PREFIX + name: weight for name, weight in policy.named_parameters() if weight.requires_grad}
    check_checkpoint(checkpoint, trained)
    content = read_checkpoint(checkpoint)
    weights = {name.removeprefix(PREFIX): w for name, w in content["state_dict"].items() if name.startswith(PREFIX)}
    policy.load_state_dict(weights, strict=False)  # frozen weights are in no checkpoint: the model has them
    policy.eval()
    policy.export(out, OmegaConf.select(cfg, "generation.sampling.max_new_tokens"))
    if (run / SUMMARY_FILE).is_file():  # else it was stopped before its first evaluation
        write_card(run, out, _weights(run, checkpoint))
    return int(content["epoch"]) + 1


def _weights(run: Path, checkpoint: Path) -> str:
    """What the card says of them."""
    if checkpoint.name.startswith("best"):
        return "best"
    finished = read_summary(run).get("status") == "finished" and checkpoint.name.startswith("last")
    return "last" if finished else "stopped"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rltf export",
        description="Writes the policy of a run's newest checkpoint to RUN/policy, safetensors and tokenizer, where "
        "eval.py policy=RUN and transformers find it.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder; the run may have been stopped")
    parser.add_argument("--best", action="store_true", help=f"the best weights by val/pass@1, to RUN/{BEST_FOLDER}")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write there instead")
    parser.add_argument(
        "--trust", nargs="+", default=[], metavar="PACKAGE", help="packages of your own that the run's model names"
    )
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the weights")
    return parser


if __name__ == "__main__":
    sys.exit(main())
