"""Real weights: SmolLM2-135M-Instruct on MBPP, supervised training alone against RLTF with coarse and with all
granularities; in pieces that may be cut off.

    python tests/gpu/proof.py --data SHARED_DATA --out FOLDER [--minutes 7] [--cpu] [--seeds 1]

A piece goes on where the last one stopped, and ends after `--minutes`: a training run gets SIGTERM then, and continues
from its checkpoint, which is small (LoRA: adapters and their moments alone). Call it until it says that all is done.
On a GPU it trains on MBPP's 374 problems and APPS's short introductory ones; with `--cpu` on 64 MBPP problems, 30
iterations. Evaluated are the start and every arm on sanitized MBPP (257 problems) and HumanEval: pass@1 and pass@10 of
10 samples at temperature 0.8, and greedy pass@1, since sharpening alone can look like learning. `FOLDER/proof.json` has
the figures, and the commands that gave them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARMS = {"supervised": ["algorithm=sft"], "coarse": ["reward=coarse"], "all": ["reward=coarse+fine+adaptive"]}
MODEL = ["model=smollm2_135m", "model.lora={r: 16, alpha: 32}"]
GRACE = 60
"""Seconds that a run has to end in after SIGTERM."""


@dataclass(frozen=True)
class Step:
    """One command, and the file that exists once it is done."""

    name: str
    command: list[str]
    folder: Path
    done: Path

    @property
    def is_done(self) -> bool:
        """A training run's summary also exists while it runs."""
        if not self.done.exists():
            return False
        return self.done.name != "summary.json" or json.loads(self.done.read_text())["status"] == "finished"


def main() -> None:
    """Runs what is left, up to the given minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with mbpp.jsonl, mbpp_sanitized.json, ...")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--cpu", action="store_true", help="64 problems, 30 iterations, 60 problems to evaluate")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="a config key of every training run")
    parser.add_argument("--evaluate", type=int, help="problems of MBPP to evaluate; all, or 60 with --cpu")
    parser.add_argument("--transfer", type=int, help="problems of HumanEval to evaluate; as many")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    plan = list(steps(arguments))
    for step in plan:
        if step.is_done:
            continue
        left = end - time.monotonic()
        if left < GRACE:
            break
        if (code := run(step, left - GRACE)) != 0 and time.monotonic() < end - GRACE:
            sys.exit(f"{step.name} ended with {code}: {step.folder}/console.log")
    write(plan, arguments.out)
    waiting = [step.name for step in plan if not step.is_done]
    print(f"to do: {', '.join(waiting)}" if waiting else f"all is done: {arguments.out / 'proof.json'}")


def steps(arguments: argparse.Namespace) -> Iterator[Step]:
    """In order: the start on MBPP, each arm's training and evaluation on MBPP, then all of them on HumanEval."""
    data, out = arguments.data.resolve(), arguments.out.resolve()
    policies = {"start": "smollm2_135m"}
    yield evaluation("start", "smollm2_135m", "mbpp", data, out, arguments)
    for seed in range(1, arguments.seeds + 1):
        for arm, options in ARMS.items():
            name = f"{arm}_seed{seed}"
            folder = out / name
            command = ["train.py", *MODEL, *training(data, arguments.cpu), *options, f"seed={seed}", *arguments.set]
            command += ["logger=none", f"hydra.run.dir={folder}"]
            yield Step(name, command, folder, folder / "summary.json")
            policies[name] = str(folder / "policy")
            yield evaluation(name, policies[name], "mbpp", data, out, arguments)
    for name, policy in policies.items():
        yield evaluation(name, policy, "humaneval", data, out, arguments)


def training(data: Path, cpu: bool) -> list[str]:
    """What all arms share. The evaluations inside a run are kept small: eval.py does them."""
    setting = {
        "rollouts.problems": 8,
        "rollouts.samples": 8,
        "rollouts.updates": 2,
        "rollouts.batch_size": 16,
        "rollouts.demonstrations": 4,
        "optimizer.lr": 2e-4,
        "generation.sampling.max_new_tokens": 96,
        "evaluation.problems": 4,
        "evaluation.samples": 1,
        "evaluation.validation_problems": 4,
        "trainer.check_val_every_n_epoch": 1000,
        "report": "false",
    }
    if cpu:
        setting |= {"benchmark": "mbpp", "benchmark.path": data / "mbpp.jsonl", "benchmark.limit": 64}
    else:
        setting |= {
            "trainer": "gpu",
            "trainer.max_epochs": 150,
            "rollouts.problems": 32,
            "benchmark": "mbpp+apps",
            "benchmark.parts.mbpp.path": data / "mbpp.jsonl",
            "benchmark.parts.apps.path": data / "apps" / "apps_function.jsonl.gz",
        }
    return [f"{key}={value}" for key, value in setting.items()]


TEST_SETS = {"mbpp": ("mbpp_sanitized.json", "doc"), "humaneval": ("humaneval.jsonl.gz", "chat")}
"""File and prompt. Continued from its header alone, as HumanEval is meant, the instruct model closes a code fence and
talks: 0 of 60 problems."""


def evaluation(name: str, policy: str, benchmark: str, data: Path, out: Path, arguments: argparse.Namespace) -> Step:
    """Of one policy on one test set."""
    problems = arguments.evaluate or (60 if arguments.cpu else None)
    problems = problems if benchmark == "mbpp" else arguments.transfer or problems
    file, prompt = TEST_SETS[benchmark]
    folder = out / "evaluations" / f"{name}_{benchmark}"
    command = ["eval.py", f"policy={policy}", f"benchmark={benchmark}", f"benchmark.path={data / file}"]
    command += [f"benchmark.prompt={prompt}", "evaluation.samples=10", "evaluation.ks=[1,10]", "evaluation.top_p=0.95"]
    command += ["generation.sampling.max_new_tokens=128", f"hydra.run.dir={folder}"]
    command += [f"evaluation.problems={problems}"] if problems else []
    command += [] if arguments.cpu else ["trainer=gpu"]
    return Step(f"{name} on {benchmark}", command, folder, folder / "results.json")


def run(step: Step, seconds: float) -> int:
    """The exit code of the step's command; a training run that was begun before is resumed."""
    command = step.command
    if list((step.folder / "checkpoints").glob("*.ckpt")):
        command = ["train.py", f"resume={step.folder}"]
    step.folder.mkdir(parents=True, exist_ok=True)
    print(f"{step.name}: python {' '.join(command)}", flush=True)
    with (step.folder / "console.log").open("a") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=log, stderr=log, env=os.environ)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def write(plan: list[Step], out: Path) -> None:
    """What is known so far."""
    found = {}
    for step in plan:
        if step.is_done and step.done.name == "results.json":
            record = json.loads(step.done.read_text())
            kept = ("problems", "n", "pass_at_k_interval", "greedy_pass_at_1", "outcomes")
            found[step.name] = {key: record[key] for key in kept}
    commands = {step.name: "python " + " ".join(step.command) for step in plan}
    out.mkdir(parents=True, exist_ok=True)
    (out / "proof.json").write_text(json.dumps({"results": found, "commands": commands}, indent=1) + "\n")


if __name__ == "__main__":
    main()
