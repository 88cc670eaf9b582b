"""Rules that rows pass together: boilerplate, duplicates of one side, near duplicates by their letters.

A rule is two functions: `entries` says what it needs of every row, under the 64-bit key by which rows meet; `drops`
says, of all entries of some keys, which pairs go out. Neither depends on the order in which rows are read.

Of rows that meet, the same one always wins: the one that is written most plainly (see `blemishes`; near duplicates
alone), then the one with the highest source score, then the shorter source id, the first by source id, by order key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tppc.builders.recipe import Dedup
from tppc.builders.select.forms import letter_digests
from tppc.builders.select.shuffle import PAIR
from tppc.corpora.keys import order_keys

_TEXTS = ("src_text", "tgt_text")
_ORDER = ("score", "source_id", "order_key")
_MARKS = r"[\s!?！？؟][!?！？؟]"
_CAPITALS = r"^(?:\P{Ll}*\p{Lu}){2}\P{Ll}*$"


@dataclass(frozen=True)
class Rule:
    """`columns` are those of a row that `entries` reads; `per_row` is how many entries it makes of one."""

    reason: str
    columns: Sequence[str]
    per_row: int
    entries: Callable[[pl.DataFrame], pl.DataFrame]
    drops: Callable[[pl.DataFrame, Dedup], pl.DataFrame]


def blemishes(side: str) -> pl.Expr:
    """What tells a worn copy of a text from a plain one: 1 for capitals alone (two at least), and 1 for each ! or ?
    behind another one or behind a space."""
    text = pl.col(f"{side}_text")
    return text.str.count_matches(_MARKS) + text.str.contains(_CAPITALS).cast(pl.UInt32)


def winner_first(rows: pl.DataFrame, *first: str) -> pl.DataFrame:
    """Rows by the columns `first`, and of equal ones the winner first."""
    plain = [pl.col("blemishes")] if "blemishes" in rows.columns else []
    score = pl.col("score").fill_nan(None).fill_null(float("-inf")) * -1
    return rows.sort(*first, *plain, score, pl.col("source_id").str.len_bytes(), "source_id", "order_key", *PAIR)


def _losers(entries: pl.DataFrame, detail: str) -> pl.DataFrame:
    """All entries of a key but its winner."""
    ordered = winner_first(entries.filter(pl.len().over("key") > 1), "key")
    named = ordered.with_columns(detail=pl.lit(detail) + pl.col("source_id").first().over("key"))
    return named.filter(~pl.col("key").is_first_distinct())


def _unsigned(name: str) -> pl.Expr:
    return pl.col(name).reinterpret(signed=False)


def _both_sides(rows: pl.DataFrame) -> pl.DataFrame:
    sides = [
        rows.select(*PAIR, key=_unsigned(f"{side}_key"), of_source=pl.lit(side == "src")) for side in ("src", "tgt")
    ]
    return pl.concat(sides)


def _boilerplate(entries: pl.DataFrame, dedup: Dedup) -> pl.DataFrame:
    # Pairs are distinct by now, so a text has as many partners as rows.
    partners = pl.len().over("key", "of_source")
    found = entries.with_columns(partners=partners).filter(pl.col("partners") > dedup.max_partners)
    side = pl.when("of_source").then(pl.lit("source")).otherwise(pl.lit("target"))
    detail = pl.format("its {} text has {} partners", side, "partners")
    ordered = found.sort(*PAIR, "of_source", descending=[False, False, True])
    order = pl.Series(order_keys(*(ordered[name].to_numpy() for name in PAIR)))
    return ordered.select(*PAIR, detail=detail).with_columns(order_key=order)


def _one_side(side: str) -> Rule:
    return Rule(
        "duplicate_side",
        (*PAIR, *_ORDER),
        1,
        lambda rows: rows.select(*PAIR, *_ORDER, key=_unsigned(f"{side}_key")),
        lambda entries, dedup: _losers(entries, f"same {side} text as "),
    )


def _by_letters(rows: pl.DataFrame) -> pl.DataFrame:
    src, tgt = (letter_digests(rows[name]) for name in _TEXTS)
    key = pl.Series("key", order_keys(src.view(np.int64), tgt.view(np.int64)))
    return rows.select(*PAIR, *_ORDER, key, blemishes=blemishes("src") + blemishes("tgt"))


RULES = {
    "boilerplate": Rule("boilerplate", PAIR, 2, _both_sides, _boilerplate),
    "side-src": _one_side("src"),
    "side-tgt": _one_side("tgt"),
    "near-letters": Rule(
        "near_duplicate",
        (*PAIR, *_ORDER, *_TEXTS),
        1,
        _by_letters,
        lambda entries, dedup: _losers(entries, "same letters as "),
    ),
}


def rules_of(dedup: Dedup) -> list[str]:
    """The rules that a recipe asks for, in the order in which they run: each sees what those before it left."""
    found = ["boilerplate"] if dedup.max_partners else []
    if dedup.near != "off":
        found.append("near-letters")
    sides = [f"side-{side}" for side in ("src", "tgt") if dedup.sides in (side, "either")]
    return found + sides
