"""Segments -> rows of each pair, and what became none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tppc.builders.sources.base import Partition, RawBatch, Refused, frame
from tppc.builders.sources.wikidata.segments import Finished, refusals
from tppc.builders.sources.wikidata.wanted import ANY_LANGUAGE, INTERNAL, Wanted
from tppc.corpora.languages import Pair

LICENCE = "CC0-1.0"
EXTRA = {"label_from_mul": pl.String, "instance_of": pl.String}
_ALIASES = 10  # a side


def read(partition: Partition) -> Iterator[RawBatch]:
    """Rows of all pairs from the segments of a partition."""
    wanted = Wanted.of(partition.pairs, partition.options)
    roles = sorted(role for role in partition.files if role.endswith(".json"))
    parts = [
        Finished(Path(partition.files[role.removesuffix("json") + "parquet"]), Path(partition.files[role]))
        for role in roles
    ]
    notes = [part.read() for part in parts]
    for part in parts:
        items = pl.read_parquet(part.items)
        for pair in wanted.pairs:
            yield _rows(items, pair, wanted, partition.options)
    counts: Counter[str] = Counter()
    for one in notes:
        counts.update(one["counts"])
    for pair in wanted.pairs:
        listed, unlisted = refusals(wanted, notes, str(pair))
        words = {"not an item", "items", *(f"items with {lack.words}" for lack in wanted.lacks(pair))}
        found = {name: count for name, count in counts.items() if name in words and count}
        yield RawBatch(pair, frame({}, EXTRA), listed, found, unlisted)


def _rows(items: pl.DataFrame, pair: Pair, wanted: Wanted, options: dict[str, Any]) -> RawBatch:
    """The items that have all that the pair needs: rows, or refused for what they are."""
    codes = [side.wikidata for side in pair.languages]
    labels = [pl.coalesce(f"label:{code}", f"label:{ANY_LANGUAGE}") for code in codes]
    needed = [*(labels if wanted.labels else []), *_descriptions(wanted, codes)]
    items = items.filter(pl.all_horizontal(each.is_not_null() for each in needed))
    from_mul = [pl.col(f"label:{code}").is_null() if wanted.labels else pl.lit(False) for code in codes]
    items = items.with_columns(
        src_from_mul=from_mul[0], tgt_from_mul=from_mul[1], src_label=labels[0], tgt_label=labels[1]
    )
    refused, keep = _refused(items, options)
    kept = items.filter(pl.Series(keep, dtype=pl.Boolean))
    names = ("src", "tgt")
    texts = {name: _text(pl.col(f"{name}_label"), code, wanted) for name, code in zip(names, codes, strict=True)}
    common = {
        "licence": pl.lit(LICENCE),
        "instance_of": pl.col("classes"),
        "label_from_mul": pl.when("src_from_mul").then(pl.lit("src")).when("tgt_from_mul").then(pl.lit("tgt")),
    }
    rows = kept.select(source_id=pl.col("id"), src_text=texts["src"], tgt_text=texts["tgt"], **common)
    parts = [rows]
    counts = {"items that give a pair": kept.height} if kept.height else {}
    if wanted.aliases:
        for name, code in zip(names, codes, strict=True):
            alias = pl.col("alias")
            number = pl.int_range(1, pl.len() + 1).over("id").cast(pl.String)
            each = (
                kept.with_columns(alias=pl.col(f"alias:{code}").list.head(_ALIASES))
                .explode("alias")
                .filter(alias.is_not_null())
            )
            sides = {**texts, name: _text(alias, code, wanted)}
            parts.append(
                each.select(
                    source_id=pl.concat_str("id", pl.lit(f"#{name}"), number),
                    src_text=sides["src"],
                    tgt_text=sides["tgt"],
                    **{**common, "label_from_mul": _other_side(name)},
                )
            )
        if made := sum(part.height for part in parts[1:]):
            counts["pairs of an alias"] = made
    columns = pl.concat(parts).to_dict(as_series=False)
    return RawBatch(pair, frame(columns, EXTRA), refused, counts)


def _descriptions(wanted: Wanted, codes: list[str]) -> list[pl.Expr]:
    return [pl.col(f"description:{code}") for code in codes] if wanted.descriptions else []


def _text(label: pl.Expr, code: str, wanted: Wanted) -> pl.Expr:
    parts = [*([label] if wanted.labels else []), *_descriptions(wanted, [code])]
    return pl.concat_str(parts, separator=" ")


def _other_side(name: str) -> pl.Expr:
    """In a pair of an alias only the other side's label can come from `mul`."""
    other = "tgt" if name == "src" else "src"
    return pl.when(f"{other}_from_mul").then(pl.lit(other))


def _refused(items: pl.DataFrame, options: dict[str, Any]) -> tuple[list[Refused], list[bool]]:
    """Items that are complete and still give no pair, and for every item whether it does."""
    refused, keep = [], []
    wanted = set(options["classes"])
    columns = items.select("id", "classes", "src_from_mul", "tgt_from_mul", f"label:{ANY_LANGUAGE}")
    for identifier, classes, src, tgt, label in columns.iter_rows():
        mine = set(classes.split(" ")) if classes else set()
        internal = sorted(mine & INTERNAL) if options["exclude_internal"] else []
        if internal:
            refused.append(Refused("wikimedia_internal", identifier, f"instance of {' '.join(internal)}"))
        elif wanted and not mine & wanted:
            refused.append(Refused("other_class", identifier, f"instance of {classes or 'nothing'}"))
        elif src and tgt:
            refused.append(Refused("both_labels_mul", identifier, label))
        else:
            keep.append(True)
            continue
        keep.append(False)
    return refused, keep
