"""Writes the tables of the docs that repeat what the code says: `python docs/generate.py`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is a function of this script. With `--check`
nothing is written, and the exit code is 1 when a page is not up to date (tests/docs/test_generated.py). Needs Python
alone.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import paper_tables

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
PAGES = (
    "README.md",
    "docs/architecture.md",
    "docs/execution.md",
    "docs/long-runs.md",
    "docs/papers.md",
    "docs/differences.md",
)

CONTENTS = {
    "types": "the records that flow, and `Verdict` as JSON; no torch",
    "validation": "`require(key, value, ...)`: a mistake in an option is one sentence with its key",
    "metrics": "pass@k with intervals, feedback of an iteration, accuracy of a critic",
    "rewards": "one reward term a file; lines of a program to token spans ([add_reward.md](add_reward.md))",
    "execution": "the judge and its sandbox, one machine or a Ray cluster ([execution.md](execution.md))",
    "policies": "models of transformers behind one interface; `text/` encodes and decodes, `forward/` computes "
    "log-probs, `decoding/` has a decode step per family ([add_model_family.md](add_model_family.md)), `kernels/` is C",
    "algorithms": "objectives, the loss mix, advantages and baselines: pure functions "
    "([add_objective.md](add_objective.md))",
    "loggers": "metrics.csv, W&B, MLflow and Trackio as Lightning loggers",
    "runs": "the run folder: names and formats of every file, written and read here; names of version 0.1",
    "benchmarks": "problems, prompts, where the program lies in an answer ([add_benchmark.md](add_benchmark.md)); "
    "`mini/` and `infinitum/` are procedural ([infinitum.md](infinitum.md))",
    "adapters": "our rewards as reward functions of TRL, verl, OpenRLHF and verifiers "
    "([use-the-judge.md](use-the-judge.md))",
    "service": "the judge for others: `from rltf import Judge`, `rltf serve`, and the client of that "
    "([use-the-judge.md](use-the-judge.md))",
    "report": "`python -m rltf.report`: `read/` files, `compare/` runs, `draw/` charts, `sections/`, `write/` pages "
    "([reports.md](reports.md))",
    "generation": "samplers: `engine/` (continuous batching, shared prompts, a random stream per program), the plain "
    "reference `hf`, vLLM, and sampling in other processes",
    "rollouts": "the pipeline from problems to rollouts, buffer, batches, order of problems; knows no Lightning",
    "inference": "search at test time, repair turns, and the tasks of a repair model ([inference.md](inference.md))",
    "training": "the LightningModule, the DataModule, demonstrations, what survives out-of-memory and lost ranks",
    "critics": "networks that learn from judged programs ([credit.md](credit.md))",
    "credit": "rules that weigh single tokens: executed lines, lines by test, lines that part from a reference, the "
    "group's prefix tree, a critic's predictions, GAE ([credit.md](credit.md))",
    "curricula": "how training programs begin, and which problem comes next by its pass rate "
    "([curricula.md](curricula.md))",
    "grounding": "rewards from the text alone: static checks, and a discriminator that compares with references "
    "([grounding.md](grounding.md))",
    "mining": "problems with tests out of functions that have none: `job=mine` ([mining.md](mining.md))",
    "contrast": "contrast between a program's beginning and the same program some lines later: pretraining of a body, "
    "and a loss beside RL ([contrastive.md](contrastive.md))",
    "prm": "a process reward model: labels of lines, the model, its rewards ([credit.md](credit.md))",
    "callbacks": "when to sample and when to save; progress, early stop, signals, rollouts.jsonl",
    "setup": "config to objects: typed nodes, checks, components, callbacks, loggers, trainer",
    "commands": "what a user starts: the command line, `train`, `evaluate`, jobs, sweeps",
}
"""Room -> what it holds."""

NOTES = {
    "model": "a network and its tokenizer; LoRA by `'model.lora={r: 16}'`, above a base in 4 bits with "
    "`model.quantization=nf4` ([QLoRA](docs/models.md#a-base-in-4-bits)); [add yours](docs/add_model_family.md)",
    "benchmark": "`mini`, `codetask_mini` (four tasks) and `infinitum` (test items without end, by construct, "
    "in Python or JavaScript: "
    "[docs/infinitum.md](docs/infinitum.md)) are procedural and ship with the project, `repair` has the failed "
    "programs of a run, `mined` what `job=mine` made ([docs/mining.md](docs/mining.md)); files by `benchmark.path=` "
    "([docs/benchmarks.md](docs/benchmarks.md), [add yours](docs/add_benchmark.md))",
    "reward": "what a verdict is worth; `prm` is a process reward model, `grounding` and `static` read no test "
    "([docs/grounding.md](docs/grounding.md)) ([add yours](docs/add_reward.md))",
    "algorithm": "loss and advantages; `rltf` is the paper's, `rltf_group` the default of small models "
    "([docs/credit.md](docs/credit.md), [add yours](docs/add_objective.md))",
    "credit": "what single tokens weigh; `executed`: lines that no test ran teach nothing; `tests`: each test speaks "
    "of the lines that it ran; `tree`: where programs part, the branch that earns more is credited; "
    "`divergence`: a wrong answer is blamed on the line that parts from a reference "
    "([docs/credit.md](docs/credit.md))",
    "critic": "`critic=outcome credit=critic_token` (CodeRL), `critic=value algorithm=ppo`",
    "curriculum": "`cccs`: programs begin with a part of a reference, and less of it as they pass; `prefix`: with a "
    "part of an own program, until half pass; `pool`: problems by their pass rate "
    "([docs/curricula.md](docs/curricula.md))",
    "tasks": "`sequential`, `replay`, `multitask`: parts of a benchmark one after the other "
    "([docs/continual.md](docs/continual.md))",
    "prompts": "learned vectors in front of prompts, the weights frozen ([docs/continual.md](docs/continual.md))",
    "inference": "for eval.py, and `critic_sampling` or `repair` in training ([docs/inference.md](docs/inference.md))",
    "generation": "`native` is the project's engine, `hf` the plain reference; `auto` takes `native` where the engine "
    "decodes the model, else `hf`; `vllm` and `server` (vLLM or SGLang at a distance) experimental; "
    "`generation.placement=separate` draws beside training ([docs/scaling.md](docs/scaling.md))",
    "executor": "this machine, or every node of a Ray cluster ([docs/execution.md](docs/execution.md))",
    "optimizer": "or any class of `torch.optim` by `optimizer._target_`, with its own keys; the schedule is "
    "`schedule.warmup_steps`, `schedule.decay`",
    "trainer": "`gpu` is bf16; `ddp` and `fsdp` use several processes; `deepspeed` is experimental",
    "logger": "several at once: `logger=[csv,tensorboard]`; all but `csv` and `wandb` need the extra `loggers`",
    "job": "another thing than to train a policy: `job=critic`, a process reward model and its data "
    "([docs/credit.md](docs/credit.md)), `atc`: a critic's body, pretrained "
    "([docs/contrastive.md](docs/contrastive.md)), or `mine`: unit tests for functions that have none "
    "([docs/mining.md](docs/mining.md))",
    "auxiliary": "a loss beside RL that needs no verdict: contrast of lines "
    "([docs/contrastive.md](docs/contrastive.md))",
    "experiment": "frozen combinations of several groups, as the ablations of docs/results use them",
    "sweep": "`-m +sweep=NAME`: ablations of five seeds ([docs/long-runs.md](docs/long-runs.md))",
    "debug": "two tiny iterations, or a profile",
}
"""Config group -> what its choices are, for the README."""


def rooms() -> str:
    """The rooms of `rltf/`: contents, the imports that tests/test_walls.py allows, config groups built from them."""
    groups = _rooms_of_groups()
    rows = []
    for room, imports in {**_may_import(), "setup": None, "commands": None}.items():
        path = f"rltf/{room}/" if (ROOT / "rltf" / room).is_dir() else f"rltf/{room}.py"
        allowed = "everything" if imports is None else ", ".join(sorted(imports)) or "nothing"
        built = ", ".join(f"`{group}`" for group, of in groups.items() if room in of)
        rows.append([f"`{path}`", CONTENTS[room], allowed, built or "-"])
    return _table(["room", "holds", "may import", "config groups"], rows)


def groups() -> str:
    """The config groups: default choices, and where the classes of their `_target_`s lie."""
    defaults = {command: _defaults(command) for command in ("train", "eval")}
    rows = []
    for group, of in _rooms_of_groups().items():
        if of and group != "sweep":  # whose `_target_` is a sweeper of Hydra
            choices = [f"`{defaults[command][group]}`" if group in defaults[command] else "-" for command in defaults]
            if group in ("benchmark", "algorithm"):
                choices[0] = "the recipe's"
            rows.append([f"`{group}`", *choices, ", ".join(f"`{_place(room)}`" for room in of)])
    return _table(["group", "default of train.py", "of eval.py", "built from"], rows)


def choices() -> str:
    """The choices of every config group that a user changes."""
    rows = []
    for group, note in NOTES.items():
        names = [name for name in _choices(group) if (group, name) != ("model", "pretrained")]
        key = f"+{group}=" if group == "sweep" else f"{group}="
        rows.append([f"`{key}`", " ".join(f"`{name}`" for name in names), note])
    return _table(["group", "choices", ""], rows)


def executor() -> str:
    """The keys of `executor=local`, with their defaults."""
    keys = r"^(\w+): (.+?)\s+# (.+(?:\n {2}# .+)*)$|^(\w+): (.+)$"
    rows = []
    for match in re.finditer(keys, (CONFIGS / "executor" / "local.yaml").read_text(encoding="utf-8"), re.MULTILINE):
        key, default, comment = match[1] or match[4], match[2] or match[5], match[3] or ""
        if key != "_target_":
            rows.append([f"`executor.{key}`", f"`{default}`", re.sub(r"\s*\n\s*# ", " ", comment)])
    return _table(["key", "default", ""], rows)


def legacy() -> str:
    """Keys and overrides of version 0.1, with those of today."""
    tables = _constants("rltf/runs/legacy.py")
    rows = [[f"`{old}`", f"`{new}`"] for old, new in sorted(tables["KEYS"].items())]
    rows += [[f"`{old}`", "nothing" if new is None else f"`{new}`"] for old, new in sorted(tables["OVERRIDES"].items())]
    return _table(["0.1", "today"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "rooms": rooms,
    "groups": groups,
    "choices": choices,
    "executor": executor,
    "legacy": legacy,
    "papers": paper_tables.papers,
    "deviations": paper_tables.deviations,
}


def with_tables(text: str) -> str:
    """A page with its tables as the code has them now.

    Raises:
        KeyError: the page asks for a table that is none of this script's.
    """
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}",
        text,
        flags=re.DOTALL,
    )


def stale_pages() -> dict[str, str]:
    """Pages whose tables differ from the code, with the text that they should have."""
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
    return {page: new for page, text in texts.items() if (new := with_tables(text)) != text}


def _may_import() -> dict[str, set[str] | None]:
    tree = ast.parse((ROOT / "tests" / "test_walls.py").read_text(encoding="utf-8"))
    [node] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MAY_IMPORT"
    ]
    assert isinstance(node, ast.Dict)
    return {
        str(ast.literal_eval(room)): {part.value for part in ast.walk(imports) if isinstance(part, ast.Constant)}
        for room, imports in zip(node.keys, node.values, strict=True)
    }


def _constants(file: str) -> dict[str, Any]:
    """The constants of a module that are plain literals."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            with suppress(ValueError):
                values[ast.unparse(node.target)] = ast.literal_eval(node.value)
    return values


def _group_names() -> list[str]:
    return sorted(folder.name for folder in CONFIGS.iterdir() if folder.is_dir())


def _choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIGS / group).glob("[!_]*.yaml"))


def _rooms_of_groups() -> dict[str, list[str]]:
    """Config group -> rooms of its `_target_`s, or packages where they are not of rltf."""
    found: dict[str, list[str]] = {}
    for group in _group_names():
        text = "\n".join(file.read_text(encoding="utf-8") for file in (CONFIGS / group).glob("*.yaml"))
        text = re.sub(r"(?m)(^|\s)#.*$", "", text)
        parts = [target.split(".") for target in re.findall(r"_target_:\s*([\w.]+)", text)]
        rooms = {part[1] if part[0] == "rltf" else ".".join(part[:-1]) for part in parts}
        found[group] = sorted(rooms - {"types"})
    return found


def _place(room: str) -> str:
    return f"rltf/{room}/" if (ROOT / "rltf" / room).is_dir() else room


def _defaults(command: str) -> dict[str, str]:
    text = (CONFIGS / f"{command}.yaml").read_text(encoding="utf-8")
    return dict(re.findall(r"^ {2}- (\w+): (\S+)", text, re.MULTILINE))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    stale = stale_pages()
    for page, text in stale.items():
        print(page)
        if "--check" not in sys.argv:
            (ROOT / page).write_text(text, encoding="utf-8")
    sys.exit(bool(stale) and "--check" in sys.argv)
