"""WikiMatrix-shaped snapshots: score TAB text TAB text by falling score, with known faults."""

from __future__ import annotations

import random
from pathlib import Path

from faults import FAULTS, Ctx, anything, numbered
from files import write_bytes, write_gz
from grammar import Sentence
from sampling import Sampler

ROWS = 1800
COUNTS = {
    "misaligned": 70, "wrong_language": 30, "wrong_language_same_script": 40, "untranslated": 30, "truncated": 30,
    "concatenated": 30, "mojibake": 26, "markup": 28, "number_mismatch": 30, "empty": 22, "control_characters": 26,
    "swapped": 24, "exact_duplicate": 30, "near_duplicate": 30, "url_or_code": 30, "repetition": 26, "too_long": 12,
    "unreadable": 16,
}  # fmt: skip


def _row(first: str, second: str, score: float) -> bytes:
    return f"{score:.7f}\t{first}\t{second}".encode()


def build(sampler: Sampler, lang: str, root: Path, truth: Path) -> list[Sentence]:
    """Write one snapshot and its truth; returns the meanings used on clean rows."""
    rng = random.Random(f"wikimatrix:{lang}")
    name = "-".join(sorted(("en", lang)))
    english_first = name.startswith("en")
    fault_total = sum(COUNTS.values())
    pool = [sampler.sentence(anything) for _ in range(ROWS - fault_total)]

    def order(english: str, other: str) -> tuple[str, str]:
        return (english, other) if english_first else (other, english)

    def clean_score() -> float:
        return round(min(1.35, max(1.02, rng.gauss(1.15, 0.05))), 7)

    def fault_score() -> float:
        return round(min(1.30, max(1.0, rng.gauss(1.09, 0.045))), 7)

    rows: list[tuple[float, int, bytes, str]] = []
    clean: list[tuple[float, Sentence]] = []
    for sentence in pool:
        score = clean_score()
        clean.append((score, sentence))
        rows.append((score, len(rows), _row(*order(sentence.text["en"], sentence.text[lang]), score), "clean"))
    repeats = iter(rng.sample(clean, COUNTS["exact_duplicate"] + COUNTS["near_duplicate"]))
    for kind, count in COUNTS.items():
        for number in range(count):
            if kind in ("exact_duplicate", "near_duplicate"):
                score, sentence = next(repeats)
                pair = (sentence.text["en"], sentence.text[lang])
                if kind == "near_duplicate":
                    score = round(max(1.0, score - rng.uniform(0.001, 0.03)), 7)
                    pair = FAULTS[kind](pair, Ctx(rng, lang, sentence, pool))
            else:
                score = fault_score()
                sentence = sampler.sentence(numbered if kind == "number_mismatch" else anything)
                pair = (sentence.text["en"], sentence.text[lang])
                if kind in FAULTS:
                    pair = FAULTS[kind](pair, Ctx(rng, lang, sentence, pool))
            line = _row(*order(*pair), score)
            if kind == "unreadable":
                if number % 2:
                    line = f"{score:.7f}\t{pair[0]}".encode()  # a column is missing
                else:  # a lone continuation byte or a cut-off sequence
                    line = line[:-4] + (b"\xff\xfe" if number % 4 else b"\xe0\xa4")
            if b"\n" in line or (kind != "unreadable" and line.count(b"\t") != 2):
                raise ValueError(f"{kind} broke the row layout: {line!r}")
            rows.append((score, len(rows), line, kind))
    rows.sort(key=lambda row: (-row[0], row[1]))
    write_gz(root / "wikimatrix" / f"WikiMatrix.{name}.tsv.gz", b"".join(row[2] + b"\n" for row in rows))
    listing = "".join(f"{number}\t{row[3]}\n" for number, row in enumerate(rows, 1))
    write_bytes(truth / f"WikiMatrix.{name}.truth.tsv", listing.encode())
    return pool
