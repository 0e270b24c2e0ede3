"""What an offline W&B run has on disk, read without W&B's own reader, which is no part of its interface."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK = 32768
"""Bytes of a block; a record is cut where a block ends (the log format of LevelDB)."""


def offline_runs(folder: Path) -> list[dict]:
    """The pieces of a run in the order of their starts: id, name, exit code, rows of the history, summary."""
    return [offline_run(path) for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb"))]


def offline_run(path: Path) -> dict:
    """One piece of a run."""
    from wandb.proto import wandb_internal_pb2

    piece: dict = {"rows": [], "summary": {}, "exit": None}
    for content in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            piece |= {"id": record.run.run_id, "name": record.run.display_name, "group": record.run.run_group}
        elif kind == "history":
            piece["rows"].append(values(record.history.item))
        elif kind == "summary":
            piece["summary"] |= values(record.summary.update)
        elif kind == "exit":
            piece["exit"] = record.exit.exit_code
    return piece


def values(items) -> dict:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def records(path: Path) -> Iterator[bytes]:
    content, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        _, size, kind = struct.unpack_from("<IHB", content, at)
        if BLOCK - at % BLOCK < 7 or kind == 0:
            at += BLOCK - at % BLOCK
            continue
        record += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""
