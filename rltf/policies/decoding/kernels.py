"""`kernels.c`, compiled once for this machine and called on tensors.

Half a second with the system's C compiler, the first time; after that a file in the user's cache. Without a compiler,
in half precision, on an accelerator or with many threads, torch's own kernels do the same work.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

LANES = 16
"""Floats of a vector of `kernels.c`."""
_THREADS = 4
"""With more, torch's kernels share the work out, and these run on one."""
_CHUNK = 64
"""Of `kernels.c`: rows whose gradients of a scale are summed before the sum of sums."""
_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_SOURCE = Path(__file__).with_name("kernels.c")


class Store(ctypes.Structure):
    """Of `kernels.c`: keys and values of sequences."""

    _fields_ = (
        ("k", ctypes.c_void_p),
        ("v", ctypes.c_void_p),
        ("sequences", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("padded", ctypes.c_int64),
    )


class Attention(ctypes.Structure):
    """Of `kernels.c`: everything that a step's attention reads; pointers, so the caller keeps the tensors alive."""

    _fields_ = (
        ("own", Store),
        ("given", Store),
        ("age", ctypes.c_void_p),
        ("live", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("prompt", ctypes.c_void_p),
        ("length", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("biases", ctypes.c_int64),
        ("group", ctypes.c_int64),
        ("far", ctypes.c_int64),
        ("scratch", ctypes.c_void_p),
    )


class Kernels:
    """The functions of the compiled library. All tensors are float32 on the CPU, the last dimension contiguous."""

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        signatures = {
            "attend": (pointer, number, pointer, number, pointer, number),
            "rotate": (pointer, number, pointer, number, number, number, number),
            "rms_norm": (pointer, pointer, pointer, pointer, number, number, ctypes.c_float),
            "rms_norm_backward": (pointer, pointer, pointer, pointer, pointer, pointer, number, number),
            "gate": (pointer, pointer, pointer, number),
            "gate_backward": (pointer, pointer, pointer, pointer, pointer, number),
            "pick": (pointer, pointer, number, pointer, ctypes.c_float, number, number, pointer, pointer, pointer),
        }
        for name, arguments in signatures.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, None
            setattr(self, f"_{name}", function)
        self._scratch = torch.empty(0)

    _attend: Any
    _rotate: Any
    _rms_norm: Any
    _rms_norm_backward: Any
    _gate: Any
    _gate_backward: Any
    _pick: Any

    def attend(self, attention: Attention, layer: int, x: Tensor, out: Tensor) -> Tensor:
        """Attention of the rows' present tokens: x (A, queries, then keys and values), out (A, H*R*D)."""
        rows = x.shape[0]
        self._attend(ctypes.addressof(attention), layer, x.data_ptr(), x.stride(0), out.data_ptr(), rows)
        return out[:rows]

    def rotate_(self, x: Tensor, turn: Tensor) -> None:
        """Turns neighbouring dimensions of x (A, heads, D) in place by turn (A, 1, r) complex."""
        rows, heads, width = x.shape
        self._rotate(x.data_ptr(), x.stride(0), turn.data_ptr(), rows, heads, width, turn.shape[-1])

    def rms_norm(self, x: Tensor, scale: Tensor, eps: float, inverse: Tensor | None = None) -> Tensor:
        """x (..., d) / sqrt(mean(x^2) + eps) * scale (d,). `inverse` (...) is filled with what backward wants."""
        out, width = torch.empty_like(x), x.shape[-1]
        kept = inverse.data_ptr() if inverse is not None else None
        self._rms_norm(x.data_ptr(), scale.data_ptr(), out.data_ptr(), kept, x.numel() // width, width, eps)
        return out

    def rms_norm_backward(self, dout: Tensor, x: Tensor, scale: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of x and scale."""
        dx, width, rows = torch.empty_like(x), x.shape[-1], x.numel() // x.shape[-1]
        sums = x.new_zeros(-(-rows // _CHUNK), width)
        self._rms_norm_backward(*(tensor.data_ptr() for tensor in (dout, x, scale, inverse, dx, sums)), rows, width)
        return dx, sums.sum(0)

    def gate(self, x: Tensor, y: Tensor) -> Tensor:
        """silu(x) * y, of one shape."""
        out = torch.empty_like(x)
        self._gate(x.data_ptr(), y.data_ptr(), out.data_ptr(), x.numel())
        return out

    def gate_backward(self, dout: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of x and y."""
        dx, dy = torch.empty_like(x), torch.empty_like(y)
        self._gate_backward(*(tensor.data_ptr() for tensor in (dout, x, y, dx, dy)), x.numel())
        return dx, dy

    def pick(
        self, logits_BV: Tensor, uniform_B: Tensor, temperature: float, greedy_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens and log-probs as `rltf.generation.draw.pick` gives them, where nothing is truncated."""
        rows, vocabulary = logits_BV.shape
        if self._scratch.numel() < 2 * vocabulary + LANES + 1:
            self._scratch = torch.empty(2 * vocabulary + LANES + 1)
        greedy_B = torch.zeros(rows, dtype=torch.bool) if greedy_B is None else greedy_B
        token_B, logprob_B = torch.empty(rows, dtype=torch.long), torch.empty(rows)
        self._pick(
            logits_BV.data_ptr(),
            uniform_B.data_ptr(),
            uniform_B.stride(0),
            greedy_B.data_ptr(),
            temperature,
            rows,
            vocabulary,
            self._scratch.data_ptr(),
            token_B.data_ptr(),
            logprob_B.data_ptr(),
        )
        return token_B, logprob_B


def kernels_for(model: Any) -> Kernels | None:
    """The kernels, where they fit the model: all weights float32 on the CPU, and few torch threads."""
    dense = all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in model.parameters())
    return load() if dense and torch.get_num_threads() <= _THREADS else None


@cache
def load() -> Kernels | None:
    """The library, compiled if this machine has not done so before; None, said in the log, where that fails."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    key = hashlib.sha256(repr((_SOURCE.read_text(), compiler, _FLAGS, _machine())).encode()).hexdigest()[:16]
    for folder in _folders():
        library = folder / f"kernels-{key}.so"
        try:
            if not library.exists():
                _compile(compiler, library)
            return Kernels(ctypes.CDLL(str(library)))
        except OSError as error:
            problem = str(error)
        except subprocess.CalledProcessError as error:
            problem = error.stderr.strip().splitlines()[0] if error.stderr.strip() else str(error)
            break
    _log.info("decoding goes without compiled kernels: %s", problem)
    return None


def _compile(compiler: list[str], library: Path) -> None:
    """To another name first: other processes may do the same at this moment."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        fresh = Path(folder) / library.name
        command = [*compiler, *_FLAGS, "-o", str(fresh), str(_SOURCE), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        fresh.replace(library)


def _folders() -> list[Path]:
    """Where the library is kept: the user's cache, else a folder that ends with the process. Nobody else may write
    there, since it is code."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rltf"
    folders = []
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = home.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
            folders.append(home)
    except OSError:
        pass
    return [*folders, Path(_temporary().name)]


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rltf-kernels-")


def _machine() -> str:
    """What the compiler makes of "native": a home may be shared by different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
