"""A process reward model (arXiv 2410.17621): automatic labels of lines, a model of them, and rewards of lines."""
