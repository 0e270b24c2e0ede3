"""Small tokenizers of every kind a policy may meet, and small models of every family."""

from __future__ import annotations

import torch
from models import codegen_model, codet5p_model, llama_model, t5_model
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from rltf.policies.causal import CausalPolicy
from rltf.policies.codet5p.policy import CodeT5PlusPolicy
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.policies.tiny import load_tokenizer

CORPUS = [
    "def add(first, second):\n    return first + second\n",
    "for index in range(10):\n\tprint(index)\n        total = total + index * 2\n",
    "write a function that returns the larger of two numbers a and b\nANSWER:\n",
    'print("</s>", "caf\u00e9", "\U0001f642", [x for x in items if x != 0])\n',
]


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def roberta_type() -> PreTrainedTokenizerFast:
    """As CodeT5's: byte-level BPE, `<s> ... </s>` around every text."""
    tokenizer = byte_level()
    special = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=330,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_special_tokens(["<extra_id_0>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def codegen_type() -> PreTrainedTokenizerFast:
    """As CodeGen's: byte-level BPE with added runs of spaces and tabs, which are no special tokens; no pad token."""
    tokenizer = byte_level()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False),
    )
    tokenizer.add_special_tokens(["<|endoftext|>"])
    runs = [" " * n for n in range(31, 1, -1)] + ["\t" * n for n in range(9, 1, -1)]
    tokenizer.add_tokens([AddedToken(run, normalized=False) for run in runs])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def llama_type() -> PreTrainedTokenizerFast:
    """As Llama 2's: BPE over text with marked spaces, a dummy space in front, bytes for what the vocabulary lacks."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = [*sorted(set("".join(CORPUS)) - set("\n\t\u00e9\U0001f642 ")), "\u2581"]
    words = [("\u2581", "d"), ("e", "f"), ("\u2581d", "ef"), ("\u2581", "\u2581"), ("r", "e"), ("i", "n")]
    vocabulary = {token: n for n, token in enumerate([*tokens, *letters, *("".join(pair) for pair in words)])}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=words, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def t5_type() -> PreTrainedTokenizerFast:
    """As T5's: unigram pieces with a dummy space in front, `</s>` after every text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


CHAT_TEMPLATE = (
    "{% for m in messages %}<|endoftext|>{{ m['role'] }}\n{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant\n{% endif %}"
)


def seq2seq_policy(**options: object) -> Seq2SeqPolicy:
    tokenizer = roberta_type()
    torch.manual_seed(0)
    return Seq2SeqPolicy(t5_model(len(tokenizer), **options), tokenizer, max_prompt_tokens=64)


def llama_policy() -> CausalPolicy:
    tokenizer = llama_type()
    torch.manual_seed(0)
    model = llama_model(
        len(tokenizer), max_position_embeddings=256, initializer_range=0.3, bos_token_id=1, eos_token_id=2
    )
    return CausalPolicy(model, tokenizer, max_prompt_tokens=64)


def codegen_policy() -> CausalPolicy:
    tokenizer = codegen_type()
    torch.manual_seed(0)
    model = codegen_model(len(tokenizer) + 9, initializer_range=0.3, bos_token_id=1, eos_token_id=330)
    torch.nn.init.normal_(model.lm_head.bias)  # a bias of zero would hide that it is used
    return CausalPolicy(model, tokenizer, max_prompt_tokens=64)


def codet5p_policy() -> CodeT5PlusPolicy:
    tokenizer = codegen_type()
    torch.manual_seed(0)
    model = codet5p_model(len(tokenizer) + 9, initializer_range=0.3, bos_token_id=1, pad_token_id=330, eos_token_id=330)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module.bias is not None:
            torch.nn.init.normal_(module.bias, std=0.1)  # a bias of zero would hide that it is used
    return CodeT5PlusPolicy(model, tokenizer, max_prompt_tokens=64)


POLICIES = {"t5": seq2seq_policy, "llama": llama_policy, "codegen": codegen_policy, "codet5p": codet5p_policy}

TOKENIZERS = {
    "roberta": roberta_type,
    "codegen": codegen_type,
    "llama": llama_type,
    "t5": t5_type,
    "tiny": load_tokenizer,
}
