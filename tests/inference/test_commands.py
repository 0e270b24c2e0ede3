"""The whole way: a run, a repair model of its failed programs, and searches with it."""

import json

import pytest

from rltf.commands.evaluate import evaluate
from rltf.commands.train import train

MINI = (
    "benchmark.sizes={train: 60, validation: 4, test: 6}",
    "generation.sampling.max_new_tokens=40",
)
QUIET = ("debug=default", "report=false", "callbacks.progress=null", "logger=none", "warmup.steps=0")
EVAL = ("model=tiny_t5", "policy=tiny_t5", "evaluation={problems: 4, samples: 3, ks: [1, 2]}")


@pytest.mark.parametrize("inference", ["sample", "best_of_n", "critic_sampling", "repair"])
def test_every_choice_composes_and_is_named_after_its_file(composed, inference):
    from hydra.utils import get_object

    cfg = composed("eval", "policy=x", f"inference={inference}")
    assert get_object(cfg.inference._target_).name == inference


@pytest.mark.slow
def test_choosing_changes_neither_the_programs_nor_pass_at_k(composed, tmp_path):
    results = {}
    for inference in ("sample", "best_of_n"):
        cfg = composed("eval", *MINI, *EVAL, f"inference={inference}", f"paths.output_dir={tmp_path / inference}")
        results[inference] = evaluate(cfg).summary
    plain, chosen = results["sample"], results["best_of_n"]
    assert plain["pass_at_k"] == chosen["pass_at_k"]
    assert plain["outcomes"] == chosen["outcomes"]
    assert plain["inference"]["budget"]["tokens"]["drawn"] == chosen["inference"]["budget"]["tokens"]["drawn"]
    assert plain["inference"]["with"]["n_at_k"] == {}
    assert list(chosen["inference"]["with"]["n_at_k"]) == ["1@3", "2@3"]
    samples = [(tmp_path / name / "samples.jsonl").read_text().splitlines() for name in results]
    texts = [[json.loads(line)["solution"] for line in lines] for lines in samples]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 4 * 3


@pytest.mark.slow
def test_the_critic_of_a_run_is_the_one_that_is_asked(composed, tmp_path):
    run = tmp_path / "run"
    critic = ("critic=outcome", "credit=critic_token", f"paths.output_dir={run}")
    train(composed("train", *MINI, *QUIET, *critic))
    asked = ("inference=critic_sampling", "critic=outcome", f"critic.weights={run / 'critic.pt'}")
    cfg = composed("eval", *MINI, *EVAL, *asked, f"paths.output_dir={tmp_path / 'eval'}")
    outcome = evaluate(cfg)
    search = outcome.data.inference
    assert search._critic is outcome.data.pipeline.critic
    programs = [program for judged in outcome.module.test_groups for program in judged.programs]
    trust = search._critic(programs)
    assert [len(one) for one in trust] == [len(program.token_ids) for program in programs]
    assert all(0 < value < 1 and value != 0.25 for one in trust for value in one)


@pytest.mark.slow
def test_a_policy_repairs_what_fails_the_examples(composed, tmp_path):
    options = ("inference=repair", "inference.turns=2", "model.max_prompt_tokens=400")
    cfg = composed("eval", *MINI, *EVAL, *options, f"paths.output_dir={tmp_path}")
    outcome = evaluate(cfg)
    record = outcome.summary["inference"]
    assert record["problems"] == {"all": 4, "with_examples": 4, "drawn": 4, "refined": 0, "repaired": 4}
    assert record["budget"]["programs"] == {"drawn": 12, "refined": 0, "repaired": 24}  # random weights pass nothing
    turns = [[p.turn for p in judged.programs if not p.greedy] for judged in outcome.module.test_groups]
    assert turns == [[2, 2, 2]] * 4


@pytest.mark.slow
def test_a_repair_model_is_trained_on_a_runs_failures_and_rewrites_failed_programs(composed, tmp_path):
    run, repair = tmp_path / "run", tmp_path / "repair"
    first = ("rollouts.problems=30", "trainer.max_epochs=2", f"paths.output_dir={run}")
    train(composed("train", *MINI, *QUIET, *first))
    stage = (
        "benchmark=repair",
        f"benchmark.run={run}",
        "benchmark.held_out=0.4",
        "algorithm=sft",
        "model.max_prompt_tokens=256",
    )
    outcome = train(composed("train", MINI[1], *QUIET, *stage, f"paths.output_dir={repair}"))
    assert outcome.summary["benchmark"] == "mini/repair"
    search = ("inference=critic_sampling", f"inference.repair={repair}", "inference.max_prompt_tokens=256")
    record = evaluate(composed("eval", *MINI, *EVAL, *search, f"paths.output_dir={tmp_path / 'eval'}")).summary
    found = record["inference"]
    assert found["problems"] == {"all": 4, "with_examples": 4, "drawn": 4, "refined": 0, "repaired": 4}
    assert found["budget"]["programs"] == {"drawn": 12, "refined": 0, "repaired": 12}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("inference=best_of_n",), "training learns from all"),
        (("inference=critic_sampling", "inference.repair=nowhere"), r"inference\.repair is set"),
        (("inference=critic_sampling", "curriculum=cccs"), "both say how training programs begin"),
        (("inference=critic_sampling", "generation.placement=separate"), "asks a critic between two draws"),
    ],
)
def test_what_cannot_find_training_programs_is_refused(composed, tmp_path, options, expected):
    with pytest.raises(ValueError, match=expected):
        train(composed("train", *MINI, *QUIET, *options, f"paths.output_dir={tmp_path}"))
