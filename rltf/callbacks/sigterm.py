"""SIGTERM ends a run of many processes at once, too."""

from __future__ import annotations

import signal
import threading

import lightning.pytorch as L


class SigtermHandler(L.Callback):
    """Restores the handler of SIGTERM that was installed when this callback was made. Lightning 2.6 puts one before it
    that tells the other processes by a collective, from wherever the signal struck: inside another collective, both
    wait for ever."""

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's handler has just been installed; Lightning removes it itself."""
        self._restore_handler()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """As in training."""
        self._restore_handler()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """As in training."""
        self._restore_handler()

    def _restore_handler(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
