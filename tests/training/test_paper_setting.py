"""The paper's command on a laptop: `reward=fine+adaptive model=codet5_770m` with local files in place of the hub's."""

import json

import pytest
import torch
from models import t5_model
from transformers import PreTrainedTokenizerFast

from rltf.commands.train import train
from rltf.runs.checkpoint_file import check_checkpoint

SMALL = (
    "debug=default",
    "report=false",
    "trainer.precision=32-true",
    "trainer.accumulate_grad_batches=2",
    "warmup.accumulate=1",
    "generation.sampling.max_new_tokens=24",
    "benchmark.limit=40",
)


@pytest.fixture
def tiny_codet5(tmp_path, shared_data):
    """A folder as CodeT5's: a T5 of 0.3 M parameters besides its embeddings, and its RoBERTa-type byte-level BPE."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing

    files = shared_data / "tokenizers" / "codet5"
    bpe = ByteLevelBPETokenizer(str(files / "vocab.json"), str(files / "merges.txt"))
    bpe.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 1), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    torch.manual_seed(0)
    folder = tmp_path / "codet5"
    t5_model(32_100, dropout_rate=0.1, eos_token_id=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_papers_command_trains_on_local_files(composed, shared_data, tiny_codet5):
    apps = shared_data / "apps" / "apps_function.jsonl.gz"
    result = train(
        composed(
            "train",
            "reward=fine+adaptive",
            "model=codet5_770m",
            f"model.path={tiny_codet5}",
            f"benchmark.path={apps}",
            *SMALL,
        )
    )
    assert result.summary["status"] == "finished"
    assert result.summary["benchmark"] == "apps"
    records = [json.loads(line) for line in (result.folder / "rollouts.jsonl").read_text().splitlines()]
    assert any(r["greedy"] is False for r in records)
    assert {credit["term"] for r in records for credit in r["credits"]} <= {"fine", "adaptive"}


def test_a_checkpoint_of_another_model_is_refused(composed, tmp_path):
    options = ("debug=default", "report=false", "benchmark.sizes={train: 20, validation: 4, test: 6}")
    folder = tmp_path / "run"
    train(composed("train", *options, f"paths.output_dir={folder}"))
    with pytest.raises(ValueError, match=r"^model.d_model is 64 and was 128 when this run began"):
        train(composed("train", *options, f"paths.output_dir={folder}", f"resume={folder}", "model.d_model=64"))
    checkpoint = folder / "checkpoints" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    check_checkpoint(checkpoint, state)
    name = next(iter(state))
    with pytest.raises(
        ValueError, match=r"^resume: .* is of another model"
    ):  # the files of model.path are not the config
        check_checkpoint(checkpoint, {**state, name: state[name][:1]})
