"""CodeT5+ (Wang et al., 2023, arXiv 2305.07922) beyond the sizes that are plain T5: 2B and 6B, a shallow encoder with a
deep decoder, the bimodal model that matches text and code, and the embedding model. None runs code of the hub."""
