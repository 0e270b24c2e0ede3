"""Lean decoding: what a family's network does for one new token, without the generality of its training forward."""

from rltf.policies.decoding.families import decoder_for, make_cache
from rltf.policies.decoding.interfaces import Cache, Decoder, PromptCache, PromptStates, StepShape
from rltf.policies.kernels import Kernels

__all__ = ["Cache", "Decoder", "Kernels", "PromptCache", "PromptStates", "StepShape", "decoder_for", "make_cache"]
