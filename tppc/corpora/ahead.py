"""Make items in background threads, a few ahead of who uses them, in order.

Threads, not processes: what takes the time (a Rust tokeniser, Arrow) lets go of Python's lock, and the items need no
copying. `docs/streaming.md` has the measurement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Ahead(Generic[T]):
    """What the threads and the user share; every attribute is guarded by `changed`."""

    def __init__(self, make: Callable[[int], T], start: int, stop: int, depth: int) -> None:
        self.make, self.stop, self.depth = make, stop, depth
        self.next, self.wanted = start, start  # the number that is made next, and the one that is used next
        self.ready: dict[int, T | BaseException] = {}
        self.left = False
        self.changed = threading.Condition()

    def work(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.left or self.next - self.wanted < self.depth)
                if self.left or self.next >= self.stop:
                    return
                number, self.next = self.next, self.next + 1
            made: T | BaseException
            try:
                made = self.make(number)
            except BaseException as error:
                made = error
            with self.changed:
                self.ready[number] = made
                if isinstance(made, BaseException):
                    self.stop = min(self.stop, number)  # nothing after it will be used
                self.changed.notify_all()

    def take(self, number: int) -> T | BaseException:
        with self.changed:
            self.changed.wait_for(lambda: number in self.ready)
            self.wanted = number + 1
            self.changed.notify_all()
            return self.ready.pop(number)


def ahead(
    make: Callable[[int], T], start: int, stop: int, *, workers: int = 1, depth: int = 4, name: str = "tppc-ahead"
) -> Iterator[T]:
    """`make(i)` for i = start ... stop-1, in order, made by `workers` threads up to `depth` items in advance.

    Args:
        make: is called once for each number, from several threads at a time where there are several workers.
        name: what the threads are called.

    An error of `make(i)` is raised where item i would have come. Leaving the iterator (`close`, or an error of its
    user) ends the threads as soon as the items they are at are made; it waits for that.
    """
    assert workers >= 1, "an item needs a worker"
    assert depth >= 1, "an item must be allowed to be made"
    shared = _Ahead(make, start, stop, depth)
    threads = [threading.Thread(target=shared.work, name=name, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for number in range(start, stop):
            item = shared.take(number)
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        with shared.changed:
            shared.left = True
            shared.changed.notify_all()
        for thread in threads:
            thread.join()
