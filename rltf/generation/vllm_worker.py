"""What renews a tied head in a vLLM server on a CPU: that build multiplies by a packed copy of the head, which a reload
of the weights leaves as it was (vLLM 0.32). On GPUs there is no such copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rltf.generation.vllm import prepare_tied_head


class WorkerExtension:
    """Methods for vLLM's workers: `vllm serve --worker-extension-cls rltf.generation.vllm_worker.WorkerExtension`.
    It becomes a base of the worker's class."""

    reload_weights: Callable[..., None]
    """The worker's own."""
    model_runner: Any

    def reload_weights_and_head(self, weights_path: str) -> None:
        """Reads the weights of a folder, and packs a tied head anew.

        Args:
            weights_path: the folder, in the Hugging Face layout.
        """
        self.reload_weights(weights_path=weights_path)
        model = self.model_runner.get_model()
        if model.config.tie_word_embeddings:
            prepare_tied_head(model)
