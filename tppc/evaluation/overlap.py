"""Was the encoder trained on what it is tested on? Counted by keys, where its run and its corpora are still there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import polars as pl

from tppc.corpora.corpus import Corpus
from tppc.errors import TppcError


def overlap_notes(encoder: str, corpus: Corpus, split: str) -> list[str]:
    """One sentence for each training corpus that shares texts with `split` of `corpus`; none for a foreign encoder.

    Args:
        encoder: its folder; the run's `config.toml` beside it names the corpora it was trained on.
    """
    config = Path(encoder).parent / "config.toml"
    if not config.is_file():
        return []
    tested = corpus.scan(split).select("src_key", "tgt_key").collect()
    notes = []
    for entry in tomllib.loads(config.read_text("utf-8")).get("corpora", []):
        try:
            trained = Corpus(entry["path"])
        except TppcError:
            notes.append(
                f"{encoder} was trained on {entry['path']}, which is not there: overlap with the test is not known"
            )
            continue
        keys = trained.scan("train").select("src_key", "tgt_key").collect()
        shared = tested.filter(
            pl.col("src_key").is_in(keys["src_key"].implode()) | pl.col("tgt_key").is_in(keys["tgt_key"].implode())
        ).height
        if shared:
            notes.append(
                f"LEAK: {shared:,} of {tested.height:,} tested pairs share a text with {trained.path}, on which "
                f"{encoder} was trained; build with --holdout, and train on that corpus"
            )
    return notes
