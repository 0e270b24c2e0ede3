"""Papers with their options, and what differs from them: tables that docs/generate.py writes.

Which option is whose is read from the code: the ids of papers in docstrings of modules and in yaml files, and the
choices whose `_target_`s lie in those modules. Needs Python alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PAPERS = {
    "2307.04349": ("RLTF", "feedback of three granularities from unit tests, online"),
    "2207.01780": (
        "CodeRL",
        "a critic of outcomes; search and repair at test time",
    ),
    "2603.16158": ("EGCA", "a wrong answer's blame at the line where its values part from a reference's"),
    "2402.01391": ("StepCoder", "loss on executed lines alone; completion subtasks as a curriculum"),
    "2605.05112": ("Rollout pass-rate control", "own prefixes are replayed until about half of a group passes"),
    "2602.03806": ("Cobalt", "repair turns as problems of one step"),
    "2410.17621": ("Process supervision for code", "labels of lines by completion, a model of them, and its rewards"),
    "2310.13669": ("Mined unit tests", "tests out of code without any, an actor-critic, one program a structure"),
    "2305.18341": ("RLCF", "rewards from a compiler, static checks and a comparison with references; no tests"),
    "2509.18314": ("TEMPO", "values of tokens from the prefix tree of a group"),
    "2601.03525": ("VeRPO", "tests weigh by how few programs pass them"),
    "2508.05170": ("Posterior-GRPO", "a term speaks only of programs that pass"),
    "2402.03300": ("GRPO (DeepSeekMath)", "clipped ratios, advantages normalised by group"),
    "2503.20783": ("Dr. GRPO", "GRPO without its two biases"),
    "2503.14476": ("DAPO", "dynamic sampling, higher clip, penalty on long answers"),
    "2507.18071": ("GSPO", "one ratio a program"),
    "2506.13585": ("CISPO (MiniMax-M1)", "bounded importance weights that keep every gradient"),
    "2505.15201": ("PKPO", "pass@k as the objective"),
    "2601.05242": ("GDPO", "terms of a reward compared one by one"),
    "2501.03262": ("REINFORCE++", "advantages divided by the spread of the whole batch"),
    "2508.08221": ("LitePPO", "group mean, spread of the batch"),
    "2402.14740": ("RLOO", "leave-one-out baseline"),
    "1707.06347": ("PPO", "a critic of returns beside a clipped objective"),
    "1506.02438": ("GAE", "advantages of tokens from a critic of returns"),
    "1909.08593": ("Fine-tuning from human preferences", "adaptive weight of the KL penalty"),
    "2106.07704": ("Soft Q-learning for text", "path consistency: learns from any programs, whoever drew them"),
    "2009.08319": ("ATC", "contrast between a program's beginning and the same program lines later; no verdicts"),
    "2304.06767": ("RAFT", "control arm: supervised training on programs that pass"),
    "2604.01193": ("Simple self-distillation", "control arm: supervised training on the policy's own programs"),
    "2503.14286": ("TOPR", "tapered importance weights, the example of a page"),
    "2105.09938": ("APPS", "benchmark"),
    "2108.07732": ("MBPP", "benchmark"),
    "2307.02435": ("Continual learning for code", "tasks one after the other; prompt pools with teacher forcing"),
    "2407.19772": ("Unseen code tests in infinitum", "items without end by construct; what a new model breaks"),
    "2107.03374": ("HumanEval (Codex)", "benchmark; the unbiased pass@k; ranking by mean log-prob"),
    "2305.01210": ("evalplus", "HumanEval+ and MBPP+: programs beside a reference on many inputs"),
    "2403.07974": ("LiveCodeBench", "benchmark; problems by the day of their contest"),
    "2504.14655": ("LeetCodeDataset", "benchmark"),
    "2312.14852": ("TACO", "benchmark"),
    "2203.07814": ("AlphaCode (CodeContests)", "benchmark"),
    "2503.02951": ("KodCode", "benchmark"),
    "2406.15877": ("BigCodeBench", "benchmark"),
    "2208.08227": ("MultiPL-E", "benchmark in JavaScript and C++"),
    "2109.00859": ("CodeT5", "models"),
    "2305.07922": ("CodeT5+", "models; ranking by match of text and code; embeddings"),
    "2203.13474": ("CodeGen", "models"),
    "2409.12186": ("Qwen2.5-Coder", "model"),
    "2305.14314": ("QLoRA", "adapters above a frozen base in 4 bits"),
}
"""arXiv id -> name, and what of it is here."""

OPTIONS_OF_PAPERS = {
    "2307.04349": ["algorithm=rltf", "reward=coarse+fine+adaptive"],
    "2207.01780": ["critic=outcome credit=critic_token", "inference=critic_sampling", "benchmark=repair"],
    "2402.03300": ["algorithm=grpo"],
    "2503.14476": ["algorithm=dapo", "reward=overlong", "algorithm.advantages.groups=live"],
    "2503.20783": ["algorithm=dr_grpo"],
    "2402.14740": ["algorithm=rloo"],
    "1707.06347": ["critic=value algorithm=ppo"],
    "2310.13669": ["job=mine", "benchmark=mined", "experiment=actor_critic", "buffer=distinct"],
    "2305.18341": ["experiment=rlcf", "reward=grounding", "reward=static"],
    "2106.07704": ["algorithm=soft_q"],
    "2307.02435": ["tasks=sequential", "tasks=replay", "prompts=pool", "prompts=pool_tf", "benchmark=codetask_mini"],
    "2304.06767": ["algorithm=raft"],
    "2305.07922": [
        *(f"model=codet5p_{size}" for size in ("220m", "770m", "220m_py", "770m_py", "2b", "6b")),
        *("model=codet5p_220m_bimodal", "model=codet5p_110m_embedding", "inference=best_of_n inference.score=match"),
    ],
    "2604.01193": ["algorithm=ssd"],
}
"""Options of papers that the code names without their id, that are several settings, or that share a module."""

OPTIONS_OF_MODULES = {
    "rltf/algorithms/advantages.py": "algorithm.advantages.normalize=batch",
    "rltf/algorithms/dynamic_sampling.py": "algorithm=dapo",
    "rltf/algorithms/max_of_k.py": "algorithm.advantages.baseline=max_of_k",
    "rltf/algorithms/terms.py": "algorithm.advantages.terms=apart",
    "rltf/contrast/network.py": "job=atc",
    "rltf/policies/prompt_pool.py": "prompts=pool_tf",
    "rltf/rollouts/tasks.py": "tasks=replay",
    "rltf/credit/kl_penalty.py": "algorithm=ppo",
    "rltf/policies/codet5p/layers.py": "model=codet5p_2b",
    "rltf/policies/quantization.py": "model=codegen_2b model.lora={r:64} model.quantization=nf4",
    "rltf/policies/codet5p/matching.py": "inference=best_of_n inference.score=match",
    "rltf/mining/miner.py": "job=mine",
    "rltf/prm/data.py": "job=prm_data",
    "rltf/prm/__init__.py": "job=prm",
    "rltf/rewards/gates.py": "reward=overlong reward.terms.overlong.gate=passed",
    "rltf/rewards/rarity.py": "reward.terms.adaptive.tests=rare",
    "rltf/metrics/pass_at_k.py": "evaluation.ks",
}
"""Modules that no `_target_` of a yaml names -> the key that reaches them."""

PAGES_OF_PAPERS = {
    "2307.04349": ["results/proof.md", "results/default_run.md"],
    "2207.01780": ["credit.md", "inference.md", "results/credit.md"],
    "2402.01391": ["credit.md", "results/credit.md"],
    "2605.05112": ["curricula.md"],
    "2602.03806": ["curricula.md"],
    "2410.17621": ["credit.md", "results/credit.md"],
    "2310.13669": ["mining.md"],
    "2305.18341": ["grounding.md"],
    "2509.18314": ["credit.md"],
    "2603.16158": ["credit.md"],
    "2501.03262": ["credit.md"],
    "2106.07704": ["credit.md", "results/soft_q.md"],
    "2009.08319": ["contrastive.md", "results/contrastive.md"],
    "2503.14286": ["add_objective.md"],
    "2105.09938": ["benchmarks.md"],
    "2108.07732": ["benchmarks.md", "results/smollm2.md"],
    "2307.02435": ["continual.md", "results/continual.md"],
    "2407.19772": ["infinitum.md", "reports.md"],
    "2107.03374": ["benchmarks.md", "inference.md"],
    "2305.07922": ["codet5p.md"],
    "2305.14314": ["models.md"],
}

LISTS = re.compile(r"\b(How it (deviates|reads)|Deviations|they deviate)\b.*:$")
"""Line of a docstring that a numbered list of differences follows."""


def papers() -> str:
    """Each paper with its options and the pages that measure or explain them."""
    lines = ["| paper | what of it | options | pages |", "| --- | --- | --- | --- |"]
    for number, (name, topic) in PAPERS.items():
        options = OPTIONS_OF_PAPERS.get(number) or _options_citing(number)
        pages = ", ".join(f"[{Path(page).stem}]({page})" for page in PAGES_OF_PAPERS.get(number, []))
        shown = ", ".join(f"`{option}`" for option in options)
        lines.append(f"| [{name}](https://arxiv.org/abs/{number}) | {topic} | {shown} | {pages} |")
    return "".join(f"{line}\n" for line in lines)


def deviations() -> str:
    """The numbered differences of each module from its source, with the options that use it."""
    parts = []
    for file, head, items in modules_with_deviations():
        parts.append(f"### `{_title(file)}`\n\n{head}\n\n" + "\n".join(items) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def modules_with_deviations() -> Iterator[tuple[str, str, list[str]]]:
    """(file, first paragraph of its docstring, numbered differences)."""
    for path in sorted((ROOT / "rltf").rglob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines = text.splitlines()
        for start, line in enumerate(lines):
            if LISTS.search(line) and start + 1 < len(lines) and lines[start + 1].startswith("1. "):
                yield str(path.relative_to(ROOT)), _first_paragraph(lines), _numbered(lines[start + 1 :])
                break


def options_of_module(file: str) -> list[str]:
    """Options that reach a module: `group=choice` of yaml files that name its classes, or a key."""
    if file in OPTIONS_OF_MODULES:
        return [OPTIONS_OF_MODULES[file]]
    dotted = file.removesuffix(".py").replace("/", ".")
    return [option for option, text in _yaml_texts() if re.search(rf"_target_: {re.escape(dotted)}\.", text)]


def cited_papers() -> set[str]:
    """Ids of all papers that code and configs cite."""
    files = [*(ROOT / "rltf").rglob("*.py"), *(ROOT / "configs").rglob("*.yaml")]
    return {number for file in files for number in _ids(file.read_text(encoding="utf-8"))}


def _options_citing(number: str) -> list[str]:
    options = [option for option, text in _yaml_texts() if number in _ids(text)]
    for path in sorted((ROOT / "rltf").rglob("*.py")):
        if number in _ids(path.read_text(encoding="utf-8")):
            options += options_of_module(str(path.relative_to(ROOT)))
    return sorted(set(options), key=lambda option: (option.partition("=")[0], option))


def _ids(text: str) -> set[str]:
    return set(re.findall(r"(?<![\d.])\d{4}\.\d{5}(?!\d)", text))


def _yaml_texts() -> Iterator[tuple[str, str]]:
    """`group=choice` and text of each yaml."""
    for file in sorted((ROOT / "configs").glob("*/[!_]*.yaml")):
        if file.parent.name not in ("experiment", "recipe", "sweep"):  # which combine what others define
            yield f"{file.parent.name}={file.stem}", file.read_text(encoding="utf-8")


def _title(file: str) -> str:
    options = options_of_module(file)
    return options[0] if len(options) == 1 else ", ".join(options) or file


def _first_paragraph(lines: list[str]) -> str:
    end = lines.index("") if "" in lines else len(lines)
    return " ".join(lines[:end])


def _numbered(lines: list[str]) -> list[str]:
    """Items of a numbered list, a line each."""
    items: list[str] = []
    for line in lines:
        if re.match(r"\d+\. ", line):
            items.append(line)
        elif line.startswith("   "):
            items[-1] += f" {line.strip()}"
        else:
            break
    return items
