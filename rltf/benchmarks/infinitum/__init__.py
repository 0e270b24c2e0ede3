"""`infinitum`: items without end by (seed, index), one language construct under test at a time.

names -> english -> scope -> constructs    a statement, with its Python and its English in three phrasings
program                                    a function of such statements; its structure, which decides the split
running -> cases                           tests that every program with something left out fails
javascript, formats                        the same programs in JavaScript; prompts in both languages
benchmark                                  problems by (seed, split, index)
"""

from rltf.benchmarks.infinitum.benchmark import Infinitum

__all__ = ["Infinitum"]
