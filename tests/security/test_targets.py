"""`_target_` names what the packages in `trusted` define: nested, partial, by interpolation, through an import."""

import pytest
from omegaconf import OmegaConf

from rltf.setup.instantiate import build


def config(node, trusted=("rltf", "lightning")):
    return OmegaConf.create({"trusted": list(trusted), "node": node, "elsewhere": {"_target_": "os.system"}})


GOOD = "rltf.rollouts.buffer.RolloutBuffer"


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "os.system", "command": "true"},
        {"_target_": "os.system", "_partial_": True},
        {"_target_": GOOD, "capacity": {"_target_": "os.getpid"}},
        {"_target_": GOOD, "_args_": [{"_target_": "os.getpid"}]},
        {"_target_": GOOD, "capacity": {"deep": [{"deeper": [{"_target_": "os.getpid", "_partial_": True}]}]}},
        {"_target_": GOOD, "_recursive_": False, "capacity": {"_target_": "os.getpid"}},
        {"_target_": GOOD, "capacity": "${elsewhere}"},
        {"_target_": "${elsewhere._target_}"},
        {"_target_": "builtins.eval", "_args_": ["1 + 1"]},
        {"_target_": "torch.load", "f": "x"},
    ],
)
def test_strangers_are_refused_wherever_they_stand(node):
    with pytest.raises(ValueError, match=r"_target_=.* is outside the packages named by trusted="):
        build(config(node), "node")


@pytest.mark.parametrize(
    "target", ["rltf.commands.cli.os.system", "rltf.runs.folder.os.execv", "rltf.execution.local.subprocess.Popen"]
)
def test_what_a_trusted_package_imports_is_not_what_it_defines(target):
    with pytest.raises(ValueError, match=r"node._target_=.* is outside"):
        build(config({"_target_": target}), "node")


def test_a_stranger_is_not_even_imported(tmp_path, monkeypatch):
    mark = tmp_path / "imported"
    (tmp_path / "stranger.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"outside the packages"):
        build(config({"_target_": "stranger.Thing"}), "node")
    assert not mark.exists()
    build(config({"_target_": "stranger.Thing"}, ("rltf", "stranger")), "node")
    assert mark.exists()


def test_a_config_without_trusted_builds_nothing():
    with pytest.raises(ValueError, match=r"outside the packages named by trusted=\[\]"):
        build(OmegaConf.create({"node": {"_target_": GOOD}}), "node")
