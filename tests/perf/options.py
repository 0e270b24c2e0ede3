"""What each option of credit, curriculum, search and selection takes of an iteration of the default run.

    python tests/perf/options.py [--iterations 8] [--only NAME ...]

Each option runs the default recipe for so many iterations from one warmed-up policy, in this process, on as many
threads as the default has; the first iteration and the last are left out. Prints JSON: wall seconds of a middling
iteration by phase, and the whole over that of the plain run, which is run after every option: on a machine that is busy
compare these ratios alone, best that of processor seconds of the whole run, the sandbox's included (`cpu_over_plain`).
`prm` reads a process reward model of random weights, which costs what a trained one does.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hydra import compose, initialize_config_dir

from rltf.commands.train import train
from rltf.policies.tiny import tiny_t5
from rltf.prm.model import ProcessRewardModel

CRITIC = ["critic=outcome", "credit=critic_token"]
OPTIONS = {
    "credit=executed": ["credit=executed"],
    "credit=tests": ["credit=tests"],
    "credit=tree": ["credit=tree"],
    "credit=divergence": ["credit=divergence"],
    "critic=outcome credit=critic_token": CRITIC,
    "critic=mlp algorithm=ppo": ["critic=mlp", "algorithm=ppo"],
    "critic=value algorithm=ppo": ["critic=value", "algorithm=ppo"],
    "reward=coarse+fine+adaptive+prm": ["reward=coarse+fine+adaptive+prm", "reward.terms.prm.model={prm}"],
    "reward=static": ["reward=static"],
    "reward=grounding": ["reward=grounding"],
    "reward=coarse+fine+adaptive+grounding": ["reward=coarse+fine+adaptive+grounding"],
    "experiment=rlcf": ["experiment=rlcf"],
    "buffer=distinct": ["buffer=distinct"],
    "experiment=actor_critic": ["experiment=actor_critic"],
    "curriculum=cccs": ["curriculum=cccs"],
    "curriculum=prefix": ["curriculum=prefix"],
    "curriculum=pool": ["curriculum=pool"],
    "inference=repair": ["inference=repair", "model.max_prompt_tokens=256"],
    "inference=critic_sampling, with the critic": ["inference=critic_sampling", *CRITIC],
    "algorithm=dapo": ["algorithm=dapo"],
    "algorithm=soft_q": ["algorithm=soft_q"],
    "auxiliary=atc": ["auxiliary=atc"],
    "tasks=replay, with two validations": [  # for --iterations 8, the default
        *("tasks=replay", "tasks.by=difficulty", "tasks.order=[easy,medium]", "trainer.check_val_every_n_epoch=5"),
    ],
}
QUIET = [
    "logger=none",
    "callbacks.progress=null",
    "report=false",
    "callbacks.checkpoints=null",
    "evaluation={problems: 2, samples: 1, ks: [1]}",
    "trainer.check_val_every_n_epoch=1000",
]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=[""], help="options whose name holds one of these")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prm = folder / "prm"
        tiny_t5().export(prm / "policy")
        ProcessRewardModel(tiny_t5(), 0, 1e-5, 0.0, 1, 8).save(prm / "critic.pt")
        start = ["warmup.steps=300", "trainer.max_epochs=1", f"paths.output_dir={folder / 'start'}"]
        quietly(composed(*start))
        report: dict[str, Any] = {"load_average": os.getloadavg()[0], "iterations": arguments.iterations}
        for number, (name, options) in enumerate(OPTIONS.items()):
            if any(part in name for part in arguments.only):
                overrides = [option.format(prm=prm) if "{prm}" in option else option for option in options]
                with_option, cpu = seconds(folder / f"{number}", overrides, arguments.iterations)
                plain, plain_cpu = seconds(folder / f"{number}_plain", [], arguments.iterations)
                report[name] = {
                    "seconds": {phase: round(value, 3) for phase, value in with_option.items()},
                    "plain_seconds": {phase: round(value, 3) for phase, value in plain.items()},
                    "over_plain": round(sum(with_option.values()) / sum(plain.values()), 2),
                    "cpu_seconds": round(cpu, 2),
                    "plain_cpu_seconds": round(plain_cpu, 2),
                    "cpu_over_plain": round(cpu / plain_cpu, 2),
                }
                print(name, report[name]["over_plain"], file=sys.stderr)
    print(json.dumps(report, indent=1))


def seconds(folder: Path, options: list[str], iterations: int) -> tuple[dict[str, float], float]:
    """Median wall seconds of an iteration, by phase; processor seconds of the whole run per iteration."""
    warm_start = [
        "model=pretrained",
        "recipe=tiny_t5",
        "model.name=warm",
        f"model.path={folder.parent / 'start' / 'policy'}",
    ]
    warm_start += ["model.max_prompt_tokens=128", "warmup.steps=0", f"trainer.max_epochs={iterations + 2}"]
    before = sum(os.times()[:4])
    quietly(composed(*warm_start, f"paths.output_dir={folder}", *options))
    cpu = (sum(os.times()[:4]) - before) / (iterations + 2)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["perf/seconds/training"]]
    measured = rows[-iterations - 1 : -1]  # the last iteration draws nothing
    names = [name for name in measured[0] if name.startswith("perf/seconds/")]
    medians = {name.rsplit("/", 1)[1]: statistics.median(float(row[name] or 0) for row in measured) for name in names}
    return {phase: value for phase, value in medians.items() if value > 0}, cpu


def quietly(cfg: Any) -> None:
    """A run whose output goes to standard error: standard output is for the JSON."""
    with contextlib.redirect_stdout(sys.stderr):
        train(cfg)


def composed(*overrides: str) -> Any:
    """The config of the default run, quietly."""
    with initialize_config_dir(str(Path(__file__).resolve().parents[2] / "configs"), version_base="1.3"):
        return compose("train", [*QUIET, *overrides])


if __name__ == "__main__":
    main()
