"""In which Unicode script most letters of a text are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from tppc.corpora.languages import SCRIPTS, Language

NO_LETTER, OTHER = "none", "other"


def count_scripts(texts: pl.Series, language: Language) -> Counter[str]:
    """Texts by the script of most of their letters: `none` for a text without letters, `other` for one whose letters
    are in a script that tppc has no name for. Letters that all scripts share (ー) count nowhere; of two scripts with as
    many letters the first one wins, in the order of the language's own scripts, then of `SCRIPTS`.
    """
    found = Counter[str]()
    if len(language.scripts) == 1:  # most texts hold letters of this script alone: two looks settle them
        (own,) = language.scripts
        foreign = texts.str.contains(rf"[\p{{L}}--\p{{sc={own}}}--\p{{sc=Common}}]")
        settled = texts.str.contains(rf"[\p{{L}}&&\p{{sc={own}}}]") & ~foreign
        found[own] = int(settled.sum())
        texts = texts.filter(~settled)
    letters = texts.str.replace_all(r"[^\p{L}]+", "").str.replace_all(r"\p{sc=Common}+", "")
    empty = letters.str.len_bytes() == 0
    found[NO_LETTER] = int(empty.sum())
    letters = letters.filter(~empty)
    # Most texts are for more than a half in a script of their language, which settles them: one look, not forty.
    counted = _counted(letters, language.scripts)
    settled = counted["best"] * 2 > counted["letters"]
    _tally(found, counted.filter(settled))
    others = [name for name in SCRIPTS if name not in language.scripts]
    _tally(found, _counted(letters.filter(~settled), [*language.scripts, *others]))
    return Counter({name: count for name, count in found.items() if count})


def _counted(letters: pl.Series, scripts: Sequence[str]) -> pl.DataFrame:
    """For each text: its letters, the script of most of them, and how many these are."""
    frame = pl.DataFrame({"text": letters})
    if not scripts:
        return frame.select(letters=pl.col("text").str.len_chars(), script=pl.lit(OTHER), best=pl.lit(0))
    total = pl.col("text").str.len_chars()
    counts = [total - pl.col("text").str.replace_all(rf"\p{{sc={name}}}+", "").str.len_chars() for name in scripts]
    names = pl.lit(pl.Series(scripts, dtype=pl.String).implode())
    found = frame.select(letters=total, counts=pl.concat_list(counts))
    which, best = pl.col("counts").list.arg_max(), pl.col("counts").list.max()
    script = pl.when(best > 0).then(names.list.get(which)).otherwise(pl.lit(OTHER))
    return found.select("letters", script=script, best=best)


def _tally(found: Counter[str], counted: pl.DataFrame) -> None:
    found.update(dict(counted["script"].value_counts().iter_rows()))
