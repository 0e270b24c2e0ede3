"""TRL's GRPOTrainer with the judge as its reward, on problems that come with rltf: nothing is downloaded.

    pip install -e '.[perf]'            # in the checkout: TRL
    python examples/trl_reward.py --steps 20 [--model FOLDER]

Without `--model` a tiny model of random weights shows that all of it connects; hardly anything that it writes compiles,
so that rewards stay at -1 and teach nothing. `--model` takes any causal model, such as `policy/` of a run of
`python train.py model=tiny_causal`. For problems of your own see docs/use-the-judge.md.
"""

from __future__ import annotations

import argparse
import json

import pyarrow as pa
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from trl import GRPOConfig, GRPOTrainer

from rltf.adapters.trl import TRLReward
from rltf.benchmarks.mini import Mini
from rltf.policies.tiny import tiny_causal
from rltf.service.job_rows import row_of_job
from rltf.types import Job


def training_rows(problems: int) -> Dataset:
    """One row a problem: what the model reads, and the tests that judge what it writes."""
    benchmark = Mini(sizes={"train": problems, "validation": 1, "test": 1})
    tasks = benchmark.problems("train")
    prompts = [benchmark.prompt(task) for task in tasks]
    texts = [prompt.head + prompt.question + prompt.tail + prompt.answer for prompt in prompts]
    tests = [json.dumps(row_of_job(0, Job("", task.tests))["tests"]) for task in tasks]
    return Dataset(pa.table({"prompt": texts, "tests": tests}), fingerprint=f"mini{problems}")


def make_trainer(folder: str | None, steps: int, samples: int, output: str) -> GRPOTrainer:
    """A trainer of the model in a folder, or of a tiny one of random weights."""
    if folder is None:
        policy = tiny_causal(max_prompt_tokens=128)
        model, tokenizer = LlamaForCausalLM(policy.model.config), policy.tokenizer
    else:
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    return GRPOTrainer(
        model,
        reward_funcs=[TRLReward("coarse", workers=2)],
        args=GRPOConfig(
            output_dir=output,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            num_generations=samples,
            per_device_train_batch_size=2 * samples,
            max_completion_length=24,
            max_steps=steps,
            learning_rate=1e-3,
            scale_rewards="none",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=training_rows(16),
        processing_class=tokenizer,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="FOLDER", help="a causal model with its tokenizer; default: random weights")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--samples", type=int, default=4, help="programs a problem")
    parser.add_argument("--output", default="trl_reward")
    arguments = parser.parse_args()
    trainer = make_trainer(arguments.model, arguments.steps, arguments.samples, arguments.output)
    trainer.train()
    for row in trainer.state.log_history:
        if "rewards/rltf_coarse/mean" in row:
            print(f"step {row['step']}: reward {row['rewards/rltf_coarse/mean']:.2f}, passed {row['judge/passed']:.0%}")
