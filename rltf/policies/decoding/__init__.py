"""Lean decoding: what a family's network does for one new token, without the generality of its training forward."""

from rltf.policies.decoding.families import decoder_for, make_cache
from rltf.policies.decoding.interfaces import Cache, Decoder, Prompts, PromptStates, StepShape
from rltf.policies.kernels import Kernels

__all__ = ["Cache", "Decoder", "Kernels", "PromptStates", "Prompts", "StepShape", "decoder_for", "make_cache"]
