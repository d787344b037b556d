"""Threads that read files side by side."""

import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_PIECES = 8  # for each thread: few enough to cost nothing, enough that none waits long for the last one


def side_by_side(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Return what `function` returns for each of `items`, in their order, computed by several threads.

    There is one thread more than there are processors; the caller's is one of them. The error of the first
    item that has one comes out; after it no more are begun than are in work.
    """
    every = list(items)
    threads = (os.cpu_count() or 1) + 1
    size = -(-len(every) // (threads * _PIECES)) or 1
    starts = iter(range(0, len(every), size))
    done: dict[int, list[_R]] = {}
    errors: dict[int, BaseException] = {}

    def work() -> None:
        for start in starts:  # each number goes to one thread
            if errors:
                return
            try:
                done[start] = list(map(function, every[start : start + size]))
            except BaseException as error:  # a signal's too
                errors[start] = error

    others = [threading.Thread(target=work) for _ in range(min(threads - 1, len(every) // size))]
    for thread in others:
        thread.start()
    work()
    for thread in others:
        thread.join()
    if errors:
        # Pieces are begun in order and worked to their end, so all before this one are done.
        raise errors[min(errors)]
    return [found for _, part in sorted(done.items()) for found in part]
