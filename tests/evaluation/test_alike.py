"""Encoders of one comparison are read alike, and the protocol says how."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tppc.encoders.load import SETTINGS, Encoder, load_encoder, save_encoder
from tppc.errors import UsageError
from tppc.evaluation.alike import describe, differently_read, load_alike
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.protocol import evaluate


@pytest.fixture(scope="module")
def folders(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same weights: plain, as another library would save them; and saved by us with settings of their own."""
    root = tmp_path_factory.mktemp("alike")
    settings = {"trained": {"pooling": "mean", "prefix": "in ", "max_length": 12}, "other": {"pooling": "pooler"}}
    for name in ("plain", "trained", "other"):
        save_encoder(replace(tiny, **settings.get(name, {})), root / name)
    (root / "plain" / SETTINGS).unlink()
    return {name: str(root / name) for name in ("plain", "trained", "other")}


def test_what_the_baseline_leaves_open_is_read_as_the_trained_one_declares(folders: dict[str, str]) -> None:
    found = load_alike({"baseline": folders["plain"], "trained": folders["trained"]})
    assert [(e.pooling, e.prefix, e.max_length) for e in found.values()] == [("mean", "in ", 12)] * 2
    assert describe(found) == "pooling=mean; prefix='in '; max_length=12"
    alone = load_alike({"baseline": folders["plain"]})["baseline"]
    assert (alone.pooling, alone.prefix, alone.max_length) == ("cls", "", 24)


def test_what_the_user_says_goes_for_all_of_them(folders: dict[str, str], tiny: Encoder) -> None:
    given = {"baseline": folders["plain"], "control": tiny, "trained": folders["trained"]}
    found = load_alike(given, pooling="cls", prefix="")
    assert describe(found) == "pooling=cls; max_length=12"
    assert not differently_read(found)


def test_declarations_that_differ_are_kept_and_said(folders: dict[str, str]) -> None:
    found = load_alike({"baseline": folders["other"], "trained": folders["trained"]})
    assert differently_read(found)
    assert describe(found) == (
        "pooling differs: pooler (baseline), mean (trained); prefix differs: '' (baseline), 'in ' (trained); "
        "max_length=12"
    )


def test_a_pooling_that_sentence_transformers_declares_is_kept(folders: dict[str, str], tmp_path: Path) -> None:
    plain = load_encoder(folders["plain"])
    save_encoder(plain, tmp_path)
    (tmp_path / SETTINGS).unlink()
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    found = load_alike({"baseline": str(tmp_path), "trained": folders["trained"]})
    assert (found["baseline"].pooling, found["baseline"].prefix) == ("cls", "in ")


def test_a_pooling_that_one_of_them_lacks_is_a_mistake(tiny: Encoder, folders: dict[str, str]) -> None:
    import copy

    model = copy.deepcopy(tiny.model)
    model.pooler = None
    with pytest.raises(UsageError, match="no pooler layer"):
        load_alike({"baseline": replace(tiny, model=model), "trained": folders["other"]}, pooling="pooler")


def test_the_same_weights_give_the_same_numbers_however_they_were_saved(folders: dict[str, str]) -> None:
    texts = [f"film {letters} very good" for letters in ("ab", "cd", "ef", "gh", "in")]
    pairs = Pairs("c:test", "0", "en", "hi", texts, [f"very {t}" for t in texts], np.arange(5), np.arange(5))
    found = evaluate("retrieval", {"baseline": folders["plain"], "trained": folders["trained"]}, pairs)
    values = {role: [r.value for r in found if r.role == role] for role in ("baseline", "trained")}
    assert values["baseline"] == values["trained"]
    [protocol] = {r.protocol for r in found if r.role != "trivial"}
    assert protocol.endswith("; pooling=mean; prefix='in '; max_length=12")
    said: list[str] = []
    evaluate("retrieval", {"baseline": folders["other"], "trained": folders["trained"]}, pairs, say=said.append)
    assert "pooling differs: pooler (baseline), mean (trained)" in said[0]
