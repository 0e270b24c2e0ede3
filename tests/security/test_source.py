"""What reads files in rltf reads data: no line evaluates text or builds objects from a file."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "rltf"
RUN_PROGRAMS = {
    "benchmarks/infinitum/running.py",
    "benchmarks/mini/running.py",
    "execution/grader/text_test_code.py",
    "execution/inside/runner.py",
    "execution/inside/script.py",
}
"""Where programs are run: the procedural benchmarks' own, and in the sandbox, those that it is for."""
JUDGE = {
    "execution/grader/connection.py",
    "execution/inside/channel.py",
    "execution/inside/runner.py",
    "execution/sandbox/message_socket.py",
}
"""Trusted processes speak marshal, which programs and graders alone read; what comes back is JSON."""
OBJECT_FORMATS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "pandas"}


def problems(file: Path, name: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                if top in OBJECT_FORMATS and not (top == "marshal" and name in JUDGE):
                    found.append(f"{line}: import {alias.name}")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OBJECT_FORMATS:
            names = {alias.name for alias in node.names}
            if names != {"UnpicklingError"}:  # what a refusal is caught as
                found.append(f"{line}: from {node.module} import {', '.join(names)}")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in ("eval", "exec", "__import__") and name not in RUN_PROGRAMS:
                found.append(f"{line}: {called}")
            if called in ("torch.load", "torch.jit.load") and keywords.get("weights_only") != "True":
                found.append(f"{line}: {called} without weights_only=True")
            if called.startswith("yaml.") and called not in ("yaml.safe_load", "yaml.safe_dump"):
                found.append(f"{line}: {called}")
            if keywords.get("trust_remote_code") == "True" or keywords.get("allow_pickle") == "True":
                found.append(f"{line}: {called} lets files hold code")
            if called in ("os.system", "os.popen") or keywords.get("shell") == "True":
                found.append(f"{line}: {called} gives text to a shell")
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_are_read_as_data(file):
    assert problems(file, str(file.relative_to(PACKAGE))) == []
