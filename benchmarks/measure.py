"""Time code fairly on a busy machine, and measure the machine's limits.

Our code and the reference alternate, so that other load slows both; the ratio is computed for each turn, and its range
is reported. The limit is also measured between the turns.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from asdlib.compute import Compute


def compare(
    work: str,
    ours: Callable,
    reference: Callable | float,
    *,
    by: str,
    goal: float,
    repeats: int = 5,
    limit: Callable[[], float] | None = None,
    amount: float = 0.0,
    times: float = 1.0,
) -> dict:
    """Compare our code with a reference, and return one row of the table.

    Args:
        work: Description of the work.
        ours: Function that does the work.
        reference: Function that does the work in the usual way, or the seconds that it may take.
        by: Description of the reference.
        goal: Intended ratio.
        repeats: Number of turns, after one that is not counted.
        limit: Function that measures the limit of the machine, in units of ``amount`` per second.
        amount: Number of floating-point operations or bytes that ``ours`` needs.
        times: How often ``ours`` does the work that ``reference`` does once.

    Returns:
        Medians in seconds, the median, smallest and largest ratio, and the share of the limit (NaN without one).
    """
    ours()
    if callable(reference):
        reference()
    turns = [
        (seconds(ours), seconds(reference) if callable(reference) else reference, limit() if limit else np.nan)
        for _ in range(repeats)
    ]
    mine, theirs, most = np.array(turns).T
    theirs = times * theirs
    ratio = theirs / mine
    row = {
        "work": work,
        "reference": by,
        "ours_seconds": float(np.median(mine)),
        "reference_seconds": float(np.median(theirs)),
        "ratio": float(np.median(ratio)),
        "low": float(ratio.min()),
        "high": float(ratio.max()),
        "goal": goal,
        "share_of_limit": float(np.median(amount / mine / most)),
    }
    print(
        f"{work}: {row['ours_seconds']:.3f} s, {by}: {row['reference_seconds']:.3f} s; {row['ratio']:.1f} times "
        f"({row['low']:.1f} to {row['high']:.1f}; goal {goal:g}); share of the limit {row['share_of_limit']:.0%}",
        flush=True,
    )
    return row


def seconds(do: Callable) -> float:
    """Return the wall time of one call, including what it leaves to a GPU."""
    synchronize()
    began = time.perf_counter()
    do()
    synchronize()
    return time.perf_counter() - began


def synchronize() -> None:
    """Wait for all GPU work; does nothing without a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def step(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """Return a function that runs a training step: loss, gradient, update."""

    def do() -> None:
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return do


def precision(compute: Compute) -> torch.dtype:
    """Return the type in which the matrix products of a training are computed."""
    return getattr(torch, compute.precision)


def matrix_rate(dtype: torch.dtype, size: int = 2048, device: torch.device | str = "cpu") -> float:
    """Return the floating-point operations per second of a large matrix product."""
    one, other = torch.randn(2, size, size, device=device).to(dtype)
    one @ other
    return 2 * size**3 / min(seconds(lambda: one @ other) for _ in range(3))


def copy_rate(megabytes: int = 256) -> float:
    """Return the bytes per second that a large copy reads and writes."""
    one = torch.ones(megabytes << 18)
    other = torch.empty_like(one)
    return 2 * one.nbytes / min(seconds(lambda: other.copy_(one)) for _ in range(3))


def operations(do: Callable) -> int:
    """Count operations of matrix products, convolutions and attention in one call, including the backward pass."""
    with FlopCounterMode(display=False) as counter:
        do()
    return counter.get_total_flops()
