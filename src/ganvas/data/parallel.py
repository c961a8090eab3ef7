"""A map over threads that keeps the order and never holds more than a few results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def in_order(function: Callable[[T], R], items: Iterable[T], workers: int, ahead: int = 4) -> Iterator[Iterator[R]]:
    """`map(function, items)` on `workers` threads; at most `ahead` results a thread are begun or not taken.

    The threads end with the `with` block. Were that left to the iterator, one that an error interrupts would do it
    whenever a garbage collection finds it, in any thread, also in one that just starts and would then wait for itself.
    """
    pool = ThreadPoolExecutor(workers)

    def results() -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)
