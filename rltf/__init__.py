"""Online reinforcement learning of code language models from unit-test feedback (RLTF, arXiv 2307.04349)."""

__version__ = "0.2.0"
