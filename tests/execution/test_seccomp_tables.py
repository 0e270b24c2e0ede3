"""System call numbers agree with libseccomp, an independent table."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from rltf.execution.isolation import call_tables

ARCHITECTURES = {0: 0xC000003E, 1: 0xC00000B7}  # x86-64, aarch64, as audit tokens
TABLES = [table for name, table in vars(call_tables).items() if name.isupper() and isinstance(table, dict)]
CALLS = {name: pair for table in TABLES for name, pair in table.items()}


@pytest.fixture(scope="module")
def libseccomp() -> ctypes.CDLL:
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        return ctypes.CDLL(name)
    except OSError:
        pytest.skip("libseccomp is not installed")


@pytest.mark.parametrize("column", ARCHITECTURES)
@pytest.mark.parametrize("name", CALLS)
def test_number_of(name: str, column: int, libseccomp: ctypes.CDLL) -> None:
    number = libseccomp.seccomp_syscall_resolve_name_arch(ARCHITECTURES[column], name.encode())
    if number == -1:
        pytest.skip("libseccomp is older than this call")
    expected = CALLS[name][column]
    assert number == expected if expected is not None else number < 0


def test_no_call_is_listed_twice() -> None:
    assert sum(map(len, TABLES)) == len(CALLS)
    for column in ARCHITECTURES:
        numbers = [pair[column] for pair in CALLS.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
        assert max(numbers) <= call_tables.NEWEST
