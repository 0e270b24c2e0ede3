"""Values that judge and child send each other, as JSON with tags.

Runs on both sides: trusted in the worker, untrusted in the child. What the worker decodes is made of builtin types and
of classes that the task's setup defines, even where the program wrote the text: no pickle, no eval.
"""
