"""How many rows of each corpus a mixture takes, and which."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tppc.builders.mixture.shares import Lottery, MixSettings, lots, shares


def settings(**values: object) -> MixSettings:
    return MixSettings.model_validate(values)


def test_without_a_total_a_mixture_is_the_largest_in_which_the_weights_hold() -> None:
    rows = [1000, 100, 10]
    assert shares(rows, settings()) == rows
    assert shares(rows, settings(method="equal")) == [10, 10, 10]
    assert shares(rows, settings(method="weights", weights=[1, 1, 0.1])) == [100, 100, 10]
    assert shares(rows, settings(method="temperature", temperature=1)) == rows
    assert shares([10_000, 100], settings(method="temperature", temperature=2)) == [1000, 100]


def test_with_a_total_an_exhausted_corpus_gives_what_it_has_and_the_others_make_up_for_it() -> None:
    assert shares([1000, 100, 10], settings(method="equal", rows=300)) == [190, 100, 10]
    assert shares([1000, 100, 10], settings(rows=111)) == [100, 10, 1]
    assert shares([3, 3], settings(rows=100)) == [3, 3]
    assert shares([1000, 0], settings(method="equal", rows=10)) == [10, 0]


def test_caps_cut_single_corpora() -> None:
    assert shares([1000, 100], settings(caps=[50, None])) == [50, 100]
    assert shares([1000, 100], settings(caps=[50, None], rows=120)) == [50, 70]


@pytest.mark.parametrize("wrong", [{"method": "weights"}, {"weights": [1.0]}, {"temperature": 0}, {"rows": 0}])
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    st.sampled_from(["proportional", "equal", "temperature"]),
    st.none() | st.integers(1, 20_000),
)
def test_no_corpus_gives_more_than_it_has_and_a_total_is_met(rows: list[int], method: str, total: int | None) -> None:
    given_rows = shares(rows, settings(method=method, rows=total))
    assert all(0 <= g <= n for g, n in zip(given_rows, rows, strict=True))
    if total is not None:
        assert sum(given_rows) == min(total, sum(rows))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=400, unique=True), st.integers(0, 2**70), st.data())
def test_exactly_the_lowest_lots_are_taken(keys: list[int], seed: int, data: st.DataObject) -> None:
    drawn = lots(np.array(keys, dtype=np.uint64), seed)
    wanted = data.draw(st.integers(0, len(keys)))
    lottery = Lottery()
    for part in np.array_split(drawn, 3):
        lottery.count(part)
    if lottery.aim(wanted):
        for part in np.array_split(drawn, 3):
            lottery.collect(part)
        limit = lottery.limit()
        assert limit is not None
        assert set(drawn[drawn <= limit].tolist()) == set(sorted(drawn.tolist())[:wanted])
    else:
        assert wanted in (0, len(keys))


def test_lots_are_spread_evenly_and_differ_by_seed() -> None:
    keys = np.arange(100_000, dtype=np.uint64)
    one, two = lots(keys, 0), lots(keys, 1)
    assert len(np.unique(one)) == len(keys)
    below = [int((x < np.uint64(1 << 63)).sum()) for x in (one, two, one ^ two)]
    assert all(abs(b - 50_000) < 1_000 for b in below)
