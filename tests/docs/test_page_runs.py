"""The runs, evaluations and reports of the pages, each executed with two tiny iterations in place of its own numbers.

They follow each other in one folder a page, so that a command finds what the ones before it wrote; `RUN`,
`outputs/DAY/TIME` and the other names that a reader fills in are folders there. Weights that are not in the repository
are replaced by tiny ones (`REPLACED`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fork_server
import pytest
from codet5p_folders import codet5p_folder, codet5p_t5_folder
from pages import ROOT
from test_page_commands import RUNS, of, without_repeats

pytestmark = pytest.mark.slow

TINY = [
    *("debug=default", "warmup.steps=4", "warmup.from=scratch", "trainer.max_epochs=2", "executor.workers=1"),
    *("rollouts.problems=2", "rollouts.samples=2", "rollouts.updates=2", "rollouts.batch_size=2"),
    "generation.sampling.max_new_tokens=64",
]
EVALUATED = ["evaluation.problems=2", "evaluation.samples=2", "evaluation.ks=[1,2]"]
SIZES = "benchmark.sizes={train: 20, validation: 4, test: 6}"
REPLACED = {
    "model=codet5_770m": ["model=tiny_t5"],
    "benchmark.path=APPS_FOLDER": [],
    "model=smollm2_135m": ["model=tiny_causal"],
    "model.lora={alpha: 32, r: 16}": [],  # which tiny_causal has none of
    "model=codet5p_2b": ["model=codet5p_2b", "recipe=tiny_t5", "model.max_prompt_tokens=190"],
    "policy=smollm2_135m": ["policy=tiny_causal"],
    "policy=me/my-coder": ["policy=RUN"],
    "inference.repair=REPAIR_RUN": ["inference.repair=RUN"],
    "benchmark.prompt=doc": ["benchmark.prompt=doc", "model.max_prompt_tokens=256"],
    "model.path=MODEL": ["model.path=RUN/policy", "recipe=tiny_t5", "benchmark.path=mbpp.jsonl"],
    "logger.wandb.mode=online": ["logger.wandb.mode=offline"],
    # of commands that differ in a seed alone, the first is run
    "job.data=[runs/prm_data1,runs/prm_data2]": ["job.data=[runs/prm_data1]"],
    "seed=1,2,3,4,5": ["seed=1"],
    "seed=1,2,3": ["seed=1"],
    "seed=1,2": ["seed=1"],
}
"""Word of a command -> what takes its place."""
NOT_RUN = {
    r".*--config-dir": "its page has a test of its own (test_add_*.py, test_example_package.py)",
    r"sbatch ": "executed by test_example_package.py",
    r"docker ": "needs a container engine",
    r"python train\.py trainer=ddp$": "needs GPUs; the command behind it is the same on CPU processes",
    r".*model\.quantization": "needs a CUDA GPU: tests/training/test_qlora_run.py has one on bitsandbytes' CPU backend",
    r".*benchmark\.chat": "needs a tokenizer with a chat template: tests/benchmarks/test_benchmark_prompts.py has one",
    r".*tracking_uri": "needs a server of MLflow: tests/loggers has one of its own",
    r".*generation=server": "needs a server: tests/generation/test_server.py has one of its own",
    r".*--wandb": "needs a project of W&B: tests/report/test_wandb_report.py stands in for it",
}
"""Pattern of a command that is composed and not run -> the reason."""
WRITES = {
    "job=atc": "ATC_RUN",
    "job=critic": "CRITIC_RUN",
    "job=prm_data": "PRM_DATA_RUN",
    "job=prm": "PRM_RUN",
    "benchmark=repair": "REPAIR_RUN",
    "job=mine": "MINE_RUN",
}
"""Word of a command -> the name by which others of its page speak of its folder. These run first."""


def first_those_that_write(typed):
    return min((at for at, word in enumerate(WRITES) if word in typed.words), default=len(WRITES))


COMMANDS = sorted(
    without_repeats([*RUNS, *of(r"python -m rltf\.report "), *of(r"python docs/")]),
    key=lambda typed: (typed.page, first_those_that_write(typed)),
)


def run(folder: Path, script: str, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    done = fork_server.run(script, *arguments, cwd=folder, env=environment)
    assert done.returncode == 0, f"{script} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory) -> Callable[[Path], Path]:
    """The folder in which a page's commands run, with all that a reader fills in."""
    base = tmp_path_factory.mktemp("pages")
    critic = ["critic=outcome", "credit=critic_token", "logger=none"]
    enough = ["rollouts.problems=10"]  # a job that learns from its programs holds some problems out
    run(
        base,
        "train.py",
        "-m",
        "seed=1,2",
        *critic,
        *TINY,
        SIZES,
        *EVALUATED,
        *enough,
        "hydra.sweep.dir=multirun/DAY/TIME",
    )
    [first] = (base / "multirun/DAY/TIME").glob("0_*")
    for name in ("RUN", "RUN_DIR", "outputs/DAY/TIME", "runs/start1"):
        shutil.copytree(first, base / name)
    run(base, "eval.py", "policy=RUN", "benchmark=mini", SIZES, *EVALUATED, "hydra.run.dir=outputs/eval/DAY/TIME")
    for name in ("EVAL", "EVAL_A", "EVAL_B"):
        shutil.copytree(base / "outputs/eval/DAY/TIME", base / name)
    shutil.copy(ROOT / "rltf" / "policies" / "tiny_tokenizer.json", base / "tokenizer.json")
    write_problems(base)
    codet5p_folder(base / "CODET5P_2B")
    codet5p_t5_folder(base / "EMBEDDING", "embedding")
    codet5p_t5_folder(base / "BIMODAL", "bimodal")
    shutil.copy(ROOT / "docs/results/contrastive/bodies.py", base)
    (base / "mine.py").write_text("import lightning.pytorch as L\n\n\nclass MyCallback(L.Callback):\n    pass\n")
    made: dict[Path, Path] = {}

    def folder(page: Path) -> Path:
        if page not in made:
            made[page] = tmp_path_factory.mktemp("page") / "folder"
            shutil.copytree(base, made[page])
        return made[page]

    return folder


def write_problems(folder: Path) -> None:
    """Problems in the forms of MBPP and of its sanitized part, a few of each split; and code to be mined."""
    (folder / "CODE").mkdir()
    functions = [f"def f{n}(xs, k):\n    return sum(xs) * {n} + k\n" for n in range(2, 42)]
    (folder / "CODE" / "functions.py").write_text("\n".join(functions))
    rows = []
    for number in (11, 12, 511, 512, *range(601, 606)):
        code = f"def add{number}(x):\n    return x + {number}"
        tests = [f"assert add{number}({x}) == {number + x}" for x in (1, 2)]  # a constant passes no two
        rows.append({"text": f"Write a function to add {number}.", "code": code, "task_id": number})
        rows[-1] |= {"test_setup_code": "", "test_list": tests, "challenge_test_list": []}
    (folder / "mbpp.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sanitized = [{**row, "prompt": row["text"], "test_imports": []} for row in rows]
    (folder / "mbpp_sanitized.json").write_text(json.dumps(sanitized))


def shortened(name: str, words: list[str]) -> list[str]:
    """The arguments of a run with tiny numbers behind them, which win."""
    replaced = [new for word in words if word != "..." for new in REPLACED.get(word, [word])]
    if any(word.startswith("resume=") for word in words):
        return replaced
    added = list(EVALUATED) if name == "eval" else [*TINY, *EVALUATED]
    if "evaluation.temperature=0" in replaced:  # one program a problem
        added += ["evaluation.samples=1", "evaluation.ks=[1]"]
    if {"+sweep=feedback_reward", "+sweep=feedback_credit", "experiment=long"} & {*replaced}:
        added.append("generation.sampling.max_new_tokens=320")  # whole programs, to learn from
        added += ["evaluation.samples=10", "evaluation.ks=[1,10]"]  # for parts.py
    if any(word.startswith("benchmark=mbpp") for word in replaced):
        if not any(word.startswith("benchmark.path=") for word in replaced):
            added.append("benchmark.path=mbpp.jsonl")
    elif "benchmark=mini+mbpp" in replaced:
        added.append(SIZES.replace("benchmark.", "benchmark.parts.mini."))
    elif not {"benchmark=repair", "benchmark=mined"} & {*replaced}:
        added.append(SIZES)
    if "tasks.by=difficulty" in replaced:  # as many iterations of each task, and validation problems
        added += ["benchmark.sizes={train: 60, validation: 40, test: 6}", "evaluation.validation_problems=40"]
        added += ["trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1"]
    elif any("continual" in word for word in replaced):
        added += ["evaluation.validation_problems=4", "trainer.max_epochs=4", "trainer.check_val_every_n_epoch=1"]
    for word, target in WRITES.items():
        if word in replaced and not any(w.startswith("hydra.run.dir=") for w in replaced):
            added.append(f"hydra.run.dir={target}")
    added += ["job.problems=10", "job.samples=2", "job.completions=2"] if "job=prm_data" in replaced else []
    added += ["job.steps=2", "job.k=0"] if "job=atc" in replaced else []  # such programs have few lines
    # of so few problems a tenth, chosen by their ids, would be none
    added += ["job.held_out=0.5"] if {"job=critic", "job=prm", "job=atc"} & set(replaced) else []
    added += ["benchmark.held_out=0.5"] if "benchmark=repair" in replaced else []
    if any(word.startswith("+sweep=") for word in replaced):
        added.append("seed=1")
    if "+sweep=feedback_hard" in replaced:
        added += ["reward=binary", "algorithm.advantages.normalize=std,none"]
    if "-m" in replaced and not any(word.startswith("hydra.sweep.dir=") for word in replaced):
        added.append("hydra.sweep.dir=sweep")
    return [*replaced, *added]


@pytest.mark.parametrize("typed", COMMANDS, ids=str)
def test_a_command_of_a_page_runs(typed, page_folder):
    for pattern, reason in NOT_RUN.items():
        if re.match(pattern, typed.text):
            pytest.skip(reason)
    for package in ("tensorboard", "mlflow", "trackio"):
        if re.search(rf"logger=\S*{package}", typed.text) and importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package} (extra `loggers`)")
    folder = page_folder(typed.page)
    if typed.words[0] == "torchrun":
        torchrun(folder, list(typed.words[1:]))
    elif typed.words[1:3] == ("-m", "rltf.report"):
        words = typed.words[3:]
        pages = run(folder, "rltf/report/__main__.py", *words).split()
        assert all((folder / page).is_file() for page in pages)
        assert pages
    elif typed.words[1].startswith("docs/"):
        script = folder / typed.words[1]  # it writes beside itself
        script.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / typed.words[1], script)
        run(folder, str(script), *typed.words[2:])
    else:
        name = typed.words[1].removesuffix(".py")
        words = shortened(name, list(typed.words[2:]))
        for word in words:
            if word.startswith("hydra.run.dir=runs/start"):  # one that the page makes itself
                shutil.rmtree(folder / word.partition("=")[2], ignore_errors=True)
        run(folder, f"{name}.py", *words)


def torchrun(folder: Path, words: list[str]) -> None:
    """Two processes of this machine in place of sixteen of two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    values = {
        "--nnodes": "1",
        "--node-rank": "0",
        "--nproc-per-node": "2",
        "--master-addr": "127.0.0.1",
        "--master-port": port,
    }
    at = words.index("train.py")
    launcher = [word for option in words[:at:2] for word in (option, values[option])]
    processes = ["trainer.num_nodes=1", "trainer.devices=2", "trainer.accelerator=cpu"]
    command = [sys.executable, "-m", "torch.distributed.run", *launcher, str(ROOT / "train.py")]
    done = subprocess.run(
        [*command, *shortened("train", words[at + 1 :]), *processes, "logger=none"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / "runs/apps/summary.json").read_text())["status"] == "finished"


def test_reasons_are_those_of_commands_that_are_there():
    for pattern in NOT_RUN:
        assert any(re.match(pattern, typed.text) for typed in COMMANDS), pattern
    for word in (*REPLACED, *WRITES):
        assert any(word in typed.words for typed in COMMANDS), word


def test_options_of_the_long_proof_are_parsed():
    [typed] = of(r"python tests/gpu/proof\.py ")
    done = subprocess.run(
        [sys.executable, typed.words[1], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    options = set(re.findall(r"--[a-z-]+", done.stdout))
    assert {word for word in typed.words if word.startswith("--")} <= options, done.stderr
