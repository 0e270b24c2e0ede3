"""The house's walls: imports run one way, and heavy packages stay in their rooms (docs/architecture.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rltf"

MAY_IMPORT = {
    "types": set(),
    "validation": set(),
    "metrics": {"types"},
    "rewards": {"types", "validation"},
    "execution": {"types", "validation"},
    "policies": {"types", "validation"},
    "algorithms": {"types", "validation"},
    "loggers": {"types", "validation", "runs"},
    "runs": {"types", "metrics"},
    "benchmarks": {"types", "validation", "execution"},  # which tests can be judged
    "adapters": {"types", "validation", "rewards", "service"},
    "service": {"types", "validation", "execution", "benchmarks"},  # where the program lies in an answer
    "report": {"types", "rewards", "metrics", "runs"},
    "generation": {"types", "validation", "policies"},
    "rollouts": {"types", "validation", "benchmarks", "execution", "rewards", "policies", "generation", "algorithms"},
    "inference": {"types", "validation", "benchmarks", "policies", "rollouts", "metrics", "runs"},
    "training": {
        *("types", "validation", "benchmarks", "execution", "rewards", "policies", "generation", "rollouts"),
        *("algorithms", "metrics", "inference", "runs"),
    },
    "critics": {
        *("types", "validation", "benchmarks", "metrics", "policies", "generation", "rollouts", "training", "runs"),
    },
    "credit": {"types", "validation", "rewards", "policies", "algorithms", "rollouts", "training"},
    "curricula": {"types", "validation", "benchmarks", "rewards", "policies", "rollouts"},
    "prm": {"types", "validation", "benchmarks", "rewards", "policies", "rollouts", "critics", "runs"},
    "grounding": {
        *("types", "validation", "benchmarks", "rewards", "policies", "rollouts", "critics", "training", "runs"),
        "metrics",
    },
    "mining": {"types", "validation", "benchmarks", "execution", "rollouts"},
    "contrast": {
        *("types", "validation", "algorithms", "benchmarks", "critics", "generation", "policies", "prm", "rewards"),
        *("rollouts", "runs", "training"),
    },
    "callbacks": {
        *("types", "validation", "critics", "credit", "generation", "rollouts", "training", "metrics", "policies"),
        *("rewards", "runs"),
    },
}
"""Room -> rooms it may import. `setup` and `commands`, which put them together, may import everything."""

ONLY_IN = {
    "hydra": {"commands", "setup", "runs"},
    "omegaconf": {"commands", "setup", "runs", "report"},
    "lightning": {"commands", "setup", "training", "callbacks", "loggers"},
    "transformers": {"policies", "generation"},
    "wandb": {"callbacks", "report", "loggers", "setup"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "wandb_workspaces": {"report"},
    "ray": {"execution", "generation"},
    "fastapi": {"service"},
    "uvicorn": {"service"},
    "prometheus_client": {"service"},
    "multiprocessing": {"execution", "benchmarks"},  # problems that are made while torch is imported
    "subprocess": {"execution", "policies"},  # in policies: the C compiler, on our own file
}


STARTED = ("benchmarks/audit/__main__.py", "benchmarks/decontaminate/__main__.py")
"""Files that start a command by the name of the room it is about; the command itself lies in `commands`."""


def _room(file: Path) -> str:
    relative = file.relative_to(PACKAGE)
    if relative.as_posix() in STARTED:
        return "commands"
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imports(file: Path) -> set[str]:
    """Dotted modules that a file imports, also inside functions; type-checking-only ones count too."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_run_one_way(file):
    room = _room(file)
    for module in _imports(file):
        top, _, rest = module.partition(".")
        if top == "rltf" and room in MAY_IMPORT:
            other = rest.split(".")[0]
            assert other in {room, "__version__", *MAY_IMPORT[room]}, f"{room} imports {module}"
        if top in ONLY_IN:
            assert room in ONLY_IN[top], f"{top} is imported in {room}"


@pytest.mark.parametrize(
    "module",
    [
        *("rltf", "rltf.types", "rltf.rewards.fine", "rltf.rewards.text", "rltf.execution", "rltf.benchmarks.mini"),
        *("rltf.service.judge", "rltf.service.remote", "rltf.adapters.trl", "rltf.adapters.verl"),
        *("rltf.adapters.openrlhf", "rltf.adapters.verifiers"),
    ],
)
def test_light_rooms_import_without_torch(module):
    heavy = "{'torch', 'lightning', 'transformers', 'hydra', 'wandb'}"
    code = f"import sys, {module}; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=800)


def test_files_stay_short():
    records = PACKAGE / "types.py"  # a list of records, none of them long
    long = {str(f.relative_to(ROOT)): n for f in FILES if (n := len(f.read_text().splitlines())) > 310}
    assert set(long) <= {str(records.relative_to(ROOT))}


def _file_graph() -> dict[str, set[str]]:
    graph = {}
    for module, file in MODULES.items():
        names = _imports(file)
        parents = {name.rpartition(".")[0] for name in names}
        graph[module] = {name for name in names | parents if name in MODULES and name != module}
    return graph


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected parts of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for successor in graph.get(node, ()):
            if successor not in index:
                visit(successor)
                low[node] = min(low[node], low[successor])
            elif successor in stack:
                low[node] = min(low[node], index[successor])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                circles.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return circles


def test_a_circle_is_found():
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert _circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_file_imports_itself_through_others():
    graph = _file_graph()
    packages = {module for module, file in MODULES.items() if file.name == "__init__.py"}
    without_facades = {module: edges - packages for module, edges in graph.items() if module not in packages}
    assert _circles(without_facades) == []


def test_no_folder_of_the_sandbox_imports_itself_through_others():
    """A folder of `execution` is a kind of process: trusted and untrusted ones stay apart."""
    folders: dict[str, set[str]] = {}
    for module, edges in _file_graph().items():
        parts = module.split(".")
        if parts[:2] == ["rltf", "execution"] and len(parts) > 3:
            inside = {
                edge.split(".")[2] for edge in edges if edge.startswith("rltf.execution.") and edge.count(".") > 2
            }
            folders.setdefault(parts[2], set()).update(inside - {parts[2]})
    assert {"pool", "judge", "sandbox", "inside", "values", "isolation", "cluster"} <= set(folders)
    assert _circles(folders) == []
    assert folders["inside"] <= {"values"}, "what runs beside untrusted programs knows nothing of the judge"


def test_only_setup_and_commands_see_the_config():
    """Elsewhere objects arrive built: no `DictConfig` in a signature."""
    for file in FILES:
        if _room(file) not in ("setup", "commands"):
            assert "DictConfig" not in file.read_text(encoding="utf-8"), file


def test_the_package_has_two_files_beside_its_rooms():
    assert {f.name for f in PACKAGE.glob("*.py")} == {"__init__.py", "types.py", "validation.py"}
