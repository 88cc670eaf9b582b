"""Which licences go together, and what they ask for."""

from __future__ import annotations

import itertools

import pytest

from tppc.corpora.licences import allows, combine, duties, needs_attribution
from tppc.errors import TppcError

TATOEBA, MATRIX, WIKIDATA = "LicenseRef-CC-BY-2.0-FR", "CC-BY-SA-3.0", "CC0-1.0"


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        ([WIKIDATA], WIKIDATA),
        ([WIKIDATA, TATOEBA], TATOEBA),
        ([WIKIDATA, TATOEBA, MATRIX], MATRIX),  # share-alike takes attribution in, not the other way round
        ([MATRIX, "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),  # a later version may be used for adaptations
        ([TATOEBA, "CC-BY-4.0"], "CC-BY-4.0"),
        (["CC-BY-NC-4.0", TATOEBA], "CC-BY-NC-4.0"),
        (["CC-BY-NC-SA-4.0", "CC-BY-NC-4.0"], "CC-BY-NC-SA-4.0"),
        (["LicenseRef-mine"], "LicenseRef-mine"),
    ],
)
def test_the_strictest_licence_covers_the_whole(names: list[str], whole: str) -> None:
    for order in itertools.permutations(names):
        assert combine(order) == whole
    assert all(allows(whole, name) for name in names)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([MATRIX, "CC-BY-NC-4.0"], "no commercial use"),
        ([MATRIX, "CC-BY-NC-SA-4.0"], "no commercial use"),
        ([WIKIDATA, "CC-BY-ND-4.0"], "forbids adaptations"),
        ([WIKIDATA, "LicenseRef-mine"], "not known here"),
    ],
)
def test_what_cannot_be_combined_is_refused_with_the_reason(names: list[str], reason: str) -> None:
    with pytest.raises(TppcError, match=reason):
        combine(names)
    assert not allows(names[0], names[1])


def test_share_alike_rows_have_no_place_in_a_corpus_declared_attribution_only() -> None:
    assert not allows(TATOEBA, MATRIX)
    assert not allows(WIKIDATA, TATOEBA)
    assert allows(MATRIX, TATOEBA)


def test_duties_follow_the_licence() -> None:
    assert needs_attribution(TATOEBA)
    assert not needs_attribution(WIKIDATA)
    assert needs_attribution("LicenseRef-mine")  # better one credit too many
    assert "same licence" in duties(MATRIX)
    assert "same licence" not in duties(TATOEBA)
    assert "no commercial" in duties("CC-BY-NC-4.0")
