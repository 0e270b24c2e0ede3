"""Measures pass@k of a policy: `python eval.py policy=FOLDER benchmark=mbpp [key=value ...]`."""

from rltf.commands.cli import command

if __name__ == "__main__":
    command("eval")
