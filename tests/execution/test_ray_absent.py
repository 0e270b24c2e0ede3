"""Without Ray, asking for it is one sentence."""

import sys

import pytest

from rltf.execution.cluster.executor import RayExecutor


def test_without_ray_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"executor=ray needs the package ray: install it with"):
        RayExecutor()
