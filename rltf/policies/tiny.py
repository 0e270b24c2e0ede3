"""Small policies with random weights, for the embedded benchmark and for tests: they train on a CPU in minutes.

They share a byte-level BPE tokenizer that ships with `rltf` (`tiny_tokenizer.json`): pad 0, `</s>` 1, `<unk>` 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rltf.policies.causal import CausalPolicy
from rltf.policies.dropout import PhaseDropout
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.validation import OptionError, require

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOKENIZER = Path(__file__).with_name("tiny_tokenizer.json")
_CONTEXT = 2048
"""Most tokens of prompt and response; rotary positions cost nothing, so this bounds only what the engine plans for."""


def tiny_t5(
    d_model: int = 128,
    d_ff: int = 512,
    layers: int = 3,
    heads: int = 4,
    decoder_layers: int | None = None,
    dropout: float = 0.0,
    rl_dropout: float | None = 0.0,
    max_prompt_tokens: int = 128,
    tokenizer: str | None = None,
    seed: int = 0,
) -> Seq2SeqPolicy:
    """A T5 (ReLU, tied embeddings) with random weights: 1.4 M parameters besides its embeddings by default.

    Args:
        d_model: width.
        d_ff: width of the feed-forward layers.
        layers: layers of the encoder, and of the decoder unless `decoder_layers` is given.
        heads: a divisor of `d_model`.
        decoder_layers: layers of the decoder; None: as many as the encoder has.
        dropout: of all layers in supervised training, 0 up to 1.
        rl_dropout: of all layers in RL; 0 keeps log-probs in training equal to those in sampling; None: as `dropout`.
        max_prompt_tokens: longest prompt, in tokens.
        tokenizer: a `tokenizer.json` file; None: the one that ships.
        seed: seed of the initial weights; the global random state does not change.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    _check_sizes(d_model=d_model, d_ff=d_ff, layers=layers, heads=heads)
    require("dropout", dropout, at_least=0, below=1)
    tokens = load_tokenizer(tokenizer)
    config = T5Config(
        vocab_size=len(tokens),
        d_model=d_model,
        d_kv=d_model // heads,
        d_ff=d_ff,
        num_layers=layers,
        num_decoder_layers=decoder_layers or layers,
        num_heads=heads,
        dropout_rate=dropout,
        pad_token_id=tokens.pad_token_id,
        eos_token_id=tokens.eos_token_id,
        decoder_start_token_id=tokens.pad_token_id,
    )
    model = _build_randomly(lambda: T5ForConditionalGeneration(config), seed)
    policy = Seq2SeqPolicy(model, tokens, max_prompt_tokens)
    policy.dropout = PhaseDropout(model, rl=rl_dropout)
    return policy


def tiny_causal(
    d_model: int = 128,
    d_ff: int = 384,
    layers: int = 6,
    heads: int = 4,
    kv_heads: int | None = None,
    max_prompt_tokens: int = 128,
    tokenizer: str | None = None,
    seed: int = 0,
) -> CausalPolicy:
    """A Llama-type decoder with random weights and tied embeddings: 1.3 M parameters besides its embeddings by default.

    Args:
        d_model: width.
        d_ff: width of the gated feed-forward layers.
        layers: number of blocks.
        heads: a divisor of `d_model`.
        kv_heads: key/value heads, a divisor of `heads`; None: as many as `heads`.
        max_prompt_tokens: longest prompt, in tokens.
        tokenizer: a `tokenizer.json` file; None: the one that ships.
        seed: seed of the initial weights; the global random state does not change.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    _check_sizes(d_model=d_model, d_ff=d_ff, layers=layers, heads=heads)
    if heads % (kv_heads or heads):
        raise OptionError("kv_heads", kv_heads, f"a divisor of heads, which is {heads}")
    tokens = load_tokenizer(tokenizer)
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=d_model,
        intermediate_size=d_ff,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads or heads,
        max_position_embeddings=_CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=tokens.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
    )
    return CausalPolicy(_build_randomly(lambda: LlamaForCausalLM(config), seed), tokens, max_prompt_tokens)


def load_tokenizer(path: str | None = None) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer with `<pad>`, `</s>` and `<unk>`.

    Raises:
        OptionError: the file is missing or is no tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    file = TOKENIZER if path is None else Path(path).expanduser()
    if not file.is_file():
        raise OptionError("tokenizer", str(file), "a tokenizer.json; there is no such file")
    try:
        return PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            pad_token="<pad>",
            eos_token="</s>",
            unk_token="<unk>",
            clean_up_tokenization_spaces=False,
        )
    except Exception as error:  # the tokenizers library raises bare Exception
        raise OptionError("tokenizer", str(file), f"a tokenizer.json; this file does not load ({error})") from None


def _build_randomly(build: Callable[[], PreTrainedModel], seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def _check_sizes(heads: int, d_model: int, **sizes: int) -> None:
    for key, value in {"d_model": d_model, "heads": heads, **sizes}.items():
        require(key, value, at_least=1, whole=True)
    if d_model % heads or d_model // heads % 2:
        raise OptionError("d_model", d_model, f"an even multiple of heads, which is {heads}")
