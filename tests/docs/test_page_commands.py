"""Every command of every page is executed in a shortened form, or is in a list with the reason why it is not.

A run is composed here with its own overrides, and its keys and choices are checked; `test_page_runs.py` trains and
evaluates with them. The shell itself executes the blocks (`typed_commands.py`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from pages import CODE, HISTORY, ROOT, write_files
from typed_commands import COMMAND_PAGES, Typed, typed_commands

from rltf.commands.main import COMMANDS
from rltf.commands.overrides import policy_overrides, train_overrides
from rltf.report.__main__ import _parser as report_parser
from rltf.service.command import _parser as service_parser
from rltf.setup.instantiate import build
from rltf.setup.keys import check_keys

sys.path.insert(0, str(ROOT / "tests" / "service"))
from served import served

NOT_EXECUTED = {
    r"docker (build|run) ": "needs a container engine; the arguments of rltf are composed",
    r"pip install ": "needs a package index; the extra that is named exists",
    r"\.venv/bin/pre-commit install": "changes the hooks of this checkout; test_repository_files.py validates them",
    r"python -m verl\.trainer\.main_ppo ": "another project's trainer, on GPUs; the function that it is given exists",
    r"python -m openrlhf\.cli\.": "another project's trainer, on GPUs; the file that it is given exists",
    r"python tests/gpu/proof\.py ": "75 minutes, with weights that are not in the repository; its options are parsed",
}
"""Pattern of a command -> why it is not executed, and what is tested in its place."""
ELSEWHERE = {
    r"python -m pytest tests$": "tests/docs/test_example_package.py",
    r"python tests/perf/baselines/perf_compare\.py ": "tests/perf/baselines/test_perf_compare.py",
    r"python examples/trl_reward\.py ": "tests/adapters/test_trl_adapter.py",
    r"python -m rltf\.benchmarks\.infinitum\.tokenizer ": "tests/benchmarks/test_infinitum.py",
    r"python -m rltf\.benchmarks\.audit ": "tests/benchmarks/test_audit.py",
    r"python -m rltf\.benchmarks\.decontaminate ": "tests/benchmarks/test_decontaminate.py",
    r"rltf push ": "tests/commands/test_push.py",
    r"python -m rltf\.grounding ": "tests/grounding/test_grounding_command.py",
    r"python docs/results/feedback/parts\.py ": "tests/docs/test_page_runs.py",
}
"""Pattern of a command -> the file of the test that executes it."""
RUN = re.compile(
    r"(?:python (train|eval)\.py|rltf (train|eval)"
    r"|(?:torchrun|docker run) .*?(?:(train|eval)\.py|rltf (train|eval))|(sbatch) \S+)(?: |$)"
)
"""A command that trains or evaluates, itself or by another program."""
ALL = [typed for page in COMMAND_PAGES if page != HISTORY for typed in typed_commands(page)]
RUNS = [typed for typed in ALL if RUN.match(typed.text)]


def of(pattern):
    return [typed for typed in ALL if re.match(pattern, typed.text)]


def without_repeats(commands):
    """Of the turns of a loop the first."""
    return list({re.sub(r"\d+", "0", str(typed)): typed for typed in reversed(commands)}.values())[::-1]


EXECUTED = (
    RUN.pattern,
    r"make ",
    r"python -m rltf\.(report|execution) ",
    r"python -m rltf\.execution$",
    r"rltf serve ",
    r"curl ",
    r"python -c ",
)


@pytest.mark.parametrize("typed", without_repeats(ALL), ids=str)
def test_a_command_is_executed_or_says_why_not(typed):
    ways = [pattern for pattern in (*EXECUTED, *ELSEWHERE, *NOT_EXECUTED) if re.match(pattern, typed.text)]
    assert ways, "a new command: have a test execute it, or say in NOT_EXECUTED why none can"


def test_a_command_that_nobody_thought_of_is_neither():
    for text in ("python -m rltf.tools x", "wandb sync runs", "rltf guess RUN"):
        assert not [pattern for pattern in (*EXECUTED, *ELSEWHERE, *NOT_EXECUTED) if re.match(pattern, text)], text


def test_a_program_without_a_stand_in_ends_the_shell(tmp_path):
    page = ROOT / "docs" / "made_up.md"
    for script, error in (("kubectl apply -f x", "kubectl: command not found"), ("python train.py $SEED", "unbound")):
        text = f"```bash\n{script}\n```\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "read_text", lambda *_, text=text, **__: text)
            with pytest.raises(AssertionError, match=error):
                typed_commands.__wrapped__(page)


def test_reasons_and_tests_are_those_of_commands_that_are_there():
    for pattern in (*NOT_EXECUTED, *ELSEWHERE):
        assert of(pattern), pattern
    assert all((ROOT / file).is_file() for file in ELSEWHERE.values())


@pytest.mark.parametrize("typed", without_repeats(RUNS), ids=str)
def test_a_run_is_composed_and_its_keys_are_those_of_the_config(typed, composed, tmp_path):
    name, arguments = run_arguments(typed)
    own = []
    if "--config-dir" in arguments:
        at = arguments.index("--config-dir")
        folder = typed.page.parent / arguments[at + 1]
        del arguments[at : at + 2]
        if not folder.is_dir():
            write_files(typed.page, tmp_path)
            folder = tmp_path / "configs"
        own = [f"hydra.searchpath=[file://{folder}]"]
    multirun = "-m" in arguments
    overrides = [word for word in arguments if word not in ("-m", "...") and not word.startswith("resume=")]
    overrides = {"train": train_overrides, "eval": policy_overrides}[name](overrides)
    assert not [word for word in overrides if word.startswith("-")], typed.text
    if multirun:
        overrides = [first_choice(override) for override in overrides]
    GlobalHydra.instance().clear()
    cfg = composed(name, *own, *[override for override in overrides if not override.startswith("hydra.")])
    if not OmegaConf.missing_keys(cfg):
        check_keys(OmegaConf.to_container(cfg, resolve=True), name)
    if any(override.startswith("optimizer._target_") for override in overrides):
        build(cfg, "optimizer")([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def run_arguments(typed: Typed) -> tuple[str, list[str]]:
    """`train` or `eval`, and the words behind it."""
    match = RUN.match(typed.text)
    if match[5]:
        assert subprocess.run(["bash", "-n", str(ROOT / typed.words[1])], check=False).returncode == 0
        return "train", list(typed.words[2:])
    name = next(group for group in match.groups() if group)
    at = [word in (f"{name}.py", name) for word in typed.words].index(True)
    return name, list(typed.words[at + 1 :])


def first_choice(override: str) -> str:
    """`a=1` of the sweep `a=1,2`."""
    key, sign, value = override.partition("=")
    return key + sign + (value if value[:1] in "[{'\"" else value.partition(",")[0])


@pytest.mark.parametrize("typed", of(r"make "), ids=str)
def test_a_target_of_make_is_there_and_says_what_it_would_do(typed):
    if shutil.which("make") is None:
        pytest.skip("no make")
    done = subprocess.run(["make", "-n", *typed.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("typed", of(r"python -m rltf\.report "), ids=str)
def test_options_of_a_report_are_parsed(typed):
    assert report_parser("rltf report").parse_args(typed.words[3:]).paths


def test_the_judge_judges_its_lines(tmp_path):
    """`python -m rltf.execution < programs.jsonl > verdicts.jsonl`"""
    assert {typed.words for typed in of(r"python -m rltf\.execution")} == {("python", "-m", "rltf.execution")}
    job = '{"id": 1, "program": "def f(x): return x", "tests": [{"kind": "assert", "code": "assert f(1) == 1"}]}\n'
    done = subprocess.run(
        [sys.executable, "-m", "rltf.execution"], input=job, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert '"outcome": "passed"' in done.stdout, done.stderr


def test_the_service_starts_as_it_is_started_and_answers_what_it_is_asked(tmp_path):
    """On a free port, with two workers and a file of tokens of this test's own."""
    (tmp_path / "tokens").write_text("a-token-of-twenty-bytes\n")
    starts, asked = of(r"rltf serve "), of(r"curl ")
    for typed in starts:
        service_parser("rltf serve").parse_args(typed.words[2:])
    local, protected = starts
    with served(*local.words[6:]) as service:
        address = service.url.removeprefix("http://")
        for typed in asked:
            words = [word.replace("localhost:8080", address) for word in typed.words]
            done = subprocess.run([*words, "--silent"], capture_output=True, text=True, check=False, timeout=60)
            assert '"stdout":"2\\n"' in done.stdout.replace(": ", ":"), done.stdout + done.stderr
    words = [word.replace("tokens", str(tmp_path / "tokens")) for word in protected.words[2:]]
    with served(*words) as service:
        assert service.process.poll() is None


@pytest.mark.parametrize("typed", of(r"pip install "), ids=str)
def test_an_extra_that_is_installed_is_one_of_the_package(typed):
    folder = typed.page.parent if typed.page.is_relative_to(ROOT / "examples") else ROOT
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    for extra in re.findall(r"\[(.*?)\]", typed.text):
        assert extra in project["optional-dependencies"]


def test_what_other_trainers_are_given_exists():
    [code] = of(r"python -c ")
    done = subprocess.run([sys.executable, *code.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert Path(done.stdout.strip()).is_file(), done.stderr
    [verl] = of(r"python -m verl")
    values = dict(word.split("=", 1) for word in verl.words if "=" in word)
    module = values["custom_reward_function.path"].removeprefix("pkg://")
    assert hasattr(__import__(module, fromlist=["x"]), values["custom_reward_function.name"])


INLINE = re.compile(r"`((?:python(?! -[Ic])|rltf|make|pip install) [^`\n]*)`")


@pytest.mark.parametrize(
    "page", [page for page in COMMAND_PAGES if page != HISTORY], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_command_inside_a_sentence_names_a_file_a_target_a_command_or_an_extra_that_is_there(page):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for command in INLINE.findall(CODE.sub("", page.read_text("utf-8"))):
        program, *words = command.split()
        if program == "make":
            assert words[0] in targets, command
        elif program == "rltf":
            assert words[0] in COMMANDS or words[0].startswith("-"), command
        elif program == "pip":
            assert set(re.findall(r"\[([a-z-]+)\]", command)) <= set(extras), command
        elif words[0] == "-m":
            module = ROOT / words[1].replace(".", "/")
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), command
        else:
            assert (ROOT / words[0]).is_file(), command
