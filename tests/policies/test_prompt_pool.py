"""Learned prompts chosen by keys: numbers by hand, what learns and what stays, and one policy in both samplers."""

import copy
from dataclasses import replace

import pytest
import torch

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.policies.load import pretrained
from rltf.policies.prompt_pool import PromptPool, Prompts
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.types import Prompt, Request, Sampling
from rltf.validation import OptionError

TASKS = ("a", "b", "c", "d")
HALF = 0.5**0.5


def questions(task, count=6):
    return [Prompt("", f"{task} of {n} plus xs", "\n", task=task) for n in range(count)]


def policy(max_prompt_tokens=64, **options):
    options = {"kind": "pool", "tasks": TASKS, "keys": 4, "tokens": 2, "shared_per_pair": 1} | options
    policy = tiny_t5(d_model=32, d_ff=32, layers=2, heads=2, max_prompt_tokens=max_prompt_tokens)
    policy.add_prompts(PromptPool(Prompts(**options), 32))
    policy.start_prompts({task: questions(task) for task in TASKS})
    return policy


def loss_of(policy, prompts):
    """Cross-entropy of one answer to all prompts, with what the pool adds."""
    ids = [policy.encode_prompt(prompt) for prompt in prompts]
    width = max(map(len, ids))
    prompt_BS = torch.tensor([i + (policy.pad_id,) * (width - len(i)) for i in ids])
    mask_BS = torch.tensor([[True] * len(i) + [False] * (width - len(i)) for i in ids])
    answer = torch.tensor([policy.encode_answer("def f(a): return a")] * len(ids))
    logprobs, _ = policy.token_logprobs(prompt_BS, mask_BS, answer, answer > -1, entropy=False)
    return -logprobs.mean(), policy.pop_key_loss()


def train(policy, prompts, steps=4):
    optimizer = torch.optim.AdamW(policy.parameter_groups(), weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        entropy, pull = loss_of(policy, prompts)
        (entropy + pull).backward()
        optimizer.step()


def test_four_tasks_have_private_and_shared_keys():
    pool = PromptPool(Prompts("pool", TASKS), width=8)
    assert pool.options.private_keys == 14  # 20 - 3 * 2
    assert [n for _, n in pool.owners] == [14] * 4 + [2] * 6
    assert pool.size == 68
    assert sum(vectors.shape[0] * vectors.shape[1] for vectors in pool.vectors) == 340
    assert pool.task_keys(2).shape == (20, 8)


def test_the_chosen_keys_are_those_of_highest_cosine_and_are_pulled_to_the_query():
    pool = PromptPool(Prompts("pool", ["a", "b"], keys=2, tokens=1, shared_per_pair=0), width=4)
    for owner, rows in enumerate(([0, 1], [2, 3])):
        pool.keys[owner].data.copy_(torch.eye(4)[rows])
        pool.vectors[owner].data.copy_(10 * torch.eye(4)[rows][:, None])
    query = torch.tensor([[HALF, 0, HALF, 0]])
    vectors = pool(torch.tensor([0]), query)
    assert vectors.tolist() == [[[10, 0, 0, 0], [0, 0, 10, 0]]]  # the first key of each task
    loss = pool.pop_pull_loss()
    assert loss.item() == pytest.approx(-0.1 * 2 * HALF, abs=1e-6)  # -0.141421
    loss.backward()
    with torch.no_grad():
        pool.keys[0] -= 0.1 * pool.keys[0].grad
    assert pool.cosines(query)[0, 0].item() == pytest.approx(0.712089, abs=1e-6)
    assert pool.pop_pull_loss() is None


def test_a_forced_prompt_takes_the_keys_of_its_task_whatever_its_query():
    pool = PromptPool(Prompts("pool", TASKS, keys=4, tokens=1, shared_per_pair=1, teacher="train"), width=2)
    for owner, vectors in enumerate(pool.vectors):
        vectors.data.fill_(owner)
    with torch.no_grad():
        vectors = pool(torch.tensor([1, 3, 0]), torch.ones(3, 2))[:, :, 0]
    # owners: a b c d ab ac ad bc bd cd
    assert vectors[0].tolist() == [0, 4, 5, 6]
    assert vectors[1].tolist() == [2, 5, 7, 9]


def test_task_and_training_are_in_the_ids_of_a_prompt():
    forced, shared = policy(teacher="train"), policy(kind="shared")
    known = policy(kind="task")
    words = forced.model.get_input_embeddings().num_embeddings
    prompt = questions("c")[0]
    assert forced.encode_prompt(prompt)[:9] == (words,) * 8 + forced._encode_words(prompt)[:1]
    assert set(forced.encode_prompt(replace(prompt, training=True))[:8]) == {words + 3}
    assert set(known.encode_prompt(prompt)[:8]) == {words + 3}
    assert set(shared.encode_prompt(replace(prompt, training=True))[:8]) == {words}
    assert set(policy().encode_prompt(replace(prompt, training=True))[:8]) == {words}


def test_the_model_is_frozen_and_its_queries_stay():
    trained = policy(teacher="train")
    before = copy.deepcopy(trained.model.state_dict())
    train(trained, [replace(p, training=True) for p in questions("a")])
    assert all(p.grad is None for p in trained.model.parameters())
    assert all(torch.equal(w, before[name]) for name, w in trained.model.state_dict().items())


def test_with_teacher_forcing_keys_and_vectors_of_other_tasks_stay_to_the_bit():
    trained = policy(teacher="train")
    pool = trained.prompt_pool
    train(trained, [replace(p, training=True) for p in questions("a")])
    before = [(k.detach().clone(), v.detach().clone()) for k, v in zip(pool.keys, pool.vectors, strict=True)]
    train(trained, [replace(p, training=True) for p in questions("b")])
    for (tasks, _), (key, vectors), new_key, new_vectors in zip(
        pool.owners, before, pool.keys, pool.vectors, strict=True
    ):
        stays = 1 not in tasks
        assert torch.equal(key, new_key) == stays, tasks
        assert torch.equal(vectors, new_vectors) == stays, tasks


def test_with_a_free_choice_keys_that_an_earlier_task_has_trained_move():
    trained = policy(teacher="never")
    keys = trained.prompt_pool.task_keys(0)
    train(trained, [replace(p, training=True) for p in questions("b")])
    assert not torch.equal(keys, trained.prompt_pool.task_keys(0))


def test_both_samplers_and_log_probs_agree():
    trained = policy(teacher="train")
    prompts = [questions("a")[0], replace(questions("b")[1], training=True), questions("d", 12)[11]]
    requests = [Request(str(i), trained.encode_prompt(p), (0, 1), True) for i, p in enumerate(prompts)]
    sampling = Sampling(max_new_tokens=12)
    native, plain = (
        {(s.request, s.draw): s for s in sampler.sample(trained, requests, sampling, seed=1)}
        for sampler in (Engine(), HFSampler())
    )
    assert native.keys() == plain.keys()
    for place, sample in native.items():
        assert sample.token_ids == plain[place].token_ids
        ids = torch.tensor([requests[place[0]].prompt_ids])
        answer = torch.tensor([sample.token_ids])
        with torch.no_grad():
            logprobs, _ = trained.token_logprobs(ids, ids > -1, answer, answer > -1)
        torch.testing.assert_close(logprobs[0], torch.tensor(sample.logprobs), atol=1e-4, rtol=1e-4)


def test_a_prompt_with_learned_vectors_gives_other_log_probs_than_without():
    trained = policy()
    with_prompts = loss_of(trained, questions("a"))[0]
    without = tiny_t5(d_model=32, d_ff=32, layers=2, heads=2, max_prompt_tokens=64)
    assert without.pop_key_loss() is None
    assert with_prompts.item() != pytest.approx(loss_of(without, questions("a"))[0].item(), abs=1e-3)


def test_a_copy_of_the_policy_has_its_own_prompts():
    trained = policy(teacher="train")
    frozen = copy.deepcopy(trained)
    prompts = [replace(p, training=True) for p in questions("a")]
    before = loss_of(frozen, prompts)[0].item()
    train(trained, prompts)
    assert loss_of(frozen, prompts)[0].item() == before != loss_of(trained, prompts)[0].item()


def test_prompts_are_exported_and_come_back(tmp_path):
    trained = policy(teacher="train")
    train(trained, [replace(p, training=True) for p in questions("a")])
    trained.export(tmp_path)
    again = pretrained("exported", path=str(tmp_path), max_prompt_tokens=64)
    assert loss_of(again, questions("c"))[0].item() == loss_of(trained, questions("c"))[0].item()
    assert again.prompt_pool.options == Prompts(**{**vars(trained.prompt_pool.options), "tasks": list(TASKS)})
    with pytest.raises(ValueError, match="holds learned prompts, which training goes on with: expected prompts=none"):
        pretrained("exported", path=str(tmp_path), prompts={"kind": "shared", "tasks": ["a"]})


def test_keys_begin_as_queries_and_vectors_have_the_size_of_embeddings():
    fresh = policy()
    query = fresh.prompt_pool.keys[0][0].detach()  # of the first problem of the first task
    assert fresh.prompt_pool.cosines(query[None])[0, 0].item() == pytest.approx(1)
    size = fresh.model.get_input_embeddings().weight.square().mean().sqrt()
    for vectors in fresh.prompt_pool.vectors:
        torch.testing.assert_close(vectors.square().mean((1, 2)).sqrt(), size.expand(len(vectors)))


def test_mistakes_are_one_sentence(tmp_path):
    with pytest.raises(OptionError, match="keys is 6: expected at least 7"):
        Prompts("pool", TASKS, keys=6)
    with pytest.raises(OptionError, match="tasks is None: expected a list of different names"):
        Prompts("pool", None)
    with pytest.raises(OptionError, match="teacher is 'always'"):
        Prompts("pool", TASKS, teacher="always")
    with pytest.raises(ValueError, match=r"max_prompt_tokens is 8, and model\.prompts takes 8 \(4 keys of 2 tokens\)"):
        policy(max_prompt_tokens=8)
    with pytest.raises(ValueError, match="a prompt is of task z"):
        policy(kind="task").encode_prompt(Prompt("", "x", "\n", task="z"))
    with pytest.raises(ValueError, match=r"takes 30 tokens without its question.*learned prompts take 8 tokens of it"):
        policy(max_prompt_tokens=20).encode_prompt(Prompt("7" * 30, "x", ""))
    with pytest.raises(ValueError, match=r"model\.prompts\.tasks names d, of which there is no training problem"):
        policy().start_prompts({task: questions(task) for task in "abc"})
    tiny_causal(d_model=16, d_ff=16, layers=1, heads=2).export(tmp_path)
    with pytest.raises(ValueError, match="holds a LlamaForCausalLM and prompts= puts learned vectors into an encoder"):
        pretrained("exported", path=str(tmp_path), prompts={"kind": "shared", "tasks": ["a"]})


def test_adapters_and_prompts_exclude_each_other(tmp_path):
    pytest.importorskip("peft")
    tiny_t5(d_model=16, d_ff=16, layers=1, heads=2).export(tmp_path)
    with pytest.raises(ValueError, match=r"model\.lora and prompts= both train something"):
        pretrained("exported", path=str(tmp_path), lora={"r": 2}, prompts={"kind": "shared", "tasks": ["a"]})
