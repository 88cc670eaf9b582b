"""Which rows another cleaner keeps; run by an interpreter that has it, for compare.py.

PYTHON peer.py opusfilter|hardrules en-hi LID_MODEL < rows.tsv > kept.txt

Reads `src<TAB>tgt` lines, writes the numbers from 0 of the lines that are kept. The language-ID model is the same for
all.
"""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable, Iterator

Rows = list[tuple[str, str]]
_SCRIPTS = {"en": "Latin", "hi": "Devanagari", "ar": "Arabic", "ja": "Common|Han|Hiragana|Katakana"}


def opusfilter(rows: Rows, pair: str, model: str) -> Iterator[int]:
    """The filters of OpusFilter that ask what tppc's do, with its own defaults where they keep clean text, else with
    tppc's limits; then its dedup of lower-cased letters. Dedup comes last, as in tppc: that favours it."""
    from opusfilter import filters, lid, segment_hash

    src, tgt = pair.split("-")
    # Japanese has no spaces, and its characters are worth two of English.
    ratio = 4 if tgt == "ja" else 3
    asked = [
        filters.LengthFilter(min_length=1, max_length=1000, unit="char"),
        filters.LengthRatioFilter(threshold=ratio, unit="char"),
        *([] if tgt == "ja" else [filters.LengthFilter(min_length=1, max_length=100, unit="word")]),
        filters.LongWordFilter(threshold=[40, 1000 if tgt == "ja" else 40]),
        filters.HtmlTagFilter(),
        filters.AlphabetRatioFilter(threshold=0.5, exclude_whitespace=True),
        filters.CharacterScoreFilter(scripts=[_SCRIPTS[src], _SCRIPTS[tgt]], thresholds=[0.5, 0.5]),
        filters.NonZeroNumeralsFilter(threshold=0.5),
        filters.TerminalPunctuationFilter(threshold=-2),
        filters.RepetitionFilter(),
        filters.SimilarityFilter(threshold=0.9, lowercase=True),
        lid.FastTextFilter(languages=[src, tgt], thresholds=[0.2, 0.2], model_path=model),
    ]
    kept = [all(values) for values in zip(*(f.decisions(rows) for f in asked), strict=True)]
    hasher = segment_hash.SegmentHasher(compare="all", lowercase=True, letters_only=True)
    seen = set()
    for number, (row, good) in enumerate(zip(rows, kept, strict=True)):
        if good and (key := hasher.apply(row)) not in seen:
            seen.add(key)
            yield number


def hardrules(rows: Rows, pair: str, model: str) -> Iterator[int]:
    """All rules of bicleaner-hardrules with their defaults, numbers and scripts (both off by default) included.

    FastSpell, its language identifier, does not build; fastText's model, of which FastSpell is made, stands in for it.
    It has no dedup: equal pairs are taken out by their bytes."""
    import fasttext

    loaded = fasttext.load_model(model)

    class FastSpell:
        """Answers as FastSpell does for languages that it does not refine."""

        def __init__(self, lang: str, mode: str = "aggr") -> None:
            self.lang = lang

        def getlang(self, text: str) -> str:
            """The most probable language."""
            labels = loaded.predict(text.replace("\n", " ") or " ", k=1)[0]
            return labels[0].removeprefix("__label__") if labels else "unk"

    stand_in = types.ModuleType("fastspell")
    stand_in.FastSpell = FastSpell
    sys.modules["fastspell"] = stand_in
    from hardrules.hardrules import Hardrules

    src, tgt = pair.split("-")
    config = {"no_number_inconsistencies": True, "no_script_inconsistencies": True}
    arguments = argparse.Namespace(
        source_lang=src,
        target_lang=tgt,
        disable_lm_filter=True,
        lm_threshold=0.5,
        disable_porn_removal=True,
        disable_lang_ident=False,
        run_all_rules=False,
        disable_minimal_length=False,
        rules_config=config,
    )
    rules, seen = Hardrules(arguments), set()
    for number, row in enumerate(rows):
        answer = rules.wrong_tu(*row)
        if answer in (False, None, "keep") and row not in seen:
            seen.add(row)
            yield number


_PEERS: dict[str, Callable[[Rows, str, str], Iterator[int]]] = {"opusfilter": opusfilter, "hardrules": hardrules}


def main() -> None:
    """Read rows, write the numbers of those that are kept."""
    name, pair, model = sys.argv[1:]
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    rows = [tuple(line.split("\t")) for line in text.split("\n")[:-1]]
    for number in _PEERS[name](rows, pair, model):  # type: ignore[arg-type]
        print(number)


if __name__ == "__main__":
    main()
