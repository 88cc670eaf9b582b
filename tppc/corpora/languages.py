"""Languages: one canonical BCP-47 code each, and what every source calls it.

A code of a source is never derived by slicing another code (`jpn`[:2] is `jp`): the table says it, or `langcodes` does
for the regular cases (ISO 639-3 for Tatoeba).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tppc.errors import UsageError

# Unicode scripts by their ISO 15924 tag, as regex property names. A language whose script is not listed is not
# judged by its script.
_SCRIPTS_OF_TAG = {
    "Jpan": ("Han", "Hiragana", "Katakana"),
    "Kore": ("Hangul", "Han"),
    "Hans": ("Han",),
    "Hant": ("Han",),
    "Latn": ("Latin",),
    "Arab": ("Arabic",),
    "Deva": ("Devanagari",),
    "Cyrl": ("Cyrillic",),
    "Grek": ("Greek",),
    "Hebr": ("Hebrew",),
    "Thai": ("Thai",),
    "Beng": ("Bengali",),
    "Taml": ("Tamil",),
    "Telu": ("Telugu",),
    "Gujr": ("Gujarati",),
    "Guru": ("Gurmukhi",),
    "Knda": ("Kannada",),
    "Mlym": ("Malayalam",),
    "Geor": ("Georgian",),
    "Armn": ("Armenian",),
    "Ethi": ("Ethiopic",),
    "Khmr": ("Khmer",),
    "Laoo": ("Lao",),
    "Mymr": ("Myanmar",),
    "Orya": ("Oriya",),
    "Sinh": ("Sinhala",),
    "Tibt": ("Tibetan",),
    "Thaa": ("Thaana",),
    "Olck": ("Ol_Chiki",),
    "Tfng": ("Tifinagh",),
    "Cher": ("Cherokee",),
    "Mong": ("Mongolian",),
    "Cans": ("Canadian_Aboriginal",),
    "Syrc": ("Syriac",),
    "Nkoo": ("Nko",),
    "Yiii": ("Yi",),
}
#: Every script that tppc tells from others.
SCRIPTS = tuple(dict.fromkeys(name for names in _SCRIPTS_OF_TAG.values() for name in names))

# Tatoeba's code where it is not the ISO 639-3 code of the canonical tag (LanguagesLib.php of the site).
_TATOEBA = {
    "ar": "ara",
    "zh": "cmn",
    "fa": "pes",
    "ms": "zsm",
    "et": "est",
    "lv": "lvs",
    "sw": "swh",
    "nb": "nob",
    "az": "aze",
    "uz": "uzb",
    "sq": "sqi",
    "yi": "yid",
    "ne": "npi",
    "mn": "mon",
    "ku": "kmr",
    "qu": "que",
    "no": "nob",
    "fil": "tgl",
}
_WIKIDATA = {"no": "nb", "sr-Latn": "sr-el", "sr-Cyrl": "sr-ec", "fil": "tl"}
# By tag, then by its language: CLDR makes `sr-Latn` of Serbo-Croatian (`sh`), which has a Wikipedia of its own.
_WIKIMATRIX = {"nb": "no", "fil": "tl", "sr-Latn": "sh", "nds-NL": "nds_nl"}
# OPUS has a code for a region where a corpus tells regions apart, spelt as that corpus does; these are the usual ones.
_OPUS = {"zh-Hans": "zh_cn", "zh-Hant": "zh_tw", "fil": "tl"}
# Written in more than one script.
_SCRIPTS = {"sr": ("Cyrillic", "Latin"), "uz": ("Latin", "Cyrillic"), "az": ("Latin", "Cyrillic", "Arabic")}
# What fastText's lid.176 answers for a language, best first; the first is the name proper, the rest count as right too.
_LID = {
    "ar": ("ar", "arz"),
    "arz": ("arz", "ar"),
    "nb": ("no", "nn"),
    "no": ("no", "nn"),
    "fil": ("tl",),
    "sr": ("sr", "sh", "bs", "hr"),
    "hr": ("hr", "sh", "bs", "sr"),
    "bs": ("bs", "sh", "hr", "sr"),
}
# Scripts that one language alone uses: a text that holds some of it is in that language, whatever a model says.
_OWN_SCRIPT = {
    "ja": ("Hiragana", "Katakana"),
    "ko": ("Hangul",),
    "th": ("Thai",),
    "ka": ("Georgian",),
    "hy": ("Armenian",),
    "el": ("Greek",),
    "ta": ("Tamil",),
    "te": ("Telugu",),
    "kn": ("Kannada",),
    "ml": ("Malayalam",),
    "gu": ("Gujarati",),
    "pa": ("Gurmukhi",),
    "or": ("Oriya",),
    "si": ("Sinhala",),
    "km": ("Khmer",),
    "lo": ("Lao",),
}
# English names of the languages asked for most, as CLDR has them: `langcodes` would read the names of all languages in
# all languages for one of these, which takes as long as a hundred thousand rows.
_NAMES = {
    "ar": "Arabic", "arz": "Egyptian Arabic", "bn": "Bangla", "cs": "Czech", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "mr": "Marathi",
    "ne": "Nepali", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_ARABIC_VARIETIES = ("ary", "arq", "acm", "afb", "apc", "ajp", "ayl", "aeb", "acx")

# Characters a text of the language needs where English needs one, measured on short everyday sentences (medians of
# Tatoeba pairs); what is not listed is taken as 1. The length-ratio filter starts from it.
_LENGTH = {
    "hi": 1.0,
    "ja": 0.5,
    "ar": 0.79,
    "zh": 0.30,
    "ko": 0.50,
    "he": 0.75,
    "th": 0.95,
    "fa": 0.90,
    "arz": 0.79,
}


@dataclass(frozen=True)
class Language:
    """One language. `scripts` are the Unicode scripts it is written in (none: not known), `own_script` those that
    no other language uses; `length` is characters per English character; `lid` are the answers of lid.176 that
    count as right."""

    code: str
    name: str
    scripts: tuple[str, ...]
    length: float
    tatoeba: str
    wikidata: str
    wikimatrix: str
    opus: str
    lid: tuple[str, ...]
    own_script: tuple[str, ...]


@lru_cache(maxsize=1024)
def language(code: str) -> Language:
    """Look up a language by its canonical code (`en`, `hi`, `ja`, `arz`).

    Raises `UsageError` for a code that BCP-47 does not know, or one that is not canonical (`jpn`, `EN`), naming the
    canonical one.
    """
    import langcodes

    try:
        tag = langcodes.Language.get(code, normalize=True)
    except ValueError:  # langcodes' own errors are such
        raise UsageError(f"unknown language {code!r}: use a BCP-47 code such as en, hi, ja, ar or arz") from None
    canonical = str(tag)
    if not tag.is_valid() or tag.language in (None, "und"):
        raise UsageError(f"unknown language {code!r}: use a BCP-47 code such as en, hi, ja, ar or arz")
    if canonical != code:
        raise UsageError(f"{code!r} is not the canonical code of its language: write {canonical!r}")
    base = str(tag.language)  # `pt` of `pt-BR`: what sources that do not tell regions or scripts apart call it
    variety = base in _ARABIC_VARIETIES
    script_tag = tag.script or tag.maximize().script
    scripts = _SCRIPTS_OF_TAG.get(script_tag or "", ())
    return Language(
        code=code,
        name=_NAMES.get(code) or tag.display_name(),
        scripts=scripts if tag.script else _SCRIPTS.get(base, scripts),
        length=_LENGTH.get(base, _LENGTH["ar"] if variety else 1.0),
        tatoeba=_TATOEBA.get(base) or _alpha3(tag),
        wikidata=_WIKIDATA.get(code, code.lower()),
        wikimatrix=_WIKIMATRIX.get(code) or _WIKIMATRIX.get(base, base),
        opus=_OPUS.get(code) or (f"{base}_{tag.territory.lower()}" if tag.territory else _OPUS.get(base, base)),
        lid=_LID.get(base, (base, "ar", "arz") if variety else (base,)),
        own_script=_OWN_SCRIPT.get(base, ()),
    )


def of_wikimatrix(code: str) -> str | None:
    """The canonical code of a language as WikiMatrix calls it (`tl` is `fil`), None where there is none (`simple`)."""
    for canonical in (code, *(tag for tag, theirs in _WIKIMATRIX.items() if theirs == code)):
        try:
            if language(canonical).wikimatrix == code:
                return canonical
        except UsageError:
            continue
    return None


def _alpha3(tag: Any) -> str:
    """The ISO 639-3 code of a tag. Raises `UsageError` for a private one, which has none."""
    try:
        return str(tag.to_alpha3())
    except LookupError:
        raise UsageError(
            f"{tag}: a language without an ISO 639-3 code; use a BCP-47 code such as en, hi or arz"
        ) from None


@dataclass(frozen=True)
class Pair:
    """A language pair in a fixed order: `en-hi` and `hi-en` are two different corpora."""

    src: str
    tgt: str

    def __str__(self) -> str:
        return f"{self.src}-{self.tgt}"

    @property
    def languages(self) -> tuple[Language, Language]:
        """The two `Language` entries, source first."""
        return language(self.src), language(self.tgt)


def parse_pair(text: str) -> Pair:
    """Parse `en-hi`; subtags are allowed where unambiguous (`en-zh-Hans`).

    Raises `UsageError` for an unknown language, the same language twice, or something that is no pair.
    """
    parts = text.split("-")
    errors: list[UsageError] = []
    for cut in range(1, len(parts)):
        src, tgt = "-".join(parts[:cut]), "-".join(parts[cut:])
        try:
            language(src), language(tgt)
        except UsageError as error:
            errors.append(error)
            continue
        if src == tgt:
            raise UsageError(f"pair {text!r} names the same language twice: write two different codes, such as en-hi")
        return Pair(src, tgt)
    raise (
        errors[0]
        if errors
        else UsageError(f"{text!r} is not a language pair: write two codes and a hyphen, such as en-hi")
    )
