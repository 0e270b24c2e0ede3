"""Tables of names: which options are chosen from a dictionary in code instead of by `_target_`."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_OPTIONS = {"KINDS", "TEMPLATE_FUNCTIONS", "LANGUAGES", "RUNTIMES", "TRAINED", "NAMES", "FAMILIES"}
"""Tables that no option chooses from: the mistakes that `mini` makes, and the functions of the report's page,
the languages that a job names and what runs them, the layers that
`model.train` means, the spellings of type annotations, and how classes of models are decoded."""


VALUES = ast.Name | ast.Lambda | ast.Call


def is_table(node: ast.expr | None) -> bool:
    """A dictionary from names to functions, classes or objects."""
    if not isinstance(node, ast.Dict) or not node.keys:
        return False
    if not all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys):
        return False
    return all(
        isinstance(value.elts[0], ast.Name) if isinstance(value, ast.Tuple) else isinstance(value, VALUES)
        for value in node.values
    )


def tables() -> set[tuple[str, str]]:
    names = set()
    for file in sorted((ROOT / "rltf").rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name) and re.fullmatch(r"[A-Z][A-Z_]*", target.id) and is_table(node.value):
                    names.add((target.id, str(file.relative_to(ROOT))))
    return names


def test_the_tables_that_options_choose_from_are_those_in_the_docs():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Z_]+)`\s+\(`(rltf/[\w/]+\.py)`\)", text))
    assert len(documented) == 5
    assert {table for table in tables() if table[0] not in NO_OPTIONS} == documented
