"""Values that judge and child send each other, as JSON with tags.

Runs on both sides: trusted in the worker, untrusted in the child. Whoever wrote a text, what the worker decodes is made
of builtin types and of classes that the task's setup defines: no pickle, no eval.
"""
