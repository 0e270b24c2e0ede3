"""Trains a policy: `python train.py [key=value ...]`; `python train.py --help` shows every key."""

from rltf.commands.cli import command

if __name__ == "__main__":
    command("train")
