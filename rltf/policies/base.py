"""The interface of policies: a language model that encodes prompts, gives log-probs with gradient, and decodes step by
step. The sampling engine drives any policy through `rltf.policies.decoding`; a policy never imports the engine."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn

from rltf.types import Prompt, Sampling, Span

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rltf.policies.forward.length_buckets import TokenCount


class Policy(nn.Module, ABC):
    """A Hugging Face model with its tokenizer. B rows, S prompt tokens, T response tokens, V vocabulary."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_prompt_tokens: int
    prompt_padding: str
    """`right` (seq2seq) or `left` (causal)."""
    eos_id: int
    """The token that ends a demonstration."""
    end_ids: tuple[int, ...]
    """The tokens that end a response, `eos_id` first: a model may draw others than its tokenizer names."""
    pad_id: int
    context: int | None
    """Most tokens of prompt and response together; None where nothing bounds them."""
    response_limit: int | None = None
    """Most tokens of a response, where prompts have positions of their own; None where nothing bounds them."""
    reads_padding: bool = False
    """Whether padding changes what the model computes of a text, as where layers carry a state from token to token:
    samplers then batch prompts of one length."""
    token_count: TokenCount
    """Tokens that `token_logprobs` and `hidden_states` have processed, padding apart."""

    @abstractmethod
    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids of a prompt, special tokens included; only `prompt.question` is cut when there are more than
        `max_prompt_tokens`."""

    @abstractmethod
    def encode_answer(self, text: str) -> tuple[int, ...]:
        """Token ids of a demonstration as the policy would draw it, the end-of-sequence token last."""

    @abstractmethod
    def decode(self, token_ids: tuple[int, ...]) -> tuple[str, tuple[Span, ...]]:
        """Text of a response, and per token its characters in it: exact, without clean-up of spaces. Special tokens
        have an empty range. Bytes that are no valid UTF-8 become U+FFFD."""

    @abstractmethod
    def token_logprobs(
        self,
        prompt_BS: Tensor,
        prompt_mask_BS: Tensor,
        response_BT: Tensor,
        mask_BT: Tensor,
        sampling: Sampling | None = None,
        entropy: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """log-probs_BT of the response tokens, with gradient, under the distribution that `sampling` draws from (None:
        the model's own), and the entropy_BT of the model's own distribution, without gradient (zeros unless `entropy`,
        which saves its work). Both float32, 0 where `mask_BT` is False. Full-vocabulary float32 logits of the whole
        batch are kept only where they are small."""

    @abstractmethod
    def token_values(
        self,
        prompt_BS: Tensor,
        prompt_mask_BS: Tensor,
        response_BT: Tensor,
        mask_BT: Tensor,
        entropy: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """log-probs_BT of the response tokens and values_BT of the states that they are drawn from, both with gradient,
        and entropy_BT as in `token_logprobs`. All of the model's own distribution. The value of a state is the
        log-sum-exp of its logits, in nats: a log-prob is the token's logit minus that value."""

    @abstractmethod
    def hidden_states(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(hidden_ND, token_N) of the N real response tokens in some order: the last hidden state that a token is drawn
        from, which depends on the tokens before it, and the token's index in the flattened batch."""

    @abstractmethod
    def prefill(self, prompt_BS: Tensor, prompt_mask_BS: Tensor) -> Any:
        """Runs B prompts once: the `PromptStates` that a decoder's `step` continues (see `rltf.policies.decoding`)."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Trained parameters in groups with peak rates of their own, as an optimiser takes them (`params`, `lr`). By
        default none: all are trained at the rate of the phase."""
        return []

    def pop_key_loss(self) -> Tensor | None:
        """The loss of a prompt pool's keys in forward passes since the last call, with gradient. By default, none."""
        return None

    def start_phase(self, supervised: bool) -> None:
        """Sets what differs between supervised training and RL: dropout. By default, nothing does."""

    @contextmanager
    def without_dropout(self) -> Iterator[None]:
        """Inside, training mode drops nothing. By default, there is nothing to drop."""
        yield

    @contextmanager
    def merged_adapters(self) -> Iterator[None]:
        """Inside, adapters (if any) are part of the weights, so that code which reads weights directly sees them;
        afterwards the weights are bit for bit as before. Samplers draw inside this."""
        yield

    def copy(self) -> Self:
        """A copy with weights of its own and the same tokenizer; what nothing ever writes may be shared, too."""
        return copy.deepcopy(self, {id(self.tokenizer): self.tokenizer})

    @abstractmethod
    def export(self, folder: Path, max_new_tokens: int | None = None) -> None:
        """Writes the Hugging Face layout (safetensors + tokenizer), loadable by plain transformers; of adapters above
        weights in 4 bits, those alone in peft's layout.

        Args:
            folder: made if need be.
            max_new_tokens: of a program, which `generate` then draws whole; None: the model's own default, 20 for many.
        """
