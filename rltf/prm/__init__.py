"""A process reward model (arXiv 2410.17621): labels of lines without people, a model of them, and rewards of lines."""
