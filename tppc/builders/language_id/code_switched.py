"""Code-switched texts: both languages of a pair in one text.

In two scripts it is seen by the letters: each language has at least `share` of them (counted in letters of English
length), and the other language has at least two words; of a Latin part only words in small letters count, since a name
(`Windows Server`) is no second language. In one script it is seen by the model, which finds one language of the pair
in the first third of the words and the other in the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tppc.corpora.languages import Language

LABEL = "mixed"
_WORDS = 2


def parts(texts: pl.Series, own: Language, other: Language, share: float) -> pl.DataFrame:
    """Columns `mixed` (whether a text is code-switched by its scripts) and `text` (then its own language's part, else
    the whole). Languages that share a script are never told apart here."""
    frame = pl.DataFrame({"text": texts, "mixed": pl.Series([False]).new_from_index(0, len(texts))})
    if not own.scripts or not other.scripts or set(own.scripts) & set(other.scripts):
        return frame
    mine, theirs = (_letters(language) for language in (own, other))
    # Most texts hold letters of one script alone and need no counting.
    both = (texts.str.contains(mine) & texts.str.contains(theirs)).arg_true()
    if both.len() == 0:
        return frame
    word = r"(?:^|[^\p{L}])\p{Ll}{2,}" if other.scripts == ("Latin",) else rf"{theirs}{{2,}}"
    counted = frame[both].with_columns(
        mine=pl.col("text").str.replace_all(rf"[^{mine}]+", "").str.len_chars() / own.length,
        theirs=pl.col("text").str.replace_all(rf"[^{theirs}]+", "").str.len_chars() / other.length,
        # What is left of the text is in the own script, with the marks that belong to it.
        part=pl.col("text").str.replace_all(rf"{theirs}+", " ").str.replace_all(" +", " "),
        words=pl.col("text").str.count_matches(word),
    )
    low = pl.min_horizontal("mine", "theirs")
    judged = counted.select(
        mixed=(pl.col("words") >= _WORDS) & (low >= share * (pl.col("mine") + pl.col("theirs"))),
        part="part",
        text="text",
    ).select("mixed", text=pl.when("mixed").then("part").otherwise("text"))
    return frame.select(
        text=frame["text"].scatter(both, judged["text"]), mixed=frame["mixed"].scatter(both, judged["mixed"])
    )


def _letters(language: Language) -> str:
    return "[" + "".join(rf"\p{{sc={name}}}" for name in language.scripts) + "]"


def ends(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first and the last third of the words of each text."""
    words = [text.split() for text in texts]
    thirds = [max(1, len(w) // 3) for w in words]
    return (
        [" ".join(w[:third]) for w, third in zip(words, thirds, strict=True)],
        [" ".join(w[-third:]) for w, third in zip(words, thirds, strict=True)],
    )
