"""Command lines, `_target_` paths and recorded configs of version 0.1 mean the same today."""

import pytest
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf

from rltf.commands.overrides import policy_overrides, train_overrides
from rltf.runs.legacy import KEYS, TARGETS, upgrade_config, upgrade_overrides
from rltf.runs.resume import begin_run, differences
from rltf.setup.instantiate import build


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("callbacks.checkpoint=false", ["callbacks.checkpoints=null"]),
        ("callbacks.checkpoint_every=5", ["callbacks.checkpoints.every=5"]),
        (
            "callbacks.collapse={iterations: 3, below: {a: 1}}",
            ["callbacks.stop_on_collapse={iterations: 3, below: {a: 1}}"],
        ),
        ("callbacks.progress=false", ["callbacks.progress=null"]),
        ("callbacks.progress=true", []),
        ("callbacks.report=false", ["report=false"]),
        ("callbacks.table_rows=0", ["callbacks.rollout_writer.table_rows=0"]),
        ("generation.sampler.slots=64", ["generation.sampler.max_rows=64"]),
        ("optimizer.critic_lr=1e-4", ["critic_lr=1e-4"]),
        ("optimizer.warmup_steps=9", ["schedule.warmup_steps=9"]),
        ("optimizer.lr=1e-4", ["optimizer.lr=1e-4"]),
        ("stage=repair", ["benchmark=repair"]),
        ("stage.run=RUN", ["benchmark.run=RUN"]),
        ("stage.job.data=[a,b]", ["job.data=[a,b]"]),
        (
            "credit={_target_: rltf.rollouts.executed.Executed}",
            ["credit={_target_: rltf.credit.executed.ExecutedLinesCredit}"],
        ),
        ("-m", ["-m"]),
    ],
)
def test_an_old_override_is_upgraded_with_a_warning(old, new):
    overrides, warnings = upgrade_overrides([old])
    assert overrides == new
    assert len(warnings) == (overrides != [old])


def test_tasks_of_a_repair_model_take_the_benchmark_of_their_run():
    overrides, warnings = upgrade_overrides(
        ["stage=repair", "stage.run=RUN", "benchmark=mbpp", "benchmark.path=x", "seed=2"]
    )
    assert overrides == ["benchmark=repair", "benchmark.run=RUN", "seed=2"]
    assert len(warnings) == 4


def test_every_old_key_has_a_place_today(composed):
    for old, new in KEYS.items():
        options = {"job": ("job=prm_data",), "benchmark": ("benchmark=repair", "benchmark.run=x")}
        cfg = composed("train", *options.get(new.split(".")[0], ()))
        node = OmegaConf.to_container(cfg, resolve=False)
        for part in new.split("."):
            assert part in node, f"{old} -> {new}"
            node = node[part]


@pytest.mark.parametrize("target", sorted(TARGETS.values()))
def test_every_new_target_exists(target):
    assert callable(get_object(target))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_no_old_target_does(target):
    with pytest.raises(Exception, match="Error loading"):
        get_object(target)


def test_a_yaml_with_an_old_target_is_built_and_warned_of(composed, caplog):
    cfg = composed("train", "+credit={_target_: rltf.rollouts.executed.Executed}")
    with caplog.at_level("WARNING"):
        credit = build(cfg, "credit")
    assert type(credit).__name__ == "ExecutedLinesCredit"
    assert caplog.messages == [
        "rltf.rollouts.executed.Executed is of version 0.1 and will end with the next: use "
        "rltf.credit.executed.ExecutedLinesCredit"
    ]
    assert cfg.credit._target_ == "rltf.rollouts.executed.Executed"


OLD_CONFIG = """
seed: 1
errors: {timeout: [{category: global}]}
executor: {_target_: rltf.execution.LocalExecutor, timeout: 1.0, errors: {timeout: [{category: global}]}}
generation: {sampler: {_target_: rltf.generation.engine.Engine, slots: 256}}
optimizer: {lr: 0.0003, critic_lr: 0.0003, weight_decay: 0.0, betas: [0.9, 0.999], warmup_steps: 10, decay: true}
warmup: {steps: 4}
algorithm: {advantages: {_target_: rltf.rollouts.advantages.Advantages, clip: null}}
callbacks: {progress: true, report: true}
"""


def test_a_recorded_config_of_the_first_version_equals_todays():
    old = upgrade_config(yaml.safe_load(OLD_CONFIG))
    today = {
        "seed": 1,
        "executor": {"_target_": "rltf.execution.LocalExecutor", "timeout": 1.0, "errors": None},
        "generation": {"sampler": {"_target_": "rltf.generation.engine.engine.Engine", "max_rows": 256}},
        "optimizer": {
            "_target_": "torch.optim.AdamW",
            "_partial_": True,
            "lr": 0.0003,
            "weight_decay": 0.0,
            "betas": [0.9, 0.999],
        },
        "schedule": {"warmup_steps": 10, "decay": True},
        "critic_lr": 0.0003,
        "warmup": {"from": "scratch", "steps": 4, "lr_warmup_steps": 100},
        "algorithm": {"advantages": {"_target_": "rltf.algorithms.advantages.Advantages", "clip": None}},
        "job": None,
        "report": True,
    }
    assert list(differences(old, today)) == []
    assert list(differences(old, {**today, "seed": 2})) == [("seed", 1, 2)]


def test_a_config_of_today_stays_as_it_is(composed):
    config = OmegaConf.to_container(composed("train"), resolve=True)
    assert upgrade_config(config) == config


def test_a_run_of_the_first_version_is_resumed(composed, tmp_path):
    """The recorded command line and config of 0.1 lead to a config that may go on in its folder."""
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text(
        yaml.safe_dump(["debug=default", "optimizer.warmup_steps=3", "callbacks.report=false"])
    )
    overrides = train_overrides([f"resume={tmp_path}"])
    assert overrides[:3] == ["debug=default", "schedule.warmup_steps=3", "report=false"]
    config = OmegaConf.to_container(composed("train", *overrides[:-1]), resolve=True)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    begin_run(config, tmp_path, resumed=True)
    with pytest.raises(ValueError, match="seed is 7 and was 1"):
        begin_run(config | {"seed": 7}, tmp_path, resumed=True)


def test_an_evaluation_drops_groups_that_it_never_read(capsys):
    assert policy_overrides(["policy=x/y", "reward=coarse", "algorithm=grpo"]) == ["policy=x/y"]
    assert capsys.readouterr().err.count("warning: ") == 2


def test_keys_that_models_have_had_since_are_as_the_run_was():
    pretrained = {"_target_": "rltf.policies.load.pretrained", "name": "a/b"}
    flags = {"gradient_checkpointing": False, "trust_remote_code": False}
    assert upgrade_config({"model": pretrained}) == {"model": flags | pretrained}  # dropout: null, the weights' own
    assert upgrade_config({"model": {"dropout": 0.0}}) == {"model": {"dropout": 0.0, "rl_dropout": 0.0}}
    assert upgrade_config({"rollouts": {"lag": 1}}) == {"rollouts": {"lag": 1, "skip_zero_weight": False}}
    chosen = {"model": {"dropout": 0.0, "rl_dropout": 0.1}, "rollouts": {"skip_zero_weight": True}}
    assert upgrade_config(chosen) == chosen


def test_a_run_from_before_starts_were_shipped_goes_on_from_scratch_and_as_long(tmp_path):
    (tmp_path / "overrides.yaml").write_text("[]\n")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"warmup": {"steps": 1200}, "trainer": {"max_epochs": 90}}))
    assert train_overrides([f"resume={tmp_path}"])[:2] == ["trainer.max_epochs=90", "warmup.from=scratch"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"warmup": {"from": "cache"}, "trainer": {"max_epochs": 90}}))
    assert train_overrides([f"resume={tmp_path}"])[:1] == [f"resume={tmp_path}"]


def test_a_run_of_four_micro_batches_a_step_keeps_them(tmp_path):
    config = {
        "warmup": {"from": "shipped"},
        "rollouts": {"batch_size": 64, "demonstrations": 4},
        "trainer": {"max_epochs": 60, "accumulate_grad_batches": 4},
    }
    (tmp_path / "overrides.yaml").write_text("[seed=2]\n")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert train_overrides([f"resume={tmp_path}"])[:5] == [
        "trainer.max_epochs=60",
        "rollouts.batch_size=64",
        "rollouts.demonstrations=4",
        "trainer.accumulate_grad_batches=4",
        "seed=2",
    ]


@pytest.mark.parametrize("target", ["rltf.generation.engine.Engine", "rltf.generation.engine.engine.Engine"])
def test_a_run_that_began_with_the_engine_goes_on_with_it(target, composed, tmp_path):
    config = {"generation": {"sampler": {"_target_": target}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "overrides.yaml").write_text("[seed=2]\n")
    overrides = train_overrides([f"resume={tmp_path}"])
    assert overrides[:2] == ["generation=native", "seed=2"]
    assert composed("train", *overrides[:2]).generation.sampler._target_ == "rltf.generation.engine.engine.Engine"
    for typed, sampler in (("generation=hf", "hf.HFSampler"), ("generation=native", "engine.engine.Engine")):
        (tmp_path / "overrides.yaml").write_text(f"[{typed}]\n")
        overrides = train_overrides([f"resume={tmp_path}"])
        assert overrides[0] == typed
        assert composed("train", overrides[0]).generation.sampler._target_ == f"rltf.generation.{sampler}"


def test_a_run_that_began_with_the_default_of_today_goes_on_with_it(composed, tmp_path):
    config = OmegaConf.to_container(composed("train"), resolve=True)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"generation": config["generation"]}))
    (tmp_path / "overrides.yaml").write_text("[]\n")
    assert train_overrides([f"resume={tmp_path}"])[0].startswith("resume=")
