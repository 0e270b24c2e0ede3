"""A user's mistakes are one sentence each, found from the config alone: without torch, Lightning or transformers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rltf.commands.cli import run_checked
from rltf.commands.policy import find_policy
from rltf.setup import devices, packages, quantization
from rltf.setup.checks import check_config

ROOT = Path(__file__).parents[2]

TRAIN = {
    ("seed=abc",): "seed is 'abc': expected a whole number of at least 0",
    ("optimizer.lr=0",): "optimizer.lr is 0: expected a number above 0",
    ("report=maybe",): "report is 'maybe': expected true or false",
    ("quiet=3",): "quiet is 3: expected true or false",
    ("evaluation.split=foo",): "evaluation.split is 'foo': expected train, validation or test",
    ("generation.sampling.top_p=2",): "generation.sampling.top_p is 2: expected a number above 0 and at most 1",
    ("generation.sampling.top_k=-1",): "generation.sampling.top_k is -1: expected a whole number of at least 0",
    ("evaluation.ks=[1,100]",): "evaluation.ks is [1, 100]: expected numbers of at most evaluation.samples, which is",
    ("evaluation.samples=3",): "evaluation.ks is [1, 5, 10]: expected numbers of at most evaluation.samples, which",
    ("rollouts.samples=1",): "rollouts.samples is 1: expected at least 2 with algorithm.advantages.baseline=group_mean",
    ("+trainer.max_epoch=2",): "trainer.max_epoch is not known: did you mean trainer.max_epochs?",
    ("trainer.precision=8",): "trainer.precision is 8: expected null or 64 or 32",
    ("trainer.precision=16-true",): "trainer.precision is '16-true': expected bf16-mixed, 16-mixed or 32-true",
    ("trainer.max_epochs=many",): "trainer.max_epochs is 'many': expected null or a whole number",
    ("trainer.devices=0",): "trainer.devices is 0: expected auto, -1 for all, a whole number of at least 1, or a list",
    ("trainer=ddp", "trainer.devices=[]"): "trainer.devices is []: expected auto, -1 for all, a whole number",
    ("trainer=ddp", "trainer.devices=many"): "trainer.devices is 'many': expected auto, -1 for all, a whole number",
    ("trainer.accelerator=tpu",): "trainer.accelerator is 'tpu': expected auto, cpu, gpu, cuda or mps",
    ("trainer=ddp", "trainer.strategy=dpd"): "trainer.strategy is 'dpd': expected auto, ddp,",
    ("trainer.devices=4",): "trainer.devices is 4: expected 1; trainer=ddp or trainer=fsdp train on several",
    ("+warmup.step=20",): "warmup.step is not known: did you mean warmup.steps?",
    ("+modle=tiny_t5",): "modle is not known: did you mean model?",
    ("+sampels=3",): "sampels is not known: did you mean evaluation.samples or rollouts.samples?",
    ("+paths.rot=x",): "paths.rot is not known: did you mean paths.root?",
    ("+algorithm.advantage=x",): "algorithm.advantage is not known: did you mean algorithm.advantages?",
    ("+algorithm.mix.rl.objective.klx=1",): "algorithm.mix.rl.objective.klx is not known: did you mean",
    ("+logger.wandb.projekt=x",): "logger.wandb.projekt is not known: did you mean logger.wandb.project?",
    ("+logger.tensorboard.name=x",): "logger.tensorboard has no _target_: expected one of the chosen ones (csv, wandb)",
    ("+callbacks.checkpoints.evry=3",): "callbacks.checkpoints.evry is not known: did you mean",
    ("+callbacks.mine.every=3",): "callbacks.mine has no _target_: expected one of the chosen ones (phase_timer,",
    ("+reward.terms.prm.weight=3",): "reward.terms.prm has no _target_: expected one of the chosen ones (coarse,",
    ("+critic.lr=1",): "critic.lr is set and no critic is chosen: expected critic=NAME",
    ("+generation.hosts.process=2",): "generation.hosts.process is not known: did you mean generation.hosts.processes?",
    ("+optimizer.momentum=0.9",): "optimizer.momentum is not known to torch.optim.AdamW, which takes lr, betas,",
    ("callbacks.checkpoints.every=0",): "callbacks.checkpoints.every is 0: expected a whole number of at least 1",
    ("generation.sampler.max_rows=0",): "generation.sampler.max_rows is 0: expected a whole number of at least 1",
    ("generation=_shared",): "generation.sampler is None: expected the node of a sampler: generation=auto,",
    ("generation.placement=elsewhere",): "generation.placement is 'elsewhere': expected colocated or separate",
    ("executor.timeout=-1",): "executor.timeout is -1: expected a number above 0",
    ("executor.require=[nets]",): "executor.require is 'nets': expected some of",
    ("model.layers=abc",): "model.layers is 'abc': expected a whole number",
    ("model.layers=0",): "model.layers is 0: expected null or a whole number of at least 1",
    ("model.tokenizer=/nowhere",): "model.tokenizer is '/nowhere': expected a tokenizer.json; nothing is there",
    ("reward.terms.coarse.passed=x",): "reward.terms.coarse.passed is 'x': expected a number",
    ("reward.terms.adaptive.floor=9",): "reward.terms.adaptive.floor is 9: expected at most ceiling, which is",
    ("+trainer.profiler=simpel",): "trainer.profiler is 'simpel': expected simple, advanced or pytorch",
    ("trusted=rltf",): "trusted is 'rltf': expected a list of packages, such as",
    (
        "optimizer._target_=torch.optim.AdmW",
    ): "optimizer._target_ is 'torch.optim.AdmW', which torch.optim does not define: did you mean AdamW",
    (
        "+callbacks.mine={_target_: lightning.pytorch.callbacks.Nothing}",
    ): "callbacks.mine._target_ is 'lightning.pytorch.callbacks.Nothing', which lightning.pytorch.callbacks does not",
    (
        "reward.terms.coarse._target_=rltf.nope.X",
    ): "reward.terms.coarse._target_ is 'rltf.nope.X', which rltf.nope does",
    ("benchmark.sizes.train=0",): "benchmark.sizes.train is 0: expected a whole number of at least 1",
    ("benchmark.sizes.test=0",): "benchmark.sizes.test is 0: expected a whole number of at least 1",
    ("evaluation.split=validation", "benchmark.sizes.validation=0"): "benchmark.sizes.validation is 0: expected",
    ("schedule.decay=maybe",): "schedule.decay is 'maybe': expected true or false",
    ("rollouts.online=yes",): "rollouts.online is 'yes': expected true or false",
    ("generation.self_check=3",): "generation.self_check is 3: expected true or false",
    ("benchmark.sizes=50",): "benchmark.sizes is 50: expected a table",
    ("optimizer.betas=0.9",): "optimizer.betas is 0.9: expected a list",
    ("benchmark.bug_share=2",): "benchmark.bug_share is 2: expected a number of at least 0 and at most 1",
    (
        "benchmark=mbpp",
        "benchmark.path=/nowhere",
    ): "benchmark.path is '/nowhere': expected a file or folder of",
    ("benchmark=repair",): "benchmark.run is missing: expected the folder of a run, whose failed programs are used",
    ("job=prm",): "job.data is missing: expected the folder of a run of job=prm_data, or a list of them",
    ("reward=binary+prm",): "reward.terms.prm.model is missing: expected the folder of a run of job=prm",
    ("critic=outcome", "critic.weights=/x"): "critic.weights is '/x': expected the file critic.pt of a run, or null",
    ("critic=mlp", "critic.clip=0"): "critic.clip is 0: expected null or a number above 0",
    ("critic=outcome", "critic.lr=0"): "critic.lr is 0: expected a number above 0",
    (
        "model=pretrained",
        "recipe=default",
    ): "benchmark is not named, and this model's recipe has none: expected",
    (
        "model=pretrained",
        "recipe=default",
        "benchmark=mini",
    ): "model.path is None: expected model.path=FOLDER",
    ("algorithm=ppo",): "algorithm=ppo and credit=gae take advantages from a critic of values and there is none",
    ("algorithm=soft_q", "credit=executed"): "credit is rltf.credit.executed.ExecutedLinesCredit and algorithm=soft_q",
    ("algorithm=soft_q", "critic=value"): "critic is rltf.critics.value.ValueCritic and algorithm=soft_q learns from",
    ("algorithm=soft_q", "~algorithm.credit"): "algorithm.credit is None and algorithm=soft_q learns from rewards of",
    ("algorithm=soft_q", "trainer=fsdp"): "trainer.strategy is rltf.training.sharding.ShardedStrategy and",
    ("algorithm=soft_q", "trainer=deepspeed"): "trainer.strategy is lightning.pytorch.strategies.DeepSpeedStrategy and",
    (
        "algorithm=soft_q",
        "algorithm.target.rate=0",
    ): "algorithm.target.rate is 0: expected a number above 0 and at most",
    ("algorithm=soft_q", "algorithm.credit.scale=0"): "algorithm.credit.scale is 0: expected a number above 0",
    (
        "algorithm=grpo",
        "+algorithm.credit={_target_: rltf.credit.at_end.RewardAtEnd}",
    ): "algorithm.credit is rltf.credit.at_end.RewardAtEnd, which gives rewards, and algorithm.mix.rl learns from",
    ("credit=tests", "credit.reduce=max"): "credit.reduce is 'max': expected sum or mean",
    ("credit=divergence", "credit.earlier=2"): "credit.earlier is 2: expected a number of at least 0 and at most 1",
    ("credit=tests", "credit.passed=high"): "credit.passed is 'high': expected a finite number",
    ("credit=tests", "credit.normalize=rank"): "credit.normalize is 'rank': expected none, std, sample_std or batch",
    ("credit=tests", "algorithm=ppo", "critic=value"): "credit is rltf.credit.per_test.PerTestCredit and",
    ("credit=tree", "credit.normalize=rank"): "credit.normalize is 'rank': expected none, std, sample_std or batch",
    ("credit=tree", "algorithm=ppo", "critic=value"): "credit is rltf.credit.tree.PrefixTreeCredit and",
    ("model=codet5p_2b", "model.train=decoder"): "model.train is 'decoder': expected all, cross_attention or encoder",
    ("model=codet5p_2b", "+model.kind=causal"): "model.kind is not known",
    ("model=codet5p_110m_embedding", "recipe=tiny_t5"): "model=codet5p_110m_embedding embeds texts and writes none",
    ("inference=best_of_n",): "inference=best_of_n chooses among programs and training learns from all",
    ("inference=critic_sampling", "curriculum=cccs"): "inference=critic_sampling and curriculum both say how",
    ("inference=repair", "curriculum=prefix"): "inference=repair and curriculum both say how",
    ("inference=repair", "curriculum=pool"): "inference=repair and curriculum both choose training problems: use",
    ("inference=repair", "inference.share=1"): "inference.share is 1: expected a number above 0 and below 1",
    ("inference=repair", "generation.placement=separate"): "inference=repair repairs programs that this process had",
    ("curriculum=prefix", "generation.placement=separate"): "curriculum is rltf.curricula.replay.PrefixReplay, which",
    ("curriculum=prefix", "curriculum.gain=0"): "curriculum.gain is 0: expected a number above 0 and at most 2",
    ("curriculum=pool", "curriculum.memory=0"): "curriculum.memory is 0: expected a number above 0 and at most 1",
    ("curriculum=pool", "+curriculum.share=0.5"): "curriculum.share is not known",
    ("model=codet5_small", "+model.lora={r: 0}"): "model.lora.r is 0: expected a whole number of at least 1",
    ("model=codet5_small", "model.quantization=fp4"): "model.quantization is 'fp4': expected nf4 or null",
    ("model=tiny_t5", "+model.quantization=nf4"): "model.quantization is not known",
    ("model=codet5_small", "model.quantization=nf4", "trainer=cpu"): "model.quantization is 'nf4': expected null with",
    ("model=codet5_small", "model.dtype=int8"): "model.dtype is 'int8': expected float32, bfloat16 or float16",
}
EVAL = {
    (): "policy is missing: expected policy=FOLDER of a run or of a model, policy=HUB_ID, or a name of configs/model",
    ("policy=/nope",): "policy is '/nope': expected a run folder, a folder in the Hugging Face layout, a hub id",
    ("policy=x", "+warmup.steps=3"): "warmup is not known: did you mean",
    (
        "policy=x",
        "generation.sampling.temperature=0",
    ): "generation.sampling.temperature is 0: expected a number",
    (
        "policy=x",
        "inference=best_of_n",
        "inference.score=likely",
    ): "inference.score is 'likely': expected logprob or match",
    (
        "policy=x",
        "inference=best_of_n",
        "+inference.matcher.size=2",
    ): "inference.matcher.size is not known",
    (
        "policy=x",
        "inference=best_of_n",
        "inference.matcher.batch_size=0",
    ): "inference.matcher.batch_size is 0: expected a whole number of at least 1",
    ("policy=x", "critic=outcome"): "critic.weights is null and evaluation trains no critic: name a run's critic.pt",
}


@pytest.mark.parametrize(("overrides", "sentence"), TRAIN.items(), ids=[" ".join(key) for key in TRAIN])
def test_a_mistake_in_training_is_one_sentence(composed, overrides, sentence):
    cfg = composed("train", *overrides)
    with pytest.raises(ValueError, match=rf"^{re.escape(sentence)}[^\n]*$"):
        check_config(cfg, "train")


@pytest.mark.parametrize(("overrides", "sentence"), EVAL.items(), ids=[" ".join(key) or "nothing" for key in EVAL])
def test_a_mistake_in_an_evaluation_is_one_sentence(composed, overrides, sentence):
    cfg = composed("eval", *overrides)
    with pytest.raises(ValueError, match=rf"^{re.escape(sentence)}[^\n]*$"):
        run_checked("eval", cfg)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("evaluation.temperature=0", "evaluation.samples=1"),
        ("+trainer.limit_train_batches=3",),
        ("~optimizer.betas", "+optimizer.eps=1e-7"),
        ("optimizer._target_=torch.optim.SGD", "~optimizer.betas", "+optimizer.momentum=0.9"),
        ("+callbacks.rate={_target_: lightning.pytorch.callbacks.LearningRateMonitor, logging_interval: step}",),
        ("callbacks.checkpoints=null", "logger.wandb=null"),
        ("model=codet5_small", "benchmark=mini", "model.lora={r: 16}"),
        ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"),
        ("trainer=ddp", "trainer.devices=[0,1]"),
        ("trainer=ddp", "trainer.devices='0,1'"),
        ("trainer=ddp", "trainer.devices=-1"),
        ("algorithm=ppo", "critic=mlp"),
        ("credit=executed+critic_token", "critic=outcome"),
        ("credit=tests", "algorithm=dapo"),
        ("credit=divergence", "algorithm=ppo", "critic=value"),
        ("credit=tests", "algorithm=sft"),
        ("credit=tree", "algorithm=grpo"),
    ],
)
def test_what_makes_sense_passes(composed, overrides):
    check_config(composed("train", *overrides), "train")


@pytest.mark.parametrize(
    ("overrides", "package"),
    [
        (("executor=ray",), "ray"),
        (("generation=vllm", "model=tiny_causal"), "vllm"),
        (("logger=mlflow",), "mlflow"),
        (("logger=[csv,tensorboard]",), "tensorboard"),
        (("logger=trackio",), "trackio"),
        (("trainer=deepspeed",), "deepspeed"),
        (("model=codet5_small", "benchmark=mini", "model.lora={r: 16}"), "peft"),
        (("model=codet5_small", "benchmark=mini", "model.quantization=nf4"), "bitsandbytes"),
        (("generation.placement=separate",), "ray"),
    ],
)
def test_a_package_that_is_not_installed_is_named(composed, monkeypatch, overrides, package):
    for module in (devices, quantization):
        monkeypatch.setattr(module, "may_have_gpu", lambda accelerator: True)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=rf"^\S+ needs the package {package}: install it with `pip install '{package}\S*'`$"
    ):
        check_config(composed("train", *overrides), "train")


QUANTIZED = ("model=codet5_small", "benchmark=mini", "model.lora={r: 16}", "model.quantization=nf4")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("generation=native",),
            "generation=native reads whole weights and model.quantization=nf4 keeps them in 4",
        ),
        (("generation=vllm",), "generation=vllm copies whole weights and model.quantization=nf4 keeps them in 4 bits"),
        (("generation=server",), "generation=server copies whole weights and model.quantization=nf4 keeps them in 4"),
        (("generation.placement=separate", "rollouts.lag=1"), "model.quantization is nf4 and generation.placement=sep"),
        (("trainer=fsdp",), "trainer.strategy is rltf.training.sharding.ShardedStrategy, which shares weights out"),
        (("trainer=deepspeed", "callbacks.checkpoints=null"), "trainer.strategy is lightning.pytorch.strategies.DeepS"),
        (("trainer.accelerator=cpu",), "model.quantization is 'nf4': expected null with trainer=cpu"),
    ],
)
def test_what_needs_whole_weights_is_refused_above_a_base_in_4_bits(composed, monkeypatch, overrides, sentence):
    for module in (devices, quantization):
        monkeypatch.setattr(module, "may_have_gpu", lambda accelerator: True)
    monkeypatch.setattr(packages, "find_spec", lambda name: object())
    check_config(composed("train", *QUANTIZED), "train")
    check_config(composed("train", *QUANTIZED, "trainer=ddp", "generation=hf"), "train")
    with pytest.raises(ValueError, match=rf"^{re.escape(sentence)}[^\n]*$"):
        check_config(composed("train", *QUANTIZED, *overrides), "train")


def test_4_bits_are_refused_where_no_gpu_is(composed, monkeypatch):
    monkeypatch.setattr(quantization, "may_have_gpu", lambda accelerator: False)
    sentence = r"^model\.quantization is 'nf4': expected null without a CUDA device, and there is none here$"
    for name, overrides in (("train", QUANTIZED), ("eval", ("policy=x", "model.quantization=nf4"))):
        with pytest.raises(ValueError, match=sentence):
            check_config(composed(name, *overrides), name)


def test_a_gpu_is_asked_for_where_none_is(composed, monkeypatch):
    monkeypatch.setattr(devices, "GPU_FILES", ())
    for accelerator in ("gpu", "cuda"):
        sentence = rf"^trainer.accelerator is '{accelerator}': expected auto or cpu: torch finds no such device here$"
        with pytest.raises(ValueError, match=sentence):
            check_config(composed("train", f"trainer.accelerator={accelerator}"), "train")


def test_a_stopped_run_and_a_checkpoint_are_no_policies(composed, tmp_path):
    checkpoint = tmp_path / "stopped" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    run = checkpoint.parents[1]
    with pytest.raises(ValueError, match=rf"expected a finished run; `rltf export {run}` writes a policy"):
        find_policy(composed("eval", f"policy={run}"))
    with pytest.raises(ValueError, match=rf"`rltf export {run} --best` writes a policy from a checkpoint"):
        find_policy(composed("eval", f"policy={checkpoint}"))


def test_nothing_heavy_is_imported_to_find_a_mistake():
    code = "import sys; sys.argv = ['train.py', 'algorithm=ppo']; from rltf.commands.cli import command\n"
    code += "try: command('train')\n"
    code += "finally: assert not {'torch', 'lightning', 'transformers', 'wandb', 'numpy'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: algorithm=ppo and credit=gae")
