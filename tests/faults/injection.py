"""Makes the library's calls fail, and runs programs while they do.

A library that was built with MLX_FAULTS has functions of C for it; their rules are described in
mlx/core/faults.cpp, the points in mlx/core/faults.def.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import gc
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np

LIBRARY = ctypes.CDLL(str(Path(mx.__file__).parent / "lib" / "libmlx.so"))
BUILT = hasattr(LIBRARY, "mlx_faults_set")
if BUILT:
    LIBRARY.mlx_faults_set.restype = ctypes.c_bool
    LIBRARY.mlx_faults_calls.restype = ctypes.c_uint64
    LIBRARY.mlx_faults_struck.restype = ctypes.c_uint64

Pairs = list[tuple[mx.array, np.ndarray]]
Program = Callable[[], Pairs]

MOST = 500
"""Faults of one walk; a program that does not get to its end by then is too long."""

INJECTED: collections.Counter[str] = collections.Counter()
"""How often each point has failed."""

ERRORS = (RuntimeError, ValueError, MemoryError, OSError, BufferError)
"""What a fault may become for its caller."""


@contextlib.contextmanager
def faults(rules: str) -> Iterator[None]:
    """Calls fail by the rules as long as it lasts."""
    assert LIBRARY.mlx_faults_set(rules.encode()), f"not understood: {rules}"
    try:
        yield
    finally:
        for rule in filter(None, rules.split(",")):
            point = rule.split(":")[0]
            INJECTED[point] += struck(point)
        LIBRARY.mlx_faults_set(b"")


def struck(point: str) -> int:
    return LIBRARY.mlx_faults_struck(point.encode())


def check_error(error: Exception) -> None:
    """It says what failed: the operation, or the file and the system's reason, or memory."""
    named = re.match(r"\[\w[\w.]*\] \S", str(error))
    no_memory = type(error) is MemoryError or str(error) == "std::bad_alloc"
    assert named or no_memory or isinstance(error, OSError), repr(error)


def poison() -> None:
    """Leaves numbers in the cached blocks, which a result that nobody computed would show."""
    junk = [mx.full((n,), 7.7e7) for n in (1, 16, 100, 1000, 40_000)]
    mx.eval(junk)


def outcome(program: Program, quietly: bool) -> Exception | None:
    """Runs the program; each of its results has to be right or raise. Returns what was raised."""
    first = None
    pairs: Pairs = []
    try:
        pairs = program()
        mx.eval([a for a, _ in pairs])
    except ERRORS as error:
        first = error
    for a, expected in pairs:
        try:
            got = np.array(a)
        except ERRORS as error:
            first = first or error
            continue
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-4)
    if first and not quietly:
        raise first
    return first


def lets_go(active: int) -> bool:
    """Whether arrays hold no more than that, once other threads have dropped what they worked on."""
    for _ in range(300):
        gc.collect()
        mx.synchronize()
        if mx.get_active_memory() <= active:
            return True
        time.sleep(0.01)
    return False


def walk(
    point: str,
    program: Program,
    step: Callable[[], None] = poison,
    stride: int = 1,
    rule: str = "{}",
) -> int:
    """Fails the first call of a point, then that `stride` later and so on, until the program no longer gets
    that far; with the rule "{}-", all calls that follow it too. After each failure: values that were
    there are still there, no memory is lost, and the same program passes. Returns how many faults
    there were."""
    there = mx.arange(1000).astype(mx.float32)
    np.array(there)  # what the host reads of a device's array stays with it
    outcome(program, quietly=False)
    gc.collect()
    mx.synchronize()
    active = mx.get_active_memory()
    for n in range(1, MOST * stride, stride):
        step()
        with faults(f"{point}:{rule.format(n)}"):
            error = outcome(program, quietly=True)
            reached = struck(point) > 0
        if error:
            assert reached, f"failed without a fault: {error!r}"
            check_error(error)
        error = None
        np.testing.assert_array_equal(np.array(there), np.arange(1000, dtype=np.float32))
        outcome(program, quietly=False)
        assert lets_go(active), f"memory is lost after {point}:{n}"
        if not reached:
            return (n - 1) // stride
    raise AssertionError(f"{point} is reached more than {MOST * stride} times")
