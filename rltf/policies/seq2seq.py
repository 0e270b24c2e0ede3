"""Encoder-decoder policies: T5, mT5, UMT5, CodeT5 and CodeT5+ (220M, 770M). B rows, P distinct prompts, R rows that are
decoded together, G groups of them with one prompt, S prompt tokens, T response tokens, D width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies import compat
from rltf.policies.forward.length_buckets import PASS_TOKENS, length_buckets
from rltf.policies.forward.response_trees import response_trees
from rltf.policies.forward.shared_prompts import SharedPrompts, distinct_prompts, prompts_to_rows, prompts_to_run
from rltf.policies.pretrained import PromptForward, TokenStates, TransformersPolicy
from rltf.policies.prompt_pool import PromptPool
from rltf.policies.text.encoding import encode_prompt, encode_target
from rltf.types import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KEY_SHARE = 1 / 7
"""Work of projecting a prompt token's keys and values in the decoder, over that of a response token: 2 of 14 products
with D x D numbers (where the feed-forward part is 4 D wide)."""


class Seq2SeqPolicy(TransformersPolicy):
    """A T5-type model.

    The prompt goes to the encoder, with `Prompt.answer` at its end; the response is all that the decoder writes. Rows
    with the same prompt share one run of the encoder and its keys and values in the decoder; gradients add up: exact
    without dropout, and with dropout the rows share its noise.

    Args:
        model: a `T5ForConditionalGeneration`, mT5 or UMT5. In the decoders of the last two, each row has its own keys
            and values of the prompt.
        tokenizer, max_prompt_tokens: see `TransformersPolicy`.
        share_prompts: whether rows with the same prompt share it.

    Raises:
        ValueError: the model is of another family, or its configuration names no start token.
    """

    prompt_padding = "right"
    continues_prompt = False
    context = None

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_prompt_tokens: int,
        share_prompts: bool = True,
    ) -> None:
        if not compat.is_t5(model):
            raise ValueError(
                f"model.path holds a {type(model).__name__}: expected a T5ForConditionalGeneration (T5, CodeT5, "
                "CodeT5+ 220M or 770M), mT5 or UMT5"
            )
        if model.config.decoder_start_token_id is None:
            raise ValueError(
                "model.path holds a config.json without decoder_start_token_id: expected the id T5 starts with"
            )
        super().__init__(model, tokenizer, max_prompt_tokens)
        self.share_prompts = share_prompts
        self._shares_keys = share_prompts and compat.family_class(model) == "T5ForConditionalGeneration"
        """Whether the decoder takes fewer prompts than rows, and trees of responses."""
        if self._shares_keys:
            from rltf.policies.forward import cross_attention, tree_attention

            cross_attention.share_prompts(model)
            tree_attention.share_beginnings(model)
        self.start_id: int = model.config.decoder_start_token_id
        self.prompt_pool: PromptPool | None = None
        """Learned prompts; None: there are none."""

    def add_prompts(self, pool: PromptPool) -> None:
        """Puts learned prompts in front of all prompts, and freezes the model.

        Raises:
            ValueError: they leave no room for a prompt, or the encoder is not T5's.
        """
        from rltf.policies.forward.prompted_encoder import prompt_with

        if compat.family_class(self.model) != "T5ForConditionalGeneration":
            raise ValueError(
                f"model.path holds a {type(self.model).__name__} and prompts= trains vectors in a T5's encoder: "
                "expected a T5, CodeT5 or CodeT5+ 220M or 770M, or prompts=none"
            )
        if self.max_prompt_tokens <= pool.options.places:
            raise ValueError(
                f"model.max_prompt_tokens is {self.max_prompt_tokens}, and model.prompts takes {pool.options.places} "
                f"({pool.options.keys} keys of {pool.options.tokens} tokens): expected room for a prompt after them"
            )
        self.model.requires_grad_(False)
        self.prompt_pool = pool
        prompt_with(self.model, pool)

    def start_prompts(self, prompts: Mapping[str, Sequence[Prompt]]) -> None:
        """Sets learned prompts before training, by the first problems of each task.

        Args:
            prompts: task -> prompts of its first problems, at most as many as there are keys.

        Raises:
            ValueError: a task has none.
        """
        from rltf.policies.forward.prompted_encoder import prompt_queries

        pool = self.prompt_pool
        assert pool is not None, "add_prompts comes first"
        embeddings = self.model.get_input_embeddings().weight.detach()
        size = embeddings.square().mean().sqrt()
        queries, vectors = {}, {}
        for task in pool.options.tasks:
            if not prompts.get(task):
                raise ValueError(f"model.prompts.tasks names {task}, of which there is no training problem")
            ids = [torch.tensor(self._encode_words(p), device=embeddings.device) for p in prompts[task]]
            encoder = self.model.get_encoder()
            queries[task] = torch.cat([prompt_queries(encoder, i[None], torch.ones_like(i)[None]) for i in ids])
            parts = [
                torch.stack([part.mean(0) for part in embeddings[i].float().tensor_split(pool.options.tokens)])
                for i in (i.repeat(1 + pool.options.tokens // len(i)) for i in ids)
            ]
            vectors[task] = torch.stack([part * size / part.square().mean().sqrt() for part in parts])
        pool.start_from(queries, vectors)

    @override
    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        """Ids of the prompt; before them one beyond the vocabulary for each learned vector."""
        if self.prompt_pool is None:
            return super().encode_prompt(prompt)
        code = self.prompt_pool.code(prompt.task, prompt.training)
        words = self.model.get_input_embeddings().num_embeddings
        return (words + code,) * self.prompt_pool.options.places + self._encode_words(prompt)

    def _encode_words(self, prompt: Prompt) -> tuple[int, ...]:
        assert self.prompt_pool is not None
        places = self.prompt_pool.options.places
        try:
            return encode_prompt(self.tokenizer, prompt, self.max_prompt_tokens - places)
        except ValueError as error:
            raise ValueError(f"{error}; learned prompts take {places} tokens of it") from None

    @override
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Vectors and keys of learned prompts, each at a rate of its own."""
        pool = self.prompt_pool
        if pool is None:
            return super().parameter_groups()
        groups = [(pool.vectors, pool.options.lr), (pool.keys, pool.options.key_lr)]
        return [{"params": list(params), "lr": lr} for params, lr in groups if len(params)]

    @override
    def pop_key_loss(self) -> Tensor | None:
        """The pull of chosen keys towards queries."""
        return None if self.prompt_pool is None else self.prompt_pool.pop_pull_loss()

    @override
    def export(self, folder: Path, max_new_tokens: int | None = None) -> None:
        """As `TransformersPolicy.export`; learned prompts go to a file of their own, which transformers does not
        read."""
        super().export(folder, max_new_tokens)
        if self.prompt_pool is not None:
            self.prompt_pool.save(folder)

    @override
    def encode_answer(self, text: str) -> tuple[int, ...]:
        # CodeT5 draws `<s>` first, so its answers begin with it.
        ids = encode_target(self.tokenizer, text)
        return ids if ids and ids[-1] == self.eos_id else (*ids, self.eos_id)

    @override
    def token_states(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> TokenStates:
        """Responses to one prompt run as a tree, where that saves work."""
        shared = distinct_prompts(prompt_BS, prompt_mask_BS) if self.share_prompts else None
        trees = None
        if shared is not None and self._shares_keys:
            trees = response_trees(len(shared.prompt_PS), shared.prompt_index_B, response_BT, mask_BT, self.start_id)
        if shared is None or trees is None:
            return super().token_states(prompt_BS, prompt_mask_BS, response_BT, mask_BT)
        states_PSD = self._encode(shared)
        largest = trees.input_PM.shape[1]
        hidden, places = [], []
        pass_tokens = PASS_TOKENS.get(mask_BT.device.type, PASS_TOKENS["cuda"])
        for prompts in length_buckets(trees.sizes, pass_tokens):
            prompt_Q = torch.tensor(prompts, device=mask_BT.device)
            nodes = max(trees.sizes[prompt] for prompt in prompts)
            hidden_QMD = self._decode_states(
                trees.input_PM[prompt_Q, :nodes],
                states_PSD.index_select(0, prompt_Q),
                shared.mask_PS[prompt_Q],
                attention_mask=trees.sees_PMM[prompt_Q, None, :nodes, :nodes],
                depth_PM=trees.depth_PM[prompt_Q, :nodes],
            )
            hidden.append(hidden_QMD.flatten(0, 1))
            places.append((prompt_Q[:, None] * largest + torch.arange(nodes, device=mask_BT.device)).flatten())
            self.token_count.add(sum(trees.sizes[prompt] for prompt in prompts), len(prompts) * nodes)
        state_of_place = torch.zeros_like(trees.input_PM).flatten()
        place_K = torch.cat(places)
        state_of_place[place_K] = torch.arange(len(place_K), device=mask_BT.device)
        return TokenStates(torch.cat(hidden), trees.token_N, state_of_place[trees.node_N])

    @override
    def forward_prompts(self, prompt_BS: Tensor, prompt_mask_BS: Tensor, lengths: list[int]) -> PromptForward:
        """Runs the encoder."""
        prompts = prompts_to_run(prompt_BS, prompt_mask_BS, self.share_prompts)
        states_PSD = self._encode(prompts)

        def response_hidden(row_R: Tensor, response_RT: Tensor, mask_RT: Tensor) -> Tensor:
            start_R1 = torch.full_like(response_RT[:, :1], self.start_id)
            input_RT = torch.cat([start_R1, response_RT[:, :-1]], dim=1)
            prompt_index_R = prompts.prompt_index_B[row_R]
            # Rows of a prompt side by side, in groups of one size: keys and values are projected once a group.
            order_R = prompt_index_R.argsort(stable=True)
            prompt_index_G = prompt_index_R[order_R[:: self._group_size(prompt_index_R)]]
            states_GSD = prompts_to_rows(len(states_PSD), prompt_index_G)(states_PSD)
            hidden_RTD = self._decode_states(input_RT[order_R], states_GSD, prompts.mask_PS[prompt_index_G])
            return prompts_to_rows(len(order_R), order_R.argsort())(hidden_RTD)

        # Split rows rarely make groups of one size, and then keys and values are projected for every row.
        groups = len(lengths) // self._group_size(prompts.prompt_index_B)
        return PromptForward(response_hidden, split_tokens=KEY_SHARE * (len(lengths) - groups) * prompt_BS.shape[1])

    def _group_size(self, prompt_index_R: Tensor) -> int:
        """The largest number of rows that can share keys and values where each prompt's rows are cut into groups of one
        size."""
        shares_keys = self.share_prompts and self._shares_keys
        return math.gcd(*prompt_index_R.bincount().tolist()) if shares_keys else 1

    def _encode(self, prompts: SharedPrompts) -> Tensor:
        """The encoder's last hidden states, (P, S, D); counts the tokens that it reads."""
        self.token_count.add(int(prompts.mask_PS.sum()), prompts.mask_PS.numel())
        encoder = self.model.get_encoder()
        return encoder(input_ids=prompts.prompt_PS, attention_mask=prompts.mask_PS.long()).last_hidden_state

    def _decode_states(self, input_RT: Tensor, states_GSD: Tensor, mask_GS: Tensor, **tree: Tensor) -> Tensor:
        """hidden_RTD that the head reads; each of the G encoder states serves R / G successive rows."""
        hidden_RTD = self.model.get_decoder()(
            input_ids=input_RT,
            encoder_hidden_states=states_GSD,
            encoder_attention_mask=mask_GS.long(),
            use_cache=False,
            **tree,
        ).last_hidden_state
        return hidden_RTD * compat.t5_output_scale(self.model.config)
