"""Lean decoding: what a family's network does for one new token, without the generality of its training forward."""

from rltf.policies.decoding.attention import Cache, StepShape, make_cache
from rltf.policies.decoding.base import Decoder, PromptStates
from rltf.policies.decoding.families import decoder_for
from rltf.policies.decoding.prompts import Prompts
from rltf.policies.kernels import Kernels

__all__ = ["Cache", "Decoder", "Kernels", "PromptStates", "Prompts", "StepShape", "decoder_for", "make_cache"]
