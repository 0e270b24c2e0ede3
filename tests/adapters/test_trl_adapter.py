"""TRL trains with our reward (needs TRL: `pip install -e '.[perf]'`)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="TRL is not installed: pip install -e '.[perf]'", exc_type=ImportError)

import datasets
import pyarrow as pa
import torch
from datasets import Dataset
from transformers import LlamaForCausalLM
from trl import GRPOConfig, GRPOTrainer

from rltf.adapters.trl import TRLReward
from rltf.benchmarks.mini import Mini
from rltf.policies.tiny import tiny_causal
from rltf.service.job_rows import row_of_job
from rltf.types import Job

sys.path.append(str(Path(__file__).parents[1] / "docs"))

from pages import ROOT, code_blocks

PAGE = ROOT / "docs" / "use-the-judge.md"

STEPS, PROMPTS, SAMPLES = 2, 2, 4


pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_grpo_trainer_takes_two_steps_with_our_ladder(tmp_path: Path) -> None:
    policy, tasks = tiny_causal(max_prompt_tokens=128), Mini(sizes={"train": 16, "validation": 1, "test": 1})
    model = LlamaForCausalLM(policy.model.config)
    model.load_state_dict(policy.model.state_dict())
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    problems = tasks.problems("train")
    prompts = [tasks.prompt(problem) for problem in problems]
    rows = pa.table(
        {
            "prompt": [prompt.head + prompt.question + prompt.tail + prompt.answer for prompt in prompts],
            "tests": [json.dumps(row_of_job(0, Job("", problem.tests))["tests"]) for problem in problems],
        }
    )
    seen: list[float | None] = []

    class Recorded(TRLReward):
        def __call__(self, *args, **columns):
            values = super().__call__(*args, **columns)
            seen.extend(values)
            return values

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TRL's and datasets' own
        trainer = GRPOTrainer(
            model,
            reward_funcs=[Recorded("coarse", workers=2)],
            args=GRPOConfig(
                output_dir=str(tmp_path),
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                per_device_train_batch_size=PROMPTS * SAMPLES,
                num_generations=SAMPLES,
                max_completion_length=24,
                steps_per_generation=1,
                max_steps=STEPS,
                learning_rate=1e-3,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset(rows, fingerprint="prompts"),
            processing_class=policy.tokenizer,
        )
        trainer.train()
    assert trainer.state.global_step == STEPS
    assert len(seen) == STEPS * PROMPTS * SAMPLES
    assert set(seen) <= {1.0, -0.3, -0.6, -1.0}
    log = trainer.state.log_history[0]
    assert log["rewards/rltf_coarse/mean"] == pytest.approx(sum(seen[: PROMPTS * SAMPLES]) / (PROMPTS * SAMPLES))
    assert "judge/passed" in log
    if len(set(seen)) > 1:
        assert any(not torch.equal(before[name], weight) for name, weight in model.named_parameters())


def test_the_script_of_the_docs_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for the model, the data set, and how long it trains."""
    [script] = [block for block in code_blocks(PAGE, "python") if "GRPOTrainer(" in block]
    policy = tiny_causal(max_prompt_tokens=128)
    policy.tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    model = LlamaForCausalLM(policy.model.config)
    model.save_pretrained(tmp_path / "model")
    policy.tokenizer.save_pretrained(tmp_path / "model")
    tasks = {"text": ["Add one."] * 8, "test_list": [["assert f(1) == 2", "assert f(2) == 3"]] * 8}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: Dataset(pa.table(tasks), fingerprint="tasks"))
    script = script.replace("Qwen/Qwen2.5-Coder-0.5B-Instruct", str(tmp_path / "model"))
    small = "max_steps=1, use_cpu=True, bf16=False, report_to='none', save_strategy='no', disable_tqdm=True, "
    script = script.replace('output_dir="grpo", ', f"output_dir={str(tmp_path)!r}, {small}")
    script = script.replace("max_completion_length=256", "max_completion_length=8")
    scope = {"__name__": "__main__"}
    exec(compile(script, "script", "exec"), scope)
    assert scope["trainer"].state.global_step == 1


def test_the_example_trains_and_prints_the_reward_of_each_step(tmp_path: Path) -> None:
    command = [sys.executable, "examples/trl_reward.py", "--steps", "2", "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800, env=environment)
    lines = re.findall(r"^step (\d): reward -?\d\.\d\d, passed \d+%$", done.stdout, re.MULTILINE)
    assert lines == ["1", "2"], done.stdout + done.stderr
