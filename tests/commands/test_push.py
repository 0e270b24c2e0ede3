"""`rltf push`, and the model card that lies beside every exported policy."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError

from rltf.commands.push import main
from rltf.runs.commit import commit_of_checkout
from rltf.runs.model_card import model_card, write_card

CONFIG = """
model: {name: owner/base, path: null, lora: {r: 4}}
benchmark: {path: /home/me/secret/mbpp.jsonl, prompt: doc, sizes: {train: 20}}
reward: {terms: {coarse: {_target_: x, passed: 1.0, error: -0.6}}}
executor: {timeout: 4.0, memory_mb: 512}
evaluation: {split: test, problems: 200, samples: 10, temperature: 0.8, top_p: 0.95}
"""


def record(value: float) -> dict[str, object]:
    interval = {"value": value, "low": value - 0.05, "high": value + 0.05}
    return {"pass_at_k_interval": {"1": interval}, "greedy_pass_at_1": value}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with adapters."""
    run = tmp_path / "run"
    (run / "policy" / "adapter").mkdir(parents=True)
    (run / "config.yaml").write_text(CONFIG)
    summary = {
        "status": "finished",
        "benchmark": "mbpp",
        "model": "codet5_770m",
        "reward": "coarse",
        "algorithm": "grpo",
        "seed": 3,
        "iterations": 7,
        "problems": 60,
        "commit": "0123abc",
        "versions": {"torch": "2.13.0"},
        "evaluation": {"before": record(0.25), "after": record(0.5)},
    }
    (run / "summary.json").write_text(json.dumps(summary))
    (run / "policy" / "config.json").write_text("{}")
    (run / "policy" / "model.safetensors").write_bytes(b"x" * 2048)
    (run / "policy" / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    write_card(run, run / "policy")
    return run


def test_the_card_says_data_reward_results_limits_and_versions_and_no_path(run):
    card = (run / "policy" / "README.md").read_text()
    for line in (
        "base_model: owner/base",
        "| data | mbpp (prompt=doc, sizes={'train': 20}) |",
        "| reward | coarse: coarse (passed 1.0, error -0.6) |",
        "60 problems of the split test, 10 programs each at temperature 0.8 and top-p 0.95; 95 % intervals over "
        "problems.",
        "| pass@1 | 25.0% [20.0%, 30.0%] | 50.0% [45.0%, 55.0%] |",
        "| seconds a test | 4.0 |",
        "| commit | `0123abc` |",
        "| torch | 2.13.0 |",
    ):
        assert line in card.splitlines()
    assert "/home" not in card
    best = model_card(run, "best")
    assert "| pass@1 | 25.0% [20.0%, 30.0%] |" in best.splitlines()  # the best weights were not evaluated
    assert "with the best validation pass@1" in best


def test_the_card_names_no_path_where_the_start_was_a_folder(run):
    folder = "/home/me/secret/base"
    (run / "config.yaml").write_text(CONFIG.replace("owner/base, path: null", f"{folder}, path: {folder}"))
    card = model_card(run)
    assert "| start | `base`, a folder |" in card.splitlines()
    assert "/home" not in card


def test_adapters_above_a_base_in_4_bits_are_sent_alone(run, capsys):
    """Of such a run nothing else is exported."""
    (run / "config.yaml").write_text(CONFIG.replace("lora: {r: 4}", "lora: {r: 4}, quantization: nf4"))
    for file in ("config.json", "model.safetensors"):
        (run / "policy" / file).unlink()
    (run / "policy" / "adapter" / "adapter_config.json").rename(run / "policy" / "adapter_config.json")
    (run / "policy" / "adapter").rmdir()
    write_card(run, run / "policy")
    for arguments in ((), ("--adapter",)):
        assert main([str(run), "me/model", "--dry-run", *arguments]) == 0
        shown = capsys.readouterr().out
        assert "would get 2 files" in shown
        assert "library_name: peft\nbase_model: owner/base\n" in shown
        assert "| training | LoRA adapters, alone here, above a base in 4 bits (nf4) |" in shown
    (run / "policy" / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/me/base"}')
    assert main([str(run), "me/model", "--dry-run"]) == 2
    assert capsys.readouterr().err.endswith("expected a run whose model came from the hub\n")


def test_a_dry_run_lists_the_files_and_shows_the_card_offline(run, capsys, monkeypatch):
    monkeypatch.delattr(httpx.Client, "send")
    assert main([str(run), "me/model", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("me/model would get 4 files, 0.0 MiB; nothing was sent.\n")
    assert "         2,048  model.safetensors\n" in shown
    assert shown.endswith((run / "policy" / "README.md").read_text())
    assert main([str(run), "me/model", "--dry-run", "--adapter"]) == 0
    shown = capsys.readouterr().out
    assert "would get 2 files" in shown
    assert "library_name: peft\nbase_model: owner/base\n" in shown
    assert shown.count("base_model:") == 1


def test_what_is_sent(run, capsys, monkeypatch):
    sent = []
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "create_repo",
        lambda self, name, **options: sent.append((self.token, name, options)) or f"https://hub/{name}",
    )
    for name in ("upload_folder", "upload_file"):
        monkeypatch.setattr(huggingface_hub.HfApi, name, lambda self, **options: sent.append(options))
    assert main([str(run), "me/model", "--private"]) == 0
    assert capsys.readouterr().out == "https://hub/me/model\n"
    assert sent[0] == ("hf_secret", "me/model", {"private": True, "exist_ok": False})
    assert (sent[1]["folder_path"], sent[1]["ignore_patterns"]) == (run / "policy", ["README.md"])
    assert sent[2]["path_or_fileobj"].decode() == (run / "policy" / "README.md").read_text()


def test_mistakes_are_one_sentence(run, tmp_path, capsys, monkeypatch):
    def refused(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        return capsys.readouterr().err

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert refused(str(run), "me/model") == (
        "error: rltf push finds no token of the Hugging Face hub: expected HF_TOKEN=..., or `hf auth login` once\n"
    )
    assert "is no run folder: expected one that holds config.yaml" in refused(str(tmp_path), "me/model")
    assert "'model' is no name on the hub: expected OWNER/NAME" in refused(str(run), "model")
    assert "'me/a b' is no name on the hub: expected OWNER/NAME, letters" in refused(str(run), "me/a b")
    (run / "policy" / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/me/base"}')
    assert "which others do not have: expected a run whose model came" in refused(str(run), "me/m", "--adapter")
    (run / "policy" / "adapter" / "adapter_config.json").unlink()
    assert "holds no adapters: expected a run with model.lora" in refused(str(run), "me/m", "--adapter")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    for status, said in (
        (409, "me/m exists on the hub: expected a new name, or --update"),
        (403, "the hub refuses me/m"),
    ):
        response = httpx.Response(status, request=httpx.Request("POST", "https://hub"))

        def refuse(*_: object, response: httpx.Response = response, **__: object) -> None:
            raise HfHubHTTPError("no", response=response)

        monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
        assert said in refused(str(run), "me/m")
    (run / "policy" / "config.json").unlink()
    assert f"`rltf export {run}` writes one" in refused(str(run), "me/model")


def test_the_commit_is_read_from_a_checkout_a_worktree_and_packed_references(tmp_path):
    git, worktree = tmp_path / "a" / ".git", tmp_path / "b"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs with: peeled\n1111 refs/heads/main\n")
    assert commit_of_checkout(tmp_path / "a") == "1111"
    (git / "refs" / "heads" / "main").write_text("2222\n")
    assert commit_of_checkout(tmp_path / "a") == "2222"
    (git / "worktrees" / "b").mkdir(parents=True)
    (git / "worktrees" / "b" / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "worktrees" / "b" / "commondir").write_text("../..\n")
    worktree.mkdir()
    (worktree / ".git").write_text(f"gitdir: {git}/worktrees/b\n")
    assert commit_of_checkout(worktree) == "2222"
    (git / "HEAD").write_text("3333\n")
    assert commit_of_checkout(tmp_path / "a") == "3333"
    assert commit_of_checkout(tmp_path) is None
