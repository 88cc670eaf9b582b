"""Tatoeba-shaped exports: sentences, links in both directions, and the CC0 subset."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from faults import FAULTS, Ctx, anything, numbered
from files import write_bytes, write_bz2
from grammar import Sentence
from sampling import Sampler

CODES = {"en": "eng", "hi": "hin", "ja": "jpn", "ar": "ara"}
FIRST_ID = {"en": 100_001, "hi": 300_001, "ja": 500_001, "ar": 700_001}
USERS = ("sample_anna", "sample_bilal", "sample_chie", "sample_dev", "sample_eva", "sample_farid", "sample_gita")
SHARED, OWN, ODD = 1300, 2560, 36
FAULT_COUNTS = {"misaligned": 130, "untranslated": 60, "swapped": 40, "url_or_code": 40, "markup": 30, "empty": 20,
                "number_mismatch": 20}  # fmt: skip
DANGLING = 60


@dataclass
class Row:
    """One exported sentence."""

    id: int
    lang: str
    text: str
    user: str
    added: str
    modified: str


def escape(text: str) -> str:
    """MySQL OUTFILE escapes: backslash, tab and newline each with a backslash before them."""
    return text.replace("\\", "\\\\").replace("\t", "\\\t").replace("\n", "\\\n")


class Export:
    """Collects sentences and links, then writes them in the upstream layout."""

    def __init__(self) -> None:
        self.rng = random.Random("tatoeba")
        self.rows: dict[str, list[Row]] = {lang: [] for lang in CODES}
        self.links: dict[str, list[tuple[int, int]]] = {lang: [] for lang in CODES if lang != "en"}
        self.truth: dict[str, list[tuple[int, int, str]]] = {lang: [] for lang in CODES if lang != "en"}

    def _moment(self) -> str:
        rng = self.rng
        day = f"{rng.randint(2008, 2023)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        return f"{day} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"

    def add(self, lang: str, text: str) -> int:
        """A new sentence; a few have no owner or no date, as upstream."""
        rng = self.rng
        added = sorted((self._moment(), self._moment()))
        user = "\\N" if rng.random() < 0.02 else rng.choice(USERS)
        if rng.random() < 0.02:
            added[0] = rng.choice(("\\N", "0000-00-00 00:00:00"))
        if rng.random() < 0.01:
            added[1] = rng.choice(("\\N", "0000-00-00 00:00:00"))
        number = FIRST_ID[lang] + len(self.rows[lang])
        self.rows[lang].append(Row(number, lang, text, user, added[0], added[1]))
        return number

    def link(self, lang: str, english: int, other: int, kind: str = "clean") -> None:
        """A translation link, written later in both directions."""
        self.links[lang].append((english, other))
        if kind != "clean":
            self.truth[lang].append((english, other, kind))

    def pair(self, lang: str, english: str, other: str, kind: str = "clean") -> None:
        """Two new sentences and the link between them."""
        self.link(lang, self.add("en", english), self.add(lang, other), kind)

    def translate(self, lang: str, english: int, sentence: Sentence, other_too: bool) -> None:
        """The translation of an English sentence and sometimes a second wording (one to many)."""
        self.link(lang, english, self.add(lang, sentence.text[lang]))
        if other_too and lang in sentence.other:
            self.link(lang, english, self.add(lang, sentence.other[lang]))

    def write(self, root: Path, truth: Path) -> None:
        """All files. Links of a pair are sorted by the first column, as in the exports."""
        base = root / "tatoeba" / "per_language"
        for lang, code in CODES.items():
            rows = self.rows[lang]
            detailed = "".join(f"{r.id}\t{code}\t{escape(r.text)}\t{r.user}\t{r.added}\t{r.modified}\n" for r in rows)
            write_bz2(base / code / f"{code}_sentences_detailed.tsv.bz2", detailed.encode())
            rng = random.Random(f"cc0:{lang}")
            free = "".join(f"{r.id}\t{code}\t{escape(r.text)}\t{r.modified}\n" for r in rows if rng.random() < 0.15)
            write_bz2(base / code / f"{code}_sentences_CC0.tsv.bz2", free.encode())
        for lang, links in self.links.items():
            code = CODES[lang]
            there = "".join(f"{a}\t{b}\n" for a, b in sorted(links))
            back = "".join(f"{b}\t{a}\n" for b, a in sorted((b, a) for a, b in links))
            write_bz2(base / "eng" / f"eng-{code}_links.tsv.bz2", there.encode())
            write_bz2(base / code / f"{code}-eng_links.tsv.bz2", back.encode())
            listing = "".join(f"{a}\t{b}\t{kind}\n" for a, b, kind in sorted(self.truth[lang]))
            write_bytes(truth / f"tatoeba.eng-{code}.truth.tsv", listing.encode())


def _odd_pairs(export: Export, sampler: Sampler, lang: str) -> None:
    """Good pairs whose text needs care in reading: escapes and unbalanced quotes."""
    for number in range(ODD):
        sentence, more = sampler.sentence(anything), sampler.sentence(anything)
        english, other = sentence.text["en"], sentence.text[lang]
        if number % 3 == 0:
            english, other = '"' + english, '"' + other
        elif number % 3 == 1:
            gap = "\n" if number % 2 else "\t"
            english, other = english + gap + more.text["en"], other + gap + more.text[lang]
        else:
            english, other = english + " \\o/", other + " \\o/"
        export.pair(lang, english, other)


def build(sampler: Sampler, root: Path, truth: Path) -> list[Sentence]:
    """Write the exports; returns every meaning used on a clean pair, by list order."""
    export = Export()
    used: list[Sentence] = []
    for _ in range(SHARED):
        sentence = sampler.sentence(anything)
        used.append(sentence)
        english = export.add("en", sentence.text["en"])
        for lang in export.links:
            export.translate(lang, english, sentence, export.rng.random() < 0.5)
    for lang in export.links:
        own = [sampler.sentence(anything) for _ in range(OWN)]
        used.extend(own)
        for sentence in own:
            export.translate(lang, export.add("en", sentence.text["en"]), sentence, export.rng.random() < 0.5)
        _odd_pairs(export, sampler, lang)
        for kind, count in FAULT_COUNTS.items():
            for _ in range(count):
                sentence = sampler.sentence(numbered if kind == "number_mismatch" else anything)
                ctx = Ctx(export.rng, lang, sentence, own)
                first, second = FAULTS[kind]((sentence.text["en"], sentence.text[lang]), ctx)
                export.pair(lang, first, second, kind)
        for number in range(DANGLING):
            if number % 2:
                export.link(lang, export.rng.choice(export.rows["en"]).id, FIRST_ID[lang] + 90_000 + number, "dangling")
            else:
                export.link(lang, FIRST_ID["en"] + 90_000 + number, export.rng.choice(export.rows[lang]).id, "dangling")
    export.write(root, truth)
    return used
