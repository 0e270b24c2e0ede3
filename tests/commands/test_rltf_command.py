"""`rltf COMMAND`, and the wheel that brings it: as good as a clone, from any folder, with configs and classes of one's
own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rltf.commands.main import COMMANDS

ROOT = Path(__file__).parents[2]
RLTF = "import sys; sys.argv[0] = 'rltf'; from rltf.commands.main import main; main()"


def rltf(*arguments, cwd=ROOT, **env):
    command = [sys.executable, "-c", RLTF, *arguments]
    environment = {**os.environ, **env}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=800, check=False, env=environment, input=""
    )


def test_without_a_command_it_lists_them():
    for arguments, code in (((), 2), (("--help",), 0)):
        done = rltf(*arguments)
        assert done.returncode == code
        assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == list(COMMANDS)


def test_an_unknown_command_comes_with_the_nearest_one():
    done = rltf("tran")
    assert (done.returncode, done.stderr) == (2, "error: tran is not known: did you mean train?\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("train", "--cfg", "job"), 0, "tiny_t5"),
        (("eval", "policy=tiny_t5", "--cfg", "job"), 0, "tiny_t5"),
        (("report", "--help"), 0, "report.html"),
        (("judge", "--help"), 0, "--timeout"),
        (("judge",), 0, ""),
        (("export", "--help"), 0, "--best"),
        (("push", "--help"), 0, "--dry-run"),
    ],
)
def test_each_command_is_the_same_code_as_its_other_form(arguments, code, words):
    done = rltf(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stdout


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("rltf tr", "train"),
        ("rltf ", "train eval export push report judge serve"),
        ("rltf train model=tiny", "model=tiny_causal model=tiny_t5"),
        ("rltf train seed=2 warmup.st", "warmup.steps="),
        ("rltf eval inference=", "inference=best_of_n inference=critic_sampling inference=repair inference=sample"),
        ("rltf report x", ""),
    ],
)
def test_shells_complete_commands_groups_and_keys(line, completions):
    assert rltf("-sc", "query=bash", COMP_LINE=line).stdout.strip() == completions


def test_a_shell_is_told_to_complete_rltf():
    assert rltf("-sc", "install=bash").stdout.rstrip().endswith("-F hydra_bash_completion rltf")


def test_flags_stand_anywhere(tmp_path):
    (tmp_path / "overrides.yaml").write_text("- seed=7\n")
    for arguments in (
        ("train", f"resume={tmp_path}", "--cfg", "job"),
        ("train", "--cfg", "job", f"resume={tmp_path}"),
        ("train", "seed=7", "--cfg", "job", "warmup.steps=3"),
        ("eval", "policy=tiny_t5", "--cfg", "job", "seed=7"),
    ):
        done = rltf(*arguments)
        assert done.returncode == 0, done.stderr
        assert "\nseed: 7\n" in done.stdout
    assert "\nKeys, with their present values:\n" in rltf("eval", "policy=tiny_t5", "--help").stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder with the unpacked wheel; its script is `bin/rltf`."""
    pytest.importorskip("hatchling", reason="needs the extra `dev`")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture
def own_folder(tmp_path):
    """A user's folder: a config and a package with a reward of their own."""
    (tmp_path / "conf" / "reward").mkdir(parents=True)
    (tmp_path / "conf" / "reward" / "brief.yaml").write_text(
        "defaults: [coarse]\nterms:\n  brief:\n    _target_: mine.rewards.Brief\n    weight: -0.01\n"
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "rewards.py").write_text(
        "from rltf.rewards.base import RewardTerm\nfrom rltf.types import Credit\n\n\n"
        "class Brief(RewardTerm):\n    def __init__(self, weight: float) -> None:\n        self.weight = weight\n\n"
        "    def __call__(self, problem, program, verdict):\n"
        "        return (Credit('brief', self.weight * program.text.count('\\n')),)\n"
    )
    return tmp_path


def run_installed(site, folder, *arguments):
    options = ("--config-dir", "conf", "reward=brief", "trusted=[rltf,lightning,mine]")
    return subprocess.run(
        [sys.executable, site / "bin" / "rltf", "train", *options, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


def test_the_wheel_has_configs_and_finds_those_of_ones_own(installed, own_folder):
    assert (installed / "rltf" / "configs" / "train.yaml").is_file()
    done = run_installed(installed, own_folder, "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "mine.rewards.Brief" in done.stdout
    done = run_installed(installed, own_folder, "+reward.terms.brief.wieght=1")
    assert done.stderr == "error: reward.terms.brief.wieght is not known: did you mean reward.terms.brief.weight?\n"
    done = run_installed(installed, own_folder, "rewrad=brief")
    assert done.stderr == "error: rewrad is not known: did you mean reward?\n"


@pytest.mark.slow
def test_the_wheel_trains_from_an_empty_folder_with_a_reward_of_ones_own(installed, own_folder):
    done = run_installed(installed, own_folder, "debug=default", "quiet=true", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{own_folder / 'run'}\n"
    rollouts = [json.loads(line) for line in (own_folder / "run" / "rollouts.jsonl").read_text().splitlines()]
    assert {credit["term"] for rollout in rollouts for credit in rollout["credits"]} == {"coarse", "brief"}
    assert (own_folder / "run" / "report.html").is_file()


@pytest.mark.slow
def test_several_processes_are_started_by_the_same_command(installed, own_folder):
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "report=false")
    done = run_installed(installed, own_folder, "debug=default", "quiet=true", "hydra.run.dir=run", *two)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{own_folder / 'run'}\n"
    assert json.loads((own_folder / "run" / "summary.json").read_text())["status"] == "finished"
