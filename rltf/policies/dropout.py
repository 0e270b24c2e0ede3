"""Every rate of noise that a model has in training, and what it is in supervised training and in RL.

Families keep rates in layers (`nn.Dropout`), in attributes of modules (`attention_dropout`, `layerdrop`), or read them
from the configuration in each forward. So modules and the configurations they hold are walked; a list of keys would
have to know every family. Ratios of RL compare log-probs of training with those of sampling, where nothing is
dropped: with a rate of 0, training mode computes what eval mode does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from rltf.validation import OptionError, require

_RATE = re.compile(r"drop|jitter_noise$")
"""Names of rates of all kinds."""
_SETTABLE = re.compile(r"dropout|pdrop|^p$")
"""Names of those that a rate above 0 is given to; to leave out whole layers (`layerdrop`) is another thing."""
_NO_RATES = ("router_jitter_noise",)
"""PhiMoE reads it in eval mode, too. Mixtral's noise is a module's `jitter_noise`."""


@dataclass(frozen=True, slots=True)
class _Rate:
    holder: Any
    """Module or configuration."""
    name: str
    original: float
    """As the model came."""
    of_adapter: bool

    def set(self, value: float) -> None:
        """In the dictionary of attributes: configurations check types, and MPT's wants a whole number."""
        vars(self.holder)[self.name] = value


class PhaseDropout:
    """The rates of a model; those of supervised training at first.

    Args:
        model: with all its layers, adapters included.
        supervised: of all layers but adapters in supervised training; None: what the weights were made with.
        rl: of all layers in RL; None: as in supervised training.

    Raises:
        OptionError: a rate is out of range, or the model has no dropout to give it to.
    """

    def __init__(self, model: nn.Module, supervised: float | None = None, rl: float | None = 0.0) -> None:
        require("dropout", supervised, at_least=0, below=1, optional=True)
        require("rl_dropout", rl, at_least=0, below=1, optional=True)
        self._supervised, self._rl = supervised, rl
        self._rates = list(_rates(model))
        for key, value in (("dropout", supervised), ("rl_dropout", rl)):
            if value and not any(_SETTABLE.search(rate.name) for rate in self._rates):
                raise OptionError(key, value, f"0 or null, since a {type(model).__name__} has no dropout")
        self.start(supervised=True)

    def start(self, supervised: bool) -> None:
        """Sets the rates of supervised training or of RL."""
        for rate in self._rates:
            rate.set(rate.original)
        self._set([rate for rate in self._rates if not rate.of_adapter], self._supervised)
        if not supervised:
            self._set(self._rates, self._rl)

    @contextmanager
    def original_rates(self) -> Iterator[None]:
        """Inside, rates are what the weights were made with: so they are exported."""
        with self._restored_rates():
            for rate in self._rates:
                rate.set(rate.original)
            yield

    @contextmanager
    def zero_rates(self) -> Iterator[None]:
        """Inside, training mode computes what eval mode does, unless the model has noise that is no rate."""
        with self._restored_rates():
            self._set(self._rates, 0.0)
            yield

    @contextmanager
    def _restored_rates(self) -> Iterator[None]:
        values = [vars(rate.holder)[rate.name] for rate in self._rates]
        try:
            yield
        finally:
            for rate, value in zip(self._rates, values, strict=True):
                rate.set(value)

    @staticmethod
    def _set(rates: list[_Rate], value: float | None) -> None:
        for rate in rates:
            if value == 0 or (value is not None and _SETTABLE.search(rate.name)):
                rate.set(value)


def _rates(model: nn.Module) -> Iterator[_Rate]:
    """Each rate once."""
    holders = {
        id(holder): (holder, "lora_" in name)
        for name, module in model.named_modules()
        for holder in (module, *_configs(module))
    }
    for holder, of_adapter in holders.values():
        for name, value in vars(holder).items():
            is_rate = name == "p" if isinstance(holder, _DropoutNd) else _RATE.search(name) and name not in _NO_RATES
            if is_rate and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
                yield _Rate(holder, name, value, of_adapter)


def _configs(module: nn.Module) -> Iterator[Any]:
    """The configuration that a module holds, and those inside it (MPT's `attn_config`)."""
    config = getattr(module, "config", None)
    if hasattr(config, "to_dict"):
        yield config
        yield from (value for value in vars(config).values() if hasattr(value, "to_dict"))
