"""`--help` and the schema say of every key what its yaml says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rltf.commands.key_help import help_text
from rltf.commands.schema import schema
from rltf.runs.defaults import config_dir
from rltf.setup.key_comments import comments_of_file, first_line, groups, key_comments

YAML = """# Says what it is. And more.
_target_: x
a: 1              # the first,
                  # in pieces
b:                # a node
  c: "# no"       # within it
  d: [1, 2]
"""


def line_of(text, key):
    [line] = [line for line in text.splitlines() if line.strip().startswith(f"{key}:")]
    return " ".join(line.split())


def node(tree, dotted):
    for part in dotted.split("."):
        tree = tree["properties"][part]
    return tree


def test_comments_belong_to_the_keys_beside_them(tmp_path):
    (tmp_path / "x.yaml").write_text(YAML)
    assert comments_of_file(tmp_path / "x.yaml", "g") == {
        "g.a": "the first, in pieces",
        "g.b": "a node",
        "g.b.c": "within it",
    }
    assert first_line(tmp_path / "x.yaml") == "Says what it is"


def test_most_keys_of_the_default_config_are_explained():
    comments = key_comments(config_dir(), "train", {"model": "tiny_t5", "benchmark": "mini"})
    for key in ("warmup.steps", "model.layers", "executor.timeout", "evaluation.samples", "optimizer.lr"):
        assert comments[key], key


def test_help_has_value_and_comment_of_each_key_and_the_present_choices():
    text = help_text("train", ["--help", "seed=7", "algorithm=grpo"])
    assert "[grpo]" in text
    assert "\n  seed: 7 " in text
    assert line_of(text, "save_every") == "save_every: 1000 optimiser steps between checkpoints"
    assert "programs a problem, besides the greedy one (paper: 20)" in text
    assert "_shared" not in text  # a part of other choices


def test_what_a_recipe_says_is_said_of_that_recipe_alone():
    assert "the paper's best" not in help_text("train", ["--help"])
    assert "the paper's best" in help_text("train", ["--help", "model=codet5_770m", "recipe=codet5_770m"])


def test_help_of_eval_lists_its_own_groups():
    text = help_text("eval", ["policy=tiny_t5", "-h"])
    assert text.startswith("usage: python eval.py policy=POLICY")
    assert "  reward " not in text
    assert "policy: tiny_t5" in text


def test_the_schema_has_type_and_description_of_keys_of_every_group():
    tree = json.loads(json.dumps(schema()))
    assert node(tree, "warmup.steps") == {
        "description": "optimiser steps; 0: the policy starts as it is",
        "type": ["null", "number", "string"],
    }
    assert "boolean" in node(tree, "report")["type"]
    assert node(tree, "reward.terms.fine.weight")["description"].startswith("of a blamed token")
    named = {group for group, _ in groups(config_dir())} - {"recipe", "experiment", "debug", "sweep"}
    assert named <= set(tree["properties"])


@pytest.mark.parametrize("file", sorted(config_dir().glob("experiment/*.yaml")), ids=lambda file: file.stem)
def test_an_experiment_fits_the_schema(file: Path):
    jsonschema = pytest.importorskip("jsonschema")
    from rltf.runs.record import read_yaml

    jsonschema.validate(read_yaml(file), schema())


def test_a_number_where_a_mapping_should_be_does_not_fit_the_schema():
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"warmup": 3}, schema())
