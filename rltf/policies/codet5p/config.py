"""Configuration of CodeT5+ 2B and 6B, as the hub's `config.json` has it: a CodeGen as encoder, another as decoder."""

from __future__ import annotations

from typing import Any

from transformers import CodeGenConfig, PretrainedConfig


class CodeT5pModuleConfig(CodeGenConfig):
    """Sizes of the encoder or the decoder: CodeGen's fields."""

    model_type = "codet5p_module"


class CodeT5pConfig(PretrainedConfig):
    """Both configurations, and the token that the decoder starts with.

    Args:
        encoder: fields of the encoder's `CodeT5pModuleConfig`, or one.
        decoder: of the decoder's.
        decoder_start_token_id: what the decoder reads before the prompt.
        pad_token_id: None: the tokenizer's end of text.
        **fields: of every configuration. Nothing of this family is tied, whatever they say.
    """

    model_type = "codet5p"

    def __init__(
        self,
        encoder: CodeT5pModuleConfig | dict[str, Any] | None = None,
        decoder: CodeT5pModuleConfig | dict[str, Any] | None = None,
        decoder_start_token_id: int = 50256,
        pad_token_id: int | None = None,
        **fields: Any,
    ) -> None:
        for name in ("is_encoder_decoder", "tie_word_embeddings", "max_position_embeddings"):
            fields.pop(name, None)
        self.encoder, self.decoder = _module_config(encoder), _module_config(decoder)
        super().__init__(is_encoder_decoder=True, tie_word_embeddings=False, **fields)
        self.decoder_start_token_id, self.pad_token_id = decoder_start_token_id, pad_token_id

    @property
    def max_position_embeddings(self) -> int:
        """Tokens of prompt and response together, without the start token, whose place the last one leaves free."""
        return min(self.encoder.n_positions, self.decoder.n_positions)


def _module_config(fields: CodeT5pModuleConfig | dict[str, Any] | None) -> CodeT5pModuleConfig:
    if isinstance(fields, CodeT5pModuleConfig):
        return fields
    named = {name: value for name, value in (fields or {}).items() if name != "model_type"}
    return CodeT5pModuleConfig(**named | {"tie_word_embeddings": False})
