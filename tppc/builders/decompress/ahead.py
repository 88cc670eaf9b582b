"""Run an iterator in a thread of its own, a few items ahead, so that two cores work at once."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_DEPTH = 4
# Seconds after which a thread that runs Python code lets another one in. The maker needs that for an instant between
# two long calls into C; with Python's five milliseconds it would stand still while the taker works on what it has.
_TURN = 0.0001


@contextmanager
def ahead(items: Iterator[T], depth: int = _DEPTH) -> Iterator[Iterator[T]]:
    """Yield an iterator over the same items, of which up to `depth` are made in advance.

    An exception of `items` is raised where its turn comes; leaving the block ends the thread.
    """
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:
            put(error)

    def taken() -> Iterator[T]:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    thread = threading.Thread(target=work, daemon=True)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    thread.start()
    try:
        yield taken()
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(usual)
