"""Items come in order whatever the threads do; errors and leaving reach both sides."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.corpora.ahead import ahead


def running(name: str) -> int:
    return sum(t.name == name for t in threading.enumerate())


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 5),
    count=st.integers(0, 40),
    workers=st.integers(1, 5),
    depth=st.integers(1, 7),
    slow=st.sets(st.integers(0, 45), max_size=4),
)
def test_items_come_once_each_and_in_order(start: int, count: int, workers: int, depth: int, slow: set[int]) -> None:
    made: list[int] = []

    def make(number: int) -> int:
        if number in slow:
            time.sleep(0.002)  # later ones are ready before it
        made.append(number)
        return number * number

    stop = start + count
    assert list(ahead(make, start, stop, workers=workers, depth=depth)) == [i * i for i in range(start, stop)]
    assert sorted(made) == list(range(start, stop))


def test_workers_work_at_the_same_time() -> None:
    together = threading.Barrier(3)
    assert list(ahead(lambda i: together.wait(30) >= 0 and i, 0, 6, workers=3, depth=3)) == list(range(6))


def test_no_more_than_depth_items_are_made_before_they_are_used() -> None:
    made: list[int] = []
    ready = threading.Semaphore(0)

    def make(number: int) -> int:
        made.append(number)
        ready.release()
        return number

    items = ahead(make, 0, 100, workers=4, depth=3)
    assert next(items) == 0
    for expected in range(1, 20):
        while len(made) < expected + 3:  # what may be made is made
            assert ready.acquire(timeout=30)
        assert sorted(made) == list(range(expected + 3))
        assert next(items) == expected
    items.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_is_raised_where_its_item_would_have_come(workers: int) -> None:
    def make(number: int) -> int:
        if number in (5, 7):
            raise OSError(f"the disk is gone at {number}")
        return number

    seen = []
    with pytest.raises(OSError, match="gone at 5"):
        seen.extend(ahead(make, 2, 50, workers=workers, depth=6, name="tppc-test-error"))
    assert seen == [2, 3, 4]
    assert running("tppc-test-error") == 0


def test_leaving_early_ends_the_threads() -> None:
    made = []
    items = ahead(lambda i: made.append(i) or i, 0, 10**9, workers=3, name="tppc-test-leave")
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    assert running("tppc-test-leave") == 3
    items.close()  # type: ignore[attr-defined]
    assert running("tppc-test-leave") == 0
    assert len(made) <= 3 + 4 + 3

    def use() -> None:
        for number in ahead(lambda i: i, 0, 10**9, workers=2, name="tppc-test-leave"):
            raise ValueError(f"no use for {number}")

    with pytest.raises(ValueError, match="no use for 0"):
        use()
    assert running("tppc-test-leave") == 0
