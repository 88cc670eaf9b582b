"""Step 4, `identify`: language ID, the costly columns, once, on what the cheap filters and dedup left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tppc.builders.clean import bucket_name, write_funnel
from tppc.builders.lid import identify as identify_texts
from tppc.builders.lid import known_languages
from tppc.builders.recipe import LanguageId
from tppc.builders.rejects import Rejects
from tppc.corpora.languages import Language, parse_pair
from tppc.corpora.manifest import Funnel


def identify(folder: Path, part: str, bucket: int, pair: str, settings: dict[str, Any]) -> None:
    """Add the language-ID columns to a bucket that `merge` made, and refuse rows in another language."""
    recipe = LanguageId.model_validate(settings)
    path = Path(part) / bucket_name(bucket)
    rejects, kept, refused = Rejects(), 0, 0
    if path.is_file():
        rows = pl.read_parquet(path)
        src, tgt = parse_pair(pair).languages
        wrong: list[pl.Expr] = []
        for side, language in (("src", src), ("tgt", tgt)):
            rows = rows.with_columns(_verdicts(rows[f"{side}_text"], side, language, recipe))
            wrong.append(pl.col(f"{side}_wrong"))
        detail = pl.format(
            "src {} {}, tgt {} {}", *(_shown(f"{s}_{c}") for s in ("src", "tgt") for c in ("lid", "lid_score"))
        )
        out = rows.filter(pl.any_horizontal(wrong)).with_columns(reason=pl.lit("language"), detail=detail)
        rows = rows.filter(~pl.any_horizontal(wrong)).drop("src_wrong", "tgt_wrong")
        kept, refused = rows.height, out.height
        rejects.add_rows(out)
        rows.write_parquet(folder / bucket_name(bucket), compression_level=1)
    write_funnel(
        folder, Funnel(read=kept + refused, rejected={"language": refused} if refused else {}, kept={"train": kept})
    )
    rejects.save(folder / "rejects.tsv")


def _shown(column: str) -> pl.Expr:
    value = pl.col(column)
    return (value.round(2) if column.endswith("score") else value).cast(pl.String).fill_null("-")


def _verdicts(texts: pl.Series, side: str, language: Language, recipe: LanguageId) -> list[pl.Series]:
    """Columns `<side>_lid`, `<side>_lid_score`, `<side>_wrong`; texts that are too short, or in a language that
    the model does not know, stay null and pass."""
    letters = texts.str.replace_all(r"[^\p{L}\p{M}]+", "").str.len_chars()
    able = recipe.enabled and not known_languages().isdisjoint(language.lid)
    none = pl.Series([False] * len(texts), dtype=pl.Boolean)
    ask = letters >= recipe.min_letters * language.length if able else none
    own = "".join(rf"\p{{sc={name}}}" for name in language.own_script)
    by_script = texts.str.contains(f"[{own}]") if own else none
    verdicts = iter(identify_texts(texts.filter(ask).to_list(), language.lid))
    labels: list[str | None] = []
    scores: list[float | None] = []
    wrong: list[bool] = []
    for asked, sure in zip(ask, by_script, strict=True):
        verdict = next(verdicts) if asked else None
        labels.append(verdict.label if verdict else None)
        scores.append(round(verdict.score, 4) if verdict else None)
        wrong.append(
            verdict is not None
            and not sure
            and verdict.label not in language.lid
            and verdict.expected < recipe.max_expected
            and verdict.score >= recipe.min_other
        )
    return [
        pl.Series(f"{side}_lid", labels, pl.String),
        pl.Series(f"{side}_lid_score", scores, pl.Float32),
        pl.Series(f"{side}_wrong", wrong, pl.Boolean),
    ]
