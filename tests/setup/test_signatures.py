"""Options of classes as their sources say them; torch and Lightning are the yardsticks of what is read from theirs."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_object

from rltf.setup.signatures import read_attribute, read_signature

CONFIGS = Path(__file__).parents[2] / "configs"
TARGETS = sorted(
    {
        line.partition("_target_: ")[2].split()[0].strip("}")
        for file in CONFIGS.rglob("*.yaml")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "_target_: " in line and not line.lstrip().startswith("#")
    }
)
TARGETS += ["torch.optim.SGD", "torch.optim.Adagrad", "lightning.pytorch.callbacks.LearningRateMonitor"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_class_of_the_configs_is_read_as_python_sees_it(target):
    if target.startswith("hydra_plugins."):
        pytest.importorskip("optuna", reason="the extra `sweeps` is not installed")
    signature = read_signature(target)
    assert signature is not None
    parameters = inspect.signature(get_object(target)).parameters.values()
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert list(signature.parameters) == names
    assert signature.open == any(p.kind is p.VAR_KEYWORD for p in parameters)


def test_a_class_of_ones_own_is_read_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").write_text("from .terms import Brief as Short\n")
    (package / "terms.py").write_text(
        "from dataclasses import dataclass\nfrom typing import Literal\n"
        "from rltf.validation import require\nKINDS = {'a': 1, 'b': 2}\nMode = Literal['x', 'y']\nraise SystemExit\n"
        "class Base:\n    name = 'base'\n    def __init__(self, lines: int = 3, **more):\n"
        "        for key in ('lines',):\n            require(key, lines, at_least=1)\n"
        "@dataclass\nclass Brief(Base):\n    weight: float\n    kind: str = 'a'\n    mode: Mode | None = None\n"
        "    def __post_init__(self):\n        require('weight', self.weight, at_most=0)\n"
        "        require('kind', self.kind, choices=KINDS)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    signature = read_signature("own.Short")
    assert signature is not None
    assert list(signature.parameters) == ["lines", "weight", "kind", "mode"]
    assert read_attribute("own.Short", "name") == "base"
    for name, value, sentence in (
        ("weight", 1, "weight is 1: expected a number of at most 0"),
        ("kind", "c", "kind is 'c': expected a or b"),
        ("mode", "z", "mode is 'z': expected null or x or y"),
    ):
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            signature.check(name, value)
    signature.check("mode", None)
    signature.check("weight", -1)


@pytest.mark.parametrize("target", ["nowhere.Thing", "rltf.nowhere.Thing", "rltf.types.Nothing", "Thing", "os.system"])
def test_what_cannot_be_read_is_not_judged(target):
    assert read_signature(target) is None
