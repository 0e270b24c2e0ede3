"""Parts of a config that do not go together: said before any of them is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from rltf.credit.chain import CreditChain, CriticKind, single_kind
from rltf.rollouts.interfaces import TokenCredit
from rltf.setup.instantiate import build
from rltf.setup.signatures import read_attribute, read_signature

if TYPE_CHECKING:
    from rltf.algorithms.loss_mix import LossMix

CREDIT_KEYS = ("algorithm.credit", "credit")
CHAIN = "rltf.credit.chain.CreditChain"
EMBEDDER = "rltf.policies.codet5p.embedding.embedder"
MULTI_ROUND_METHOD = "draw_in_rounds"
"""Method of `rltf.rollouts.interfaces.MultiRoundSampler`."""
PLAN_METHOD = "problem_order"
"""Method of `rltf.rollouts.interfaces.ProblemPlan`."""
RETURN_METHOD = "choose"
"""Method of `rltf.rollouts.returning_order.Returns`."""


def check_combinations(cfg: DictConfig) -> None:
    """Checks credit against critic, the loss against its credit, and search and placement against what training needs.

    Raises:
        ValueError: two of them contradict each other; one sentence with a way out.
    """
    check_model_writes(cfg)
    check_rewards_of_tokens(cfg)
    check_credit(cfg)
    check_averages(cfg)
    check_auxiliary(cfg)
    check_training_search(cfg)
    check_placement(cfg)
    check_prompts(cfg)


def check_model_writes(cfg: DictConfig) -> None:
    """Refuses a model that embeds texts where programs are drawn.

    Raises:
        ValueError: `model` is one.
    """
    if cfg.model._target_ == EMBEDDER:
        raise ValueError(
            "model=codet5p_110m_embedding embeds texts and writes none: expected a model that generates text; "
            "reward.terms.grounding.discriminator.model takes it"
        )


def build_credit(cfg: DictConfig) -> TokenCredit | None:
    """The token credit of a run: that of the algorithm (`algorithm.credit`), then the one chosen (`credit`); None where
    there is neither, and tokens get the advantage and the spans of the reward.

    Raises:
        ValueError: one of them refused its options.
    """
    credits: list[TokenCredit] = [credit for key in CREDIT_KEYS if (credit := build(cfg, key)) is not None]
    return credits[0] if len(credits) == 1 else CreditChain(credits) if credits else None


def critic_kind(cfg: DictConfig, key: str) -> CriticKind | None:
    """The kind of critic that the credit at a key reads; None where there is no credit, or it reads none."""
    target = OmegaConf.select(cfg, f"{key}._target_")
    if target is None:
        return None
    if target == CHAIN:
        steps = range(len(OmegaConf.select(cfg, f"{key}.steps")))
        return single_kind(critic_kind(cfg, f"{key}.steps[{step}]") for step in steps)
    if target.startswith("rltf."):
        kind: CriticKind | None = read_attribute(target, "critic_kind")
        return kind
    credit: TokenCredit = build(cfg, key)
    return credit.critic_kind


def check_credit(cfg: DictConfig) -> None:
    """Whether the critic is the one that the credit reads.

    Raises:
        ValueError: it is not.
    """
    kinds = [critic_kind(cfg, key) for key in CREDIT_KEYS]
    if kinds.count("value") > 1:
        raise ValueError("credit=gae is a part of algorithm=ppo already: leave it out")
    target = OmegaConf.select(cfg, "credit._target_")
    if kinds[0] == "value" and target is not None and read_attribute(target, "sets_advantages"):
        raise ValueError(
            f"credit is {target} and algorithm.credit takes advantages of tokens from a critic: expected one that sets "
            "them, credit=none or an algorithm without a critic"
        )
    needed = single_kind(kinds)
    target = OmegaConf.select(cfg, "critic._target_")
    kind = None if target is None else read_attribute(target, "kind")
    if target is not None and kind is None:
        return  # a class of the user's own, which does not say it in its source
    if needed == "outcome" != kind:
        raise ValueError(
            f"credit=critic_token weighs tokens by an outcome critic and there is {_described(kind)}: use "
            "critic=outcome"
        )
    if needed == "value" != kind:
        raise ValueError(
            "algorithm=ppo and credit=gae take advantages from a critic of values and there is "
            f"{_described(kind)}: use critic=value or critic=mlp"
        )
    if kind == "value" and needed is None:
        raise ValueError("critic is one of values, which nothing reads: use algorithm=ppo, credit=gae or critic=none")
    if kind is not None and OmegaConf.select(cfg, "algorithm.mix.rl") is None:
        raise ValueError("critic learns from judged programs and algorithm.mix.rl=null judges none: use critic=none")


def check_rewards_of_tokens(cfg: DictConfig) -> None:
    """Whether a loss that learns from rewards of tokens gets rewards, and any other advantages.

    Raises:
        ValueError: it does not.
    """
    objective = OmegaConf.select(cfg, "algorithm.mix.rl.objective._target_")
    credit = OmegaConf.select(cfg, "algorithm.credit._target_")
    reads = objective is not None and bool(read_attribute(objective, "reads_rewards"))
    gives = credit is not None and bool(read_attribute(credit, "gives_rewards"))
    if gives and not reads:
        raise ValueError(
            f"algorithm.credit is {credit}, which gives rewards, and algorithm.mix.rl learns from advantages: leave it "
            "out, or use algorithm=soft_q"
        )
    if not reads:
        return
    if not gives:
        raise ValueError(
            f"algorithm.credit is {credit} and algorithm=soft_q learns from rewards of tokens: expected "
            "rltf.credit.at_end.RewardAtEnd"
        )
    for key in ("credit", "critic"):
        if cfg.get(key) is not None:
            raise ValueError(
                f"{key} is {cfg[key].get('_target_')} and algorithm=soft_q learns from rewards alone, whose tokens its "
                f"own values weigh: use {key}=none"
            )


def check_averages(cfg: DictConfig) -> None:
    """Refuses a moving average of weights that no process holds whole.

    Raises:
        ValueError: `trainer.strategy` shares weights or gradients out.
    """
    strategy = OmegaConf.select(cfg, "trainer.strategy", default="auto")
    name = strategy if isinstance(strategy, str) else strategy.get("_target_", "")
    whole = name == "auto" or name.startswith("ddp") or name.endswith((".DDPStrategy", ".SingleDeviceStrategy"))
    for key in ("algorithm.target", "auxiliary"):
        if OmegaConf.select(cfg, key) is not None and not whole:
            raise ValueError(
                f"trainer.strategy is {name} and {key} averages whole weights: expected trainer=cpu, trainer=gpu or "
                "trainer=ddp"
            )


def check_auxiliary(cfg: DictConfig) -> None:
    """Whether there are programs that an auxiliary loss can read.

    Raises:
        ValueError: there are none.
    """
    if cfg.get("auxiliary") is not None and OmegaConf.select(cfg, "algorithm.mix.rl") is None:
        raise ValueError(
            "auxiliary learns from judged programs and algorithm.mix.rl=null judges none: use auxiliary=none"
        )


def check_prompts(cfg: DictConfig) -> None:
    """Refuses learned prompts in several processes, which exchange a gradient of 0 for those that a step does not use:
    AdamW would move them.

    Raises:
        ValueError: `trainer.strategy` is one of several processes.
    """
    strategy = OmegaConf.select(cfg, "trainer.strategy", default="auto")
    if OmegaConf.select(cfg, "model.prompts") is not None and strategy != "auto":
        name = strategy if isinstance(strategy, str) else strategy.get("_target_", "")
        raise ValueError(
            f"trainer.strategy is {name} and prompts= learns in one process alone: expected trainer=cpu or trainer=gpu"
        )


def check_skipped_programs(cfg: DictConfig, mix: LossMix) -> None:
    """Refuses to skip programs of weight 0 where they have a part in the loss.

    Raises:
        ValueError: the RL objective reads them, or keys of prompts are pulled towards them.
    """
    if not cfg.rollouts.skip_zero_weight:
        return
    if mix.reads_zero_weights:
        raise ValueError(
            "rollouts.skip_zero_weight is true and algorithm.mix.rl.objective may learn from programs of weight 0 (KL "
            "terms do, and rewards of tokens; one of your own says reads_zero_weights = False): expected false"
        )
    if OmegaConf.select(cfg, "model.prompts") is not None:
        raise ValueError(
            "rollouts.skip_zero_weight is true and prompts= learn keys from all programs: expected false or "
            "prompts=none"
        )


def check_trained_critic(cfg: DictConfig) -> None:
    """Refuses a critic without weights where nothing trains it.

    Raises:
        ValueError: `critic.weights` is null.
    """
    if cfg.get("critic") is not None and OmegaConf.select(cfg, "critic.weights") is None:
        raise ValueError("critic.weights is null and evaluation trains no critic: name a run's critic.pt")


def draws_in_rounds(cfg: DictConfig) -> bool:
    """Whether `inference` draws training programs in more than one round."""
    target = cfg.inference._target_
    if read_signature(target) is None:  # its source does not say
        from hydra.utils import get_object

        return hasattr(get_object(target), MULTI_ROUND_METHOD)
    return bool(read_attribute(target, MULTI_ROUND_METHOD))


def check_training_search(cfg: DictConfig) -> None:
    """Whether training can learn from the programs that `inference` finds.

    Raises:
        ValueError: it cannot.
    """
    if OmegaConf.select(cfg, "inference.repair") is not None:
        raise ValueError("inference.repair is set: a policy cannot train on the programs of another model")
    name = read_attribute(cfg.inference._target_, "name")
    if name != "sample" and not draws_in_rounds(cfg):
        raise ValueError(
            f"inference={name} chooses among programs and training learns from all: use inference=sample, "
            "critic_sampling or repair"
        )
    curriculum = OmegaConf.select(cfg, "curriculum._target_")
    if curriculum is None or not draws_in_rounds(cfg):
        return
    way_out = "use inference=sample or curriculum=none"
    if read_attribute(curriculum, "begins_programs") is not False:
        raise ValueError(f"inference={name} and curriculum both say how training programs begin: {way_out}")
    if read_attribute(cfg.inference._target_, PLAN_METHOD) and read_attribute(curriculum, PLAN_METHOD):
        raise ValueError(f"inference={name} and curriculum both choose training problems: {way_out}")


def check_placement(cfg: DictConfig) -> None:
    """Whether programs can be drawn in other processes (`generation.placement=separate`).

    Raises:
        ValueError: another key asks for what only this process can do.
    """
    if cfg.generation.placement != "separate":
        return
    if OmegaConf.select(cfg, "generation.sampler._target_") == "rltf.generation.server.ServerSampler":
        raise ValueError(
            "generation=server draws outside this process already and has one folder of weights: use "
            "generation.placement=colocated"
        )
    if cfg.rollouts.lag == 0:
        raise ValueError(
            "rollouts.lag is 0 with generation.placement=separate: programs that are drawn while others are trained on "
            "come an iteration later, so use rollouts.lag=1 or generation.placement=colocated"
        )
    if cfg.trainer.get("strategy", "auto") != "auto":
        raise ValueError(
            "trainer.strategy starts several processes and generation.placement=separate works with one training "
            "process: use generation.placement=colocated"
        )
    curriculum = OmegaConf.select(cfg, "curriculum._target_")
    if curriculum is not None and read_attribute(curriculum, RETURN_METHOD):
        raise ValueError(
            f"curriculum is {curriculum}, which brings back problems that this process had judged, and "
            "generation.placement=separate draws ahead of it: use curriculum=none or generation.placement=colocated"
        )
    if draws_in_rounds(cfg):
        name = read_attribute(cfg.inference._target_, "name")
        why = (
            "repairs programs that this process had judged and generation.placement=separate draws ahead of it"
            if name == "repair"
            else "asks a critic between two draws and generation.placement=separate draws in processes that have none"
        )
        raise ValueError(f"inference={name} {why}: use inference=sample or generation.placement=colocated")


def _described(kind: str | None) -> str:
    return {None: "none", "outcome": "one of outcomes", "value": "one of values"}[kind]
