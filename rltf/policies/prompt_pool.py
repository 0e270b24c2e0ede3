"""Learned prompts in front of a frozen encoder-decoder, chosen by keys: continual learning by prompt pools, with
teacher forcing of the pool while it is trained (arXiv 2307.02435).

A key holds `tokens` vectors. The query of a prompt is the mean of the encoder's states over it, without learned
vectors; `pool` takes the `keys` keys of highest cosine to it, and adds -`pull` times the sum of their cosines to the
loss. With teacher forcing a training prompt takes the keys of its task instead: `keys - (tasks - 1) * shared_per_pair`
of its own, and `shared_per_pair` with each other task; held-out prompts choose freely among all keys.

How it deviates from the paper's code (awslabs/codetask-cl-pptf):
1. The learned vectors take places in the prompt: ids beyond the vocabulary, one for each task and one for a free
   choice, so that samplers, masks, buffers and checkpoints need know nothing of them.
2. Keys begin as queries of the first problems of their task; vectors as means of parts of those problems' embeddings,
   scaled to the size of an embedding. The code scales to unit length and trains with rates of 10 to 100.
3. Chosen keys stand in the order of the pool, not of their cosines: as they stand when they are forced.
4. The pull is a mean over the different prompts of a micro-batch.
5. Keys and vectors of a task, and those of a pair of tasks, are parameters of their own: whatever a step does not use
   has no gradient, so AdamW leaves it as it is, moments and weight decay included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from rltf.validation import OptionError, require

Kind = Literal["shared", "task", "pool"]
Teacher = Literal["train", "never"]
PROMPTS_FILE = "prompts.safetensors"
"""In the folder of a policy: its learned prompts, with their options as metadata."""


@dataclass(frozen=True)
class Prompts:
    """Shape and learning of the prompts.

    Args:
        kind: `shared`: the same for all tasks; `task`: of each task, which must be known; `pool`: chosen by keys.
        tasks: names of the tasks.
        keys: keys in front of a prompt.
        tokens: vectors a key.
        shared_per_pair: of `pool`, keys that two tasks have in common.
        teacher: of `pool`: `train`: a training prompt takes the keys of its task; `never`: it chooses freely.
        pull: of `pool`, weight of the chosen keys' cosines in the loss.
        lr: peak learning rate of the vectors, whose numbers are of the size of an embedding's.
        key_lr: peak learning rate of the keys, whose numbers are of the size of a hidden state's.

    Raises:
        OptionError: an argument is out of range.
    """

    kind: Kind
    tasks: Sequence[str]
    keys: int = 20
    tokens: int = 5
    shared_per_pair: int = 2
    teacher: Teacher = "never"
    pull: float = 0.1
    lr: float = 0.03
    key_lr: float = 0.01

    def __post_init__(self) -> None:
        require("kind", self.kind, choices=get_args(Kind))
        require("teacher", self.teacher, choices=get_args(Teacher))
        tasks = self.tasks
        if not tasks or isinstance(tasks, str) or len(set(tasks)) < len(tasks):
            raise OptionError("tasks", tasks, "a list of different names of tasks, as benchmark=codetask_mini has one")
        for key, value in (("keys", self.keys), ("tokens", self.tokens)):
            require(key, value, at_least=1, whole=True)
        require("shared_per_pair", self.shared_per_pair, at_least=0, whole=True)
        if self.kind == "pool" and self.private_keys < 1:
            least = self.shared_per_pair * (len(tasks) - 1) + 1
            raise OptionError("keys", self.keys, f"at least {least}: one of each task besides those that pairs share")
        require("pull", self.pull, at_least=0)
        require("lr", self.lr, above=0)
        require("key_lr", self.key_lr, above=0)

    @property
    def private_keys(self) -> int:
        """Keys that a task has for itself."""
        return self.keys - self.shared_per_pair * (len(self.tasks) - 1)

    @property
    def places(self) -> int:
        """Tokens in front of a prompt."""
        return self.keys * self.tokens


class PromptPool(nn.Module):
    """Keys and their vectors. M keys, B prompts, K keys in front of each, D width.

    Args:
        options: shape.
        width: D.

    Example:
        >>> pool = PromptPool(Prompts("pool", ["a", "b", "c", "d"]), width=8)
        >>> pool.size, pool.size * pool.options.tokens
        (68, 340)
    """

    def __init__(self, options: Prompts, width: int) -> None:
        super().__init__()
        self.options = options
        tasks = range(len(options.tasks))
        owners: list[tuple[tuple[int, ...], int]]
        """(tasks that have keys in common, number of those keys), in the order of the pool."""
        if options.kind == "shared":
            owners = [(tuple(tasks), options.keys)]
        elif options.kind == "task":
            owners = [((task,), options.keys) for task in tasks]
        else:
            pairs = combinations(tasks, 2) if options.shared_per_pair else ()
            owners = [((task,), options.private_keys) for task in tasks]
            owners += [(pair, options.shared_per_pair) for pair in pairs]
        self.owners = owners
        self.vectors = nn.ParameterList(nn.Parameter(torch.zeros(n, options.tokens, width)) for _, n in owners)
        has_keys = options.kind == "pool"
        self.keys = nn.ParameterList(nn.Parameter(torch.zeros(n, width)) for _, n in owners if has_keys)
        self._pulls: list[Tensor] = []

    @property
    def size(self) -> int:
        """Keys in the pool."""
        return sum(n for _, n in self.owners)

    @property
    def is_set(self) -> bool:
        """Whether the vectors were set, by `start_from` or from a file."""
        return any(bool(vectors.detach().any()) for vectors in self.vectors)

    def code(self, task: str, training: bool) -> int:
        """Which vectors a prompt gets: 0: those it chooses, or the only ones; else 1 + the index of its task. A prompt
        of no task gets those of the first where each task has its own.

        Raises:
            ValueError: the task is not one of the pool's.
        """
        if self.options.kind == "shared" or (self.options.kind == "pool" and not self._forces(training)):
            return 0
        if not task:
            return 1 if self.options.kind == "task" else 0
        if task not in self.options.tasks:
            raise ValueError(
                f"model.prompts.tasks is {list(self.options.tasks)} and a prompt is of task {task}: expected that one, "
                "too"
            )
        return 1 + list(self.options.tasks).index(task)

    def forward(self, code_B: Tensor, query_BD: Tensor) -> Tensor:
        """Vectors in front of each prompt, (B, K * tokens, D); notes the pull of the keys.

        Args:
            code_B: see `code`.
            query_BD: mean states of the prompts; no gradient flows into them.
        """
        used, index_MB = self._places(code_B)
        vectors_UTD = torch.cat([self.vectors[owner] for owner in used])
        if self.options.kind != "pool":
            return vectors_UTD[index_MB].flatten(1, 2)
        cosine_BU = self.cosines(query_BD, used)
        index_BK = index_MB
        if not code_B.all():
            free_BK = cosine_BU.topk(self.options.keys, dim=1).indices.sort(dim=1).values
            index_BK = torch.where(code_B[:, None] > 0, index_MB, free_BK)
        if torch.is_grad_enabled():
            self._pulls.append(cosine_BU.gather(1, index_BK).sum(1).mean())
        return vectors_UTD[index_BK].flatten(1, 2)

    def cosines(self, query_BD: Tensor, owners: Sequence[int] | None = None) -> Tensor:
        """Cosines of queries to the keys of some owners, (B, M); None: to all keys."""
        keys = [self.keys[owner] for owner in (range(len(self.owners)) if owners is None else owners)]
        keys_MD = nn.functional.normalize(torch.cat(keys), dim=1)
        return nn.functional.normalize(query_BD, dim=1) @ keys_MD.T

    def pop_pull_loss(self) -> Tensor | None:
        """What the forward passes with gradient since the last call add to the loss; None: there was none."""
        pulls, self._pulls = self._pulls, []
        return -self.options.pull * torch.stack(pulls).sum() if pulls else None

    def task_keys(self, task: int) -> Tensor:
        """Keys of a task, those that it shares included, without gradient: (keys, D)."""
        return torch.cat([self.keys[o] for o, (tasks, _) in enumerate(self.owners) if task in tasks]).detach().clone()

    @torch.no_grad()
    def start_from(self, queries: Mapping[str, Tensor], vectors: Mapping[str, Tensor]) -> None:
        """Sets keys and vectors before training.

        Args:
            queries: task -> queries of its first problems (N, D), at least one; a key that tasks share begins as the
                mean of theirs.
            vectors: task -> parts of those problems' embeddings (N, tokens, D).
        """
        next_problem = dict.fromkeys(self.options.tasks, 0)
        for owner, (tasks, count) in enumerate(self.owners):
            names = [self.options.tasks[index] for index in tasks]
            for i in range(count):
                name = names[i % len(names)]
                self.vectors[owner][i] = vectors[name][next_problem[name] % len(vectors[name])]
                if len(self.keys):
                    key_queries = [queries[task][next_problem[task] % len(queries[task])] for task in names]
                    self.keys[owner][i] = torch.stack(key_queries).mean(0)
                for task in names if self.options.kind == "pool" else (name,):
                    next_problem[task] += 1

    def save(self, folder: Path) -> None:
        """Writes `prompts.safetensors`."""
        from safetensors.torch import save_file

        weights = {name: weight.detach().cpu().contiguous() for name, weight in self.state_dict().items()}
        options = {**asdict(self.options), "tasks": list(self.options.tasks)}
        save_file(weights, folder / PROMPTS_FILE, {"options": json.dumps(options)})

    @classmethod
    def load(cls, folder: Path, width: int) -> PromptPool:
        """The prompts of a policy's folder.

        Raises:
            ValueError: they are of another model.
        """
        from safetensors import safe_open

        with safe_open(folder / PROMPTS_FILE, framework="pt") as file:
            pool = cls(Prompts(**json.loads(file.metadata()["options"])), width)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        if any(weights[name].shape != weight.shape for name, weight in pool.state_dict().items()):
            raise ValueError(f"model.path: {folder / PROMPTS_FILE} is of a model of another width than {width}")
        pool.load_state_dict(weights)
        return pool

    def _forces(self, training: bool) -> bool:
        return training and self.options.teacher == "train"

    def _places(self, code_B: Tensor) -> tuple[list[int], Tensor]:
        """(owners that these prompts can use, index_BK into their keys for prompts whose keys are not chosen)."""
        codes = code_B.tolist()
        free = 0 in codes
        if self.options.kind == "shared":
            return [0], torch.arange(self.options.keys, device=code_B.device).expand(len(codes), -1)
        tasks = {code - 1 for code in codes if code}
        used = [owner for owner, (of, _) in enumerate(self.owners) if free or tasks & set(of)]
        table: dict[int, list[int]] = {task: [] for task in tasks}
        start = 0
        for owner in used:
            of, count = self.owners[owner]
            for task in tasks & set(of):
                table[task] += range(start, start + count)
            start += count
        rows = [table[code - 1] if code else [0] * self.options.keys for code in codes]
        return used, torch.tensor(rows, device=code_B.device)
