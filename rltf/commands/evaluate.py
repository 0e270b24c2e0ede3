"""pass@k of one policy on one benchmark: what `eval.py` does."""

from __future__ import annotations

from omegaconf import DictConfig

from rltf.commands.start import CommandResult, measure_policy, start_command
from rltf.inference.base import Inference
from rltf.inference.results import print_search, search_record
from rltf.rollouts.clock import PhaseClock
from rltf.runs.files import RESULTS_FILE
from rltf.runs.summary import evaluation_record, print_table, write_json, write_samples
from rltf.setup.checks import check_evaluation
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.setup.trainer import build_trainer
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather


def evaluate(cfg: DictConfig) -> CommandResult:
    """Draws and judges programs of held-out problems; writes `samples.jsonl` and `results.json`.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    evaluation = check_evaluation(cfg)
    folder, console = start_command(cfg)
    with Components.build(cfg, PhaseClock(), training=False) as components:
        trainer = build_trainer(cfg, folder)
        module = RLTFModule(components.policy, components.sampling, evaluation.ks)
        inference: Inference = build(cfg, "inference", pipeline=components.pipeline)
        data = components.datamodule(evaluation, cfg.seed, trainer, inference=inference)
        benchmark = components.benchmark.name
        result = measure_policy(components, trainer, module, data, console, benchmark)
        searches = [search for rank in all_gather(inference.results) for search in rank]
        record = {
            "policy": str(cfg.policy),
            "benchmark": benchmark,
            "n": evaluation.samples,
            "k": list(result.ks),
            "temperature": evaluation.temperature,
            "top_p": evaluation.top_p,
            "seed": cfg.seed,
            "problems": len(result.problems),
            **evaluation_record(result),
            "inference": search_record(inference.name, searches, result.ks),
            "isolation": components.executor.report(),
        }
        if trainer.is_global_zero:
            write_json(folder / RESULTS_FILE, record)
            write_samples(folder, (triple for group in module.test_groups for triple in group.triples()))
            print_table(console, {benchmark: record})
            print_search(console, record["inference"])
            outcomes = "  ".join(f"{name} {count}" for name, count in result.outcomes().items())
            console.print(f"{outcomes}\nresults {folder / RESULTS_FILE}")
        return CommandResult(result.pass_at_k[min(result.ks)], record, folder, module, data)
