"""Threads that read files side by side."""

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

_T = TypeVar("_T")
_R = TypeVar("_R")
_PIECES = 8  # for each thread: few enough to cost nothing, enough that none waits long for the last one


def side_by_side(
    function: Callable[[_T], _R], items: Iterable[_T], weight: Callable[[_T], int] | None = None
) -> list[_R]:
    """Return what `function` returns for each of `items`, in their order, computed by several threads.

    There is one thread more than there are processors; the caller's is one of them. The error of the first
    item that has one comes out; after it no more are begun than are in work. With a `weight`, the heaviest
    are begun first, one at a time, so that none of the threads is left alone with a long one; of several
    errors that of the first item that was begun comes out then.
    """
    every = list(items)
    threads = (os.cpu_count() or 1) + 1
    size = -(-len(every) // (threads * _PIECES)) or 1
    order = list(range(len(every)))
    if weight is not None:
        weights = list(map(weight, every))
        order.sort(key=lambda number: -weights[number])  # equal ones stay in their order
        size = 1
    starts = iter(range(0, len(every), size))
    done: list[_R | None] = [None] * len(every)
    errors: dict[int, BaseException] = {}

    def work() -> None:
        for start in starts:  # each number goes to one thread
            if errors:
                return
            try:
                for number in order[start : start + size]:
                    done[number] = function(every[number])
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
    return cast("list[_R]", done)


class _Ahead(Generic[_T, _R]):
    """What `ahead` and its threads share, under one lock."""

    def __init__(self, function: Callable[[_T], _R], items: Sequence[_T], most: int) -> None:
        self._function = function
        self._items = items
        self._most = most
        self._changed = threading.Condition()
        self._done: dict[int, _R | BaseException] = {}
        self._begun = self._taken = 0
        self._stopped = False

    def work(self) -> None:
        """Compute one after another until there are no more, or nobody wants them."""
        while (number := self._next()) is not None:
            try:
                found: _R | BaseException = self._function(self._items[number])
            except BaseException as error:  # a signal's too
                found = error
            with self._changed:
                self._done[number] = found
                self._changed.notify_all()

    def _next(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended() or self._begun < self._taken + self._most)
            if self._ended():
                return None
            self._begun += 1
            return self._begun - 1

    def _ended(self) -> bool:
        return self._stopped or self._begun == len(self._items)

    def take(self, number: int) -> _R:
        """Wait for a result and give it away, or raise its error."""
        with self._changed:
            self._changed.wait_for(lambda: number in self._done)
            found = self._done.pop(number)
            self._taken += 1
            self._changed.notify_all()
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def ahead(function: Callable[[_T], _R], items: Sequence[_T], most: int = 16) -> Generator[_R, None, None]:
    """Yield what `function` returns for each of `items`, in their order, computed by threads meanwhile.

    They are at most `most` items ahead of the caller, who so has no more than these in memory. The error of
    an item comes out in its place. When the caller goes no further, no more are begun than are in work.
    """
    shared = _Ahead(function, items, most)
    started: list[threading.Thread] = []
    try:
        for _ in range(min(os.cpu_count() or 1, len(items), most)):
            # A daemon: a signal may come where it is started but not known here, and a process must end.
            thread = threading.Thread(target=shared.work, daemon=True)
            thread.start()
            started.append(thread)
        for number in range(len(items)):
            yield shared.take(number)
    finally:
        shared.stop()
        for thread in started:
            thread.join()


@contextmanager
def meanwhile(function: Callable[[], _R]) -> Iterator[Callable[[], _R]]:
    """Run `function` in a thread; what is yielded waits for it, and returns its result or raises its error.

    At the end of the block it has come to its end, too.
    """
    shared = _Ahead(lambda _: function(), (None,), 1)
    thread = threading.Thread(target=shared.work)
    thread.start()
    try:
        yield lambda: shared.take(0)
    finally:
        thread.join()
