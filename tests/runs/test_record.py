"""What a run recorded of itself, whole or damaged."""

import pytest

from rltf.runs.files import OVERRIDES_FILE
from rltf.runs.record import read_overrides, read_summary, read_yaml


def test_a_summary_is_read_and_a_missing_one_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text('{"status": "finished"}')
    assert read_summary(tmp_path) == {"status": "finished"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"status": "fin', "summary.json is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[]", "holds list, expected an object"),
    ],
)
def test_a_damaged_summary_is_refused_in_a_sentence(tmp_path, content, sentence):
    (tmp_path / "summary.json").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_summary(tmp_path)


def test_overrides_are_what_the_user_typed(tmp_path):
    (tmp_path / ".hydra").mkdir()
    for content, overrides in (("- seed=3\n- model=tiny\n", ["seed=3", "model=tiny"]), ("[]\n", []), ("", [])):
        (tmp_path / OVERRIDES_FILE).write_text(content)
        assert read_overrides(tmp_path) == overrides
    (tmp_path / OVERRIDES_FILE).write_text("seed: 3\n")
    with pytest.raises(ValueError, match="is no list of overrides"):
        read_overrides(tmp_path)


@pytest.mark.parametrize("content", ["a: [", "!!python/object/apply:os.system ['true']"])
def test_yaml_of_anything_but_plain_values_is_refused(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ValueError, match="is no yaml of plain values"):
        read_yaml(tmp_path / "config.yaml")
