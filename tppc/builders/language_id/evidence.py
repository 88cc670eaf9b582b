"""Cheap sure evidence: when the script, the letters and the commonest words of a text leave one language alone.

Most texts need no model: two kana are Japanese, a Devanagari text with है is Hindi and not Marathi or Nepali, an
Arabic text with ة or ال and none of the letters that Persian and Urdu added is Arabic, a Latin text in plain a to z of
which every seventh word is one of the commonest English words is English. What no rule settles stays open. What the
rules cost and save is measured in docs/cleaning.md (`benchmarks/language_id.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl

from tppc.corpora.languages import Language


@dataclass(frozen=True)
class Marks:
    """What tells a language from the others in its script.

    Attributes:
        own: a pattern that only this language's texts hold (and those of `varieties`); never together with `alien`.
        alien: a pattern that no text of the language holds.
        others: patterns of other languages in this script, by their lid.176 codes; one of them speaks for that language
        where nothing of `own` stands beside it.
        varieties: codes that `own` does not tell from the language. also: a pattern that counts with `own`; then one
        match of `own`, two matches of both and one in seven words are needed.
    """

    own: str
    alien: str | None = None
    also: str | None = None
    varieties: tuple[str, ...] = ()
    others: dict[str, str] = field(default_factory=dict)


def _words(words: str) -> str:
    return rf"(?:^|[\s\"'(\[“‘«/-])(?:{'|'.join(words.split())})(?:$|[\s\"')\]”’».,;:!?।॥…/-])"


def _ascii_words(words: str) -> str:
    return rf"(?i-u:\b(?:{'|'.join(words.split())})\b)"


# Words of no other language that is often written in a to z alone: neither Dutch `of`, `we`, `was`, `want`, nor Danish
# `for`, `like`, nor Polish `do`, `my`, nor the name `Said`, which count only beside one of these.
_ENGLISH = (
    "the and with this that you from which were they would could should their there been your when because what these "
    "those where while than it's i'm don't she whose being every other through people many much such only very then "
    "before after between against without within during since until again always never each both another something "
    "nothing first three year years called became become used found came went going know known think never although "
    "however often usually behind near above below among across around early children world government history woman "
    "women mother father friend friends village century building today tomorrow yesterday please thank"
)
_ENGLISH_TOO = (
    "of to for is are was not have has will can how do did if we he his her my our us me into about as at by on or be "
    "in it its an had a some most more two one out up so no made long large time second later old new good day days "
    "school house city town work said like just want need over even still well number university north south east west "
    "river war"
)
_HINDI = "है हैं में और नहीं था थी थे हूँ हूं यह वह इस उस लिए गया गई गए रहा रही रहे करें मैं मुझे आप क्या तुम उसने मैंने"
_MARATHI = (
    "आहे आहेत आणि नाही नाहीत झाले झाला झाली साठी मध्ये तुम्ही तुम्हाला आम्ही मला माझे माझा माझी आपल्या करण्यासाठी होते होईल "
    "किंवा शकत शकता पाहिजे केले असे असेल येथे नका इतर"
)
_NEPALI = (
    "छन् छैन हुन्छ गर्नुहोस् गर्न भएको गरिएको गर्नु पनि यो सक्छ सक्दैन हुनेछ भयो गरिनेछ गर्दा तपाईं तपाईँ तपाईंको तपाईँको हाम्रो "
    "लागि थियो थिए"
)
# The letters of written Arabic and its digits' block aside, everything in the script belongs to other languages.
_NOT_ARABIC = r"[\p{sc=Arabic}&&\p{L}&&[^ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيـ\u0671]]"
# Simplified characters that Japanese does not write.
_SIMPLIFIED = "[这们说为对时现过还没么吗让给从进动关开见话请谢认识车门问间长头发经样东书写爱热闻习乐买卖]"

_MARKS = {
    "en": Marks(_ascii_words(_ENGLISH), alien=r"[\p{L}&&[^a-zA-Z]]", also=_ascii_words(_ENGLISH_TOO)),
    "hi": Marks(
        _words(_HINDI),
        alien="ळ",
        others={
            "mr": rf"{_words(_MARATHI)}|ण्यासाठी|च्या(?:$|\s)",
            "ne": rf"{_words(_NEPALI)}|हरू(?:$|\s|लाई|को|मा)|(?:ने|न्)छ(?:न्|ौं|ौँ|ौ|ु)?(?:$|[\s।.,?!])|(?:^|\s)छ\s?[।.]?$",
        },
    ),
    "ar": Marks(
        r"[ةأإىؤ]|(?:^|\s)[وبفل]?ال",
        alien=_NOT_ARABIC,
        varieties=("arz",),
        others={"ur": "[ٹڈڑں]|ے(?:$|\\s)", "ckb": "[ێۆڕڵ]", "ps": "[ټډړږښګ]", "fa": "[یک].*[پچژگیک]|[پچژگ].*[یک]"},
    ),
    "ja": Marks("[\\p{sc=Hiragana}\\p{sc=Katakana}]", others={"zh": _SIMPLIFIED}),
}
_WORD_SHARE = 0.15


def settled(texts: pl.Series, language: Language, accepted: Collection[str]) -> pl.Series:
    """The lid.176 code that evidence leaves for each text, null where more than one language is open.

    Args:
        accepted: the codes that count as `language`. Where a variety that evidence cannot tell from it does not count,
        nothing is settled as the language itself.
    """
    own, marks = language.lid[0], _MARKS.get(language.lid[0])
    if language.own_script:
        letters = "".join(rf"\p{{sc={name}}}" for name in language.own_script)
        sure = texts.str.contains(rf"[{letters}][^{letters}]*[{letters}]")
    elif marks is not None and set(marks.varieties) <= set(accepted):
        sure = _sure(texts, marks)
    else:
        sure = pl.Series([False]).new_from_index(0, len(texts))
    found = pl.select(code=pl.when(sure).then(pl.lit(own)))["code"]
    if marks is None or not marks.others:
        return found
    # Few texts are left: only they are looked at again.
    left = found.is_null().arg_true()
    text = pl.col("text")
    other = pl.coalesce(
        [pl.lit(None, pl.String), *(pl.when(text.str.contains(p)).then(pl.lit(c)) for c, p in marks.others.items())]
    )
    foreign = pl.when(~text.str.contains(marks.own)).then(other)
    codes = texts.gather(left).to_frame("text").select(code=foreign)["code"]
    return found.scatter(left, codes)


def _sure(texts: pl.Series, marks: Marks) -> pl.Series:
    """Whether the marks speak for the language; each look is at those alone that the one before left."""
    places = texts.str.contains(marks.own).arg_true()
    if marks.alien is not None:
        places = places.filter(~texts.gather(places).str.contains(marks.alien))
    if marks.also is not None:
        some = texts.gather(places)
        both = some.str.count_matches(f"{marks.own}|{marks.also}")
        words = some.str.count_matches(" ") + 1
        places = places.filter((both >= 2) & (both >= words * _WORD_SHARE))
    return pl.Series([False]).new_from_index(0, len(texts)).scatter(places, True)
