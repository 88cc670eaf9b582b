"""The sources, with the traps of their formats; Tatoeba and WikiMatrix have files of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tppc.builders.build import build
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

EN_HI = [Pair("en", "hi")]


def test_missing_files_and_foreign_names_are_errors(
    wikimatrix: Callable[..., Path], tatoeba: Path, tmp_path: Path
) -> None:
    folder = wikimatrix([(1.2, "The sea is deep.", "समुद्र गहरा है।")])
    with pytest.raises(TppcError, match=r"WikiMatrix\.en-ja\.tsv\.gz: no such file; check --from"):
        build("wikimatrix", [Pair("en", "ja")], origin=str(folder), out=tmp_path / "out")
    with pytest.raises(UsageError, match="name is not that of en-ja"):
        build("wikimatrix", [Pair("en", "ja")], origin=str(folder / "WikiMatrix.en-hi.tsv.gz"), out=tmp_path / "out")
    shutil.rmtree(tatoeba / "per_language" / "hin")
    with pytest.raises(TppcError, match=r"hin_sentences_detailed\.tsv\.bz2: no such file"):
        build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_schema_of_what_comes_out(dump: Path, tmp_path: Path) -> None:
    from tppc.corpora.schema import schema_of

    (corpus,) = build("wikidata", EN_HI, origin=str(dump), out=tmp_path / "out")
    assert corpus.scan("train").collect().columns == schema_of(corpus.manifest.extra_columns).names
    assert corpus.scan("train").collect_schema()["src_key"] == pl.Int64
