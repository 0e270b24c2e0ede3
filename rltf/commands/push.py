"""`rltf push RUN OWNER/NAME`: the policy of a run with its model card to the Hugging Face hub. No other command sends
anything."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rltf.runs.failures import USER_MISTAKE
from rltf.runs.files import CONFIG_FILE, POLICY_FOLDER
from rltf.runs.model_card import CARD_FILE, model_card
from rltf.validation import sentence_of

_ADAPTER_FOLDER, _ADAPTER_CONFIG = "adapter", "adapter_config.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Sends the folder, or with `--dry-run` lists what would be sent.

    Returns:
        0; 2 after a mistake, which is one sentence.
    """
    options = _parser().parse_args(arguments)
    try:
        folder, card = read_policy(options.run, options.adapter)
        check_name(options.hub_id)
        if options.dry_run:
            _show(folder, card, options.hub_id)
        else:
            print(push(folder, card, options.hub_id, options.private, options.update))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_MISTAKE
    return 0


def read_policy(run: Path, adapter: bool) -> tuple[Path, str]:
    """The folder to send, and its card.

    Args:
        run: the run folder.
        adapter: the adapters alone, in peft's layout; of a run with `model.quantization` there is nothing else.

    Raises:
        ValueError: the run has no policy or no adapters, or nobody else has their base.
    """
    if not (run / CONFIG_FILE).is_file():
        raise ValueError(f"{run} is no run folder: expected one that holds {CONFIG_FILE}")
    policy = run / POLICY_FOLDER
    alone = (policy / _ADAPTER_CONFIG).is_file()  # of a run with model.quantization: nothing else was exported
    if not (alone or (policy / "config.json").is_file()):
        raise ValueError(f"{run} has no policy yet: expected a finished run; `rltf export {run}` writes one")
    card = (policy / CARD_FILE).read_text(encoding="utf-8") if (policy / CARD_FILE).is_file() else model_card(run)
    if not (adapter or alone):
        return policy, card
    config = (policy if alone else policy / _ADAPTER_FOLDER) / _ADAPTER_CONFIG
    if not config.is_file():
        raise ValueError(
            f"{policy} holds no adapters: expected a run with model.lora, or the command without --adapter"
        )
    base = str(json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path") or "")
    if not base or Path(base).is_absolute():
        way_out = "" if alone else ", or the command without --adapter, which sends the merged weights"
        raise ValueError(
            f"{config} has base_model_name_or_path={base!r}, which others do not have: expected a run whose model came "
            f"from the hub{way_out}"
        )
    lines = [line for line in card.splitlines() if not line.startswith("base_model:")]
    library = next(line for line in lines if line.startswith("library_name:"))
    lines[lines.index(library)] = f"library_name: peft\nbase_model: {base}"
    return config.parent, "\n".join(lines) + "\n"


def check_name(hub_id: str) -> None:
    """Refuses what cannot be the name of a model on the hub.

    Raises:
        ValueError: it cannot.
    """
    owner, _, name = hub_id.partition("/")
    if not all(re.fullmatch(r"\w([\w.-]*\w)?", part, re.ASCII) for part in (owner, name)) or len(hub_id) > 96:
        raise ValueError(f"{hub_id!r} is no name on the hub: expected OWNER/NAME, letters, digits, '-', '_' and '.'")


def push(folder: Path, card: str, hub_id: str, private: bool, update: bool) -> str:
    """Makes the repository and sends the files.

    Args:
        folder: whose files are sent, its folders too.
        card: the model card, in place of the folder's own.
        hub_id: OWNER/NAME.
        private: make a repository that only its owner sees.
        update: the repository may exist.

    Returns:
        Its address.

    Raises:
        ValueError: there is no token, or the hub refuses.
    """
    import httpx
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    token = get_token()
    if token is None:
        raise ValueError(
            "rltf push finds no token of the Hugging Face hub: expected HF_TOKEN=..., or `hf auth login` once"
        )
    hub = HfApi(token=token)
    try:
        address = hub.create_repo(hub_id, private=private, exist_ok=update)
        hub.upload_folder(
            repo_id=hub_id, folder_path=folder, ignore_patterns=[CARD_FILE], commit_message="Policy trained with rltf"
        )
        hub.upload_file(
            path_or_fileobj=card.encode(), path_in_repo=CARD_FILE, repo_id=hub_id, commit_message="Model card"
        )
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code == 409:
            raise ValueError(f"{hub_id} exists on the hub: expected a new name, or --update") from None
        raise ValueError(f"the hub refuses {hub_id}: {sentence_of(error)}") from None
    except (OSError, httpx.HTTPError) as error:
        raise ValueError(f"the hub is not reached: {type(error).__name__}: {sentence_of(error)}") from None
    return str(address)


def _show(folder: Path, card: str, hub_id: str) -> None:
    files = {file.relative_to(folder).as_posix(): file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    files[CARD_FILE] = len(card.encode())
    print(f"{hub_id} would get {len(files)} files, {sum(files.values()) / 2**20:.1f} MiB; nothing was sent.")
    for name, size in sorted(files.items()):
        print(f"{size:>14,}  {name}")
    print(f"\n{card}", end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rltf push",
        description="Sends the policy of a run, its tokenizer and its model card to the Hugging Face hub. Needs a "
        "token with the right to write (HF_TOKEN).",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder with an exported policy")
    parser.add_argument("hub_id", metavar="OWNER/NAME", help="of the model on the hub")
    parser.add_argument("--dry-run", action="store_true", help="list the files and show the card, offline")
    parser.add_argument("--private", action="store_true", help="make a repository that only its owner sees")
    parser.add_argument("--update", action="store_true", help="the repository may exist: its files are replaced")
    parser.add_argument("--adapter", action="store_true", help="the adapters alone, in peft's layout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
