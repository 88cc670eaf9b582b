"""Shares of corpora: what each method promises, to the pair."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tppc.corpora.sampling import PROPORTIONAL, Sampling, parse_sampling, shares
from tppc.errors import UsageError

ROWS = st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=4), min_size=1, max_size=4)


def of_all(sampling: str, rows: list[list[int]]) -> list[list[Fraction]]:
    """The share of every part in the whole."""
    found = shares(parse_sampling(sampling), rows)
    return [
        [corpus / sum(found.of_corpora) * part / sum(parts) for part in parts]
        for corpus, parts in zip(found.of_corpora, found.of_parts, strict=True)
    ]


@pytest.mark.parametrize("word", ["proportional", "equal", "temperature=2", "temperature=0.5", "weights=1,0.25"])
def test_a_sampling_is_written_as_the_word_it_was_read_from(word: str) -> None:
    class Config(BaseModel):
        sampling: Sampling = PROPORTIONAL

    config = Config.model_validate({"sampling": word})
    assert str(config.sampling) == word
    assert config.model_dump(mode="json") == {"sampling": word}
    assert Config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("sometimes", "should be 'proportional'"),
        ("equal=2", "only temperature and weights take numbers"),
        ("temperature=hot", "'hot' is no number"),
        ("temperature=0", "greater than or equal to 0.05"),
        ("temperature=nan", "finite"),
        ("temperature=1,2", "one temperature"),
        ("weights", "go together"),
        ("weights=1,-1", "greater than 0"),
        ("weights=1,9e9", "less than or equal to 1000000000"),
    ],
)
def test_words_that_mean_nothing_are_refused(word: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"sampling '{word}': .*{reason}.*; choose proportional"):
        parse_sampling(word)
    with pytest.raises(ValidationError):
        Sampling.model_validate({"method": "equal", "weights": [1.0]})


def test_methods_share_as_they_say() -> None:
    rows = [[1000], [600, 300, 100], [1]]
    assert of_all("proportional", rows) == [[Fraction(n, 2001) for n in parts] for parts in rows]
    third, ninth = Fraction(1, 3), Fraction(1, 9)
    assert of_all("equal", rows) == [[third], [ninth, ninth, ninth], [third]]
    # Square roots of 100, 25 and 4.
    assert of_all("temperature=2", [[100], [25, 4]]) == [[Fraction(10, 17)], [Fraction(5, 17), Fraction(2, 17)]]
    assert of_all("temperature=1", rows) == of_all("proportional", rows)
    half = Fraction(1, 2)
    assert of_all("weights=2,1,1", rows)[0] == [half]
    assert of_all("weights=2,1,1", rows)[1] == [Fraction(n, 4000) for n in rows[1]]
    with pytest.raises(UsageError, match="3 corpora need as many positive weights; these are 1, 2"):
        shares(parse_sampling("weights=1,2"), rows)


def test_an_epoch_of_the_all_setting_is_that_of_the_papers_code() -> None:
    """The smaller languages come as often as the largest has pairs."""
    found = shares(parse_sampling("equal"), [[76_000], [3_000], [12_000]])
    assert (found.epoch, found.exact) == (3 * 76_000, False)
    assert shares(PROPORTIONAL, [[76_000], [3_000]]).exact
    assert shares(parse_sampling("weights=1,9"), [[76_000], [3_000]]).epoch == 79_000


@given(ROWS, st.sampled_from(["proportional", "equal", "temperature=1", "temperature=3.7", "temperature=50"]))
def test_an_epoch_is_the_shortest_in_which_every_pair_comes(rows: list[list[int]], word: str) -> None:
    epoch = shares(parse_sampling(word), rows).epoch
    each = [
        (n, share)
        for parts, of_parts in zip(rows, of_all(word, rows), strict=True)
        for n, share in zip(parts, of_parts, strict=True)
    ]
    assert sum(share for _, share in each) == 1
    assert all(share * epoch >= n for n, share in each)
    assert any(share * (epoch - 1) < n for n, share in each)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.floats(1, 100))
def test_a_higher_temperature_is_nearer_to_equal(few: int, many: int, temperature: float) -> None:
    few, many = sorted((few, many))
    cool, warm = (of_all(f"temperature={t}", [[few], [many]]) for t in (temperature, temperature * 2))
    assert Fraction(few, few + many) <= cool[0][0] + Fraction(1, 10**9)
    assert cool[0][0] <= warm[0][0] + Fraction(1, 10**9)
    assert warm[0][0] <= Fraction(1, 2)
