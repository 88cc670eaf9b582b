"""How a tokeniser treats each language: what it does not know, how finely it cuts, what it destroys, what is cut off.

A language that a tokeniser cuts into single characters costs more and is learned worse; one whose marks it strips (any
uncased multilingual BERT: Hindi vowel signs, Japanese voicing) is a different language afterwards. All of it is
measured on real texts, with the prefix and the special tokens that the encoder puts around them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tppc.corpora.files import canonical_json, write_bytes
from tppc.corpora.languages import language

if TYPE_CHECKING:
    from tppc.corpora.corpus import Corpus
    from tppc.encoders.load import Encoder

FILE = "tokenizer_health.json"
ROWS = 1_000
# Scripts whose words no space sets apart, so that pieces a word would be pieces a sentence.
_UNSPACED = {"Hiragana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"}


@dataclass(frozen=True)
class Health:
    """What a tokeniser does to the texts of one language.

    `unknown`: share of the pieces that are the unknown token (0 for tokenisers that have none), and
    `unknown_characters` of the characters under them: a WordPiece tokeniser loses a whole word with one unknown letter.
    `pieces_per_word` is None for languages written without spaces. `destroyed`: share of the letters and marks that are
    gone after normalisation, case aside. `truncated`: share of the texts that are longer than `max_length` tokens.
    Characters are those that are no white space; pieces leave special tokens and the prefix out.
    """

    texts: int
    unknown: float
    unknown_characters: float
    pieces_per_word: float | None
    pieces_per_character: float
    destroyed: float
    truncated: float


def unspaced(code: str) -> bool:
    """Whether a language is written without spaces between words, going by its script."""
    scripts = language(code).scripts
    return bool(_UNSPACED.intersection(scripts)) or scripts == ("Han",)


def tokenizer_health(encoder: Encoder, texts: Mapping[str, Sequence[str]]) -> dict[str, Health]:
    """The health of an encoder's tokeniser by language code; `texts` are real ones, some hundreds of each at least."""
    return {code: _health(encoder, code, some) for code, some in sorted(texts.items()) if some}


def corpus_health(encoder: Encoder, corpora: Sequence[Corpus], rows: int = ROWS) -> dict[str, Health]:
    """`tokenizer_health` on the first `rows` train texts of each language in each pair of each corpus; a corpus's order
    is random already.
    """
    import polars as pl

    texts: dict[str, list[str]] = {}
    for corpus in corpora:
        for pair in corpus.pairs:
            if not corpus.manifest.rows("train", str(pair)):
                continue
            first = corpus.file(corpus.shards("train", pair)[0])  # of a corpus elsewhere nothing else is fetched
            found = pl.scan_parquet(first).select("src_text", "tgt_text").head(rows).collect()
            texts.setdefault(pair.src, []).extend(found["src_text"])
            texts.setdefault(pair.tgt, []).extend(found["tgt_text"])
    return tokenizer_health(encoder, texts)


def _health(encoder: Encoder, code: str, texts: Sequence[str]) -> Health:
    tokenizer = encoder.tokenizer
    characters = sum(_characters(text) for text in texts)
    words = sum(len(text.split()) for text in texts)
    encoded = tokenizer(
        list(texts), add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False
    )
    pieces = unknown = lost = 0
    for text, ids, spans in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        pieces += len(ids)
        for number, (start, stop) in zip(ids, spans, strict=True):
            if number == tokenizer.unk_token_id:
                unknown += 1
                lost += _characters(text[start:stop])
    whole = tokenizer([encoder.prefix + text for text in texts], truncation=False, verbose=False)["input_ids"]
    letters, gone = _destroyed(tokenizer, texts)
    return Health(
        texts=len(texts),
        unknown=unknown / max(1, pieces),
        unknown_characters=lost / max(1, characters),
        pieces_per_word=None if unspaced(code) else pieces / max(1, words),
        pieces_per_character=pieces / max(1, characters),
        destroyed=gone / max(1, letters),
        truncated=sum(len(ids) > encoder.max_length for ids in whole) / len(texts),
    )


def _characters(text: str) -> int:
    return sum(not c.isspace() for c in text)


def _destroyed(tokenizer: Any, texts: Sequence[str]) -> tuple[int, int]:
    """Letters and marks in the texts, and those of them that the normaliser takes away.

    Both sides are compared in compatibility decomposition and case folded, so that neither another form of a character
    (half-width katakana, ligatures) nor its case counts as a loss.
    """
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    total = gone = 0
    for text in texts:
        before = _letters(text)
        total += before.total()
        if normalizer is not None:
            gone += (before - _letters(normalizer.normalize_str(text))).total()
    return total, gone


def _letters(text: str) -> Counter[str]:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return Counter(c for c in decomposed if unicodedata.category(c)[0] in "LM")


def health_table(health: Mapping[str, Health]) -> list[str]:
    """Lines of a table for people, a line a language."""
    lines = ["tokeniser    texts  unknown  of characters  pieces/word  pieces/character  destroyed  truncated"]
    for code, h in health.items():
        fertility = "-" if h.pieces_per_word is None else f"{h.pieces_per_word:.2f}"
        lines.append(
            f"{code:<10}{h.texts:>8,}{h.unknown:>9.2%}{h.unknown_characters:>15.2%}{fertility:>13}"
            f"{h.pieces_per_character:>18.2f}{h.destroyed:>11.2%}{h.truncated:>11.2%}"
        )
    return lines


def health_warnings(health: Mapping[str, Health]) -> list[str]:
    """What of it harms, each a sentence with its remedy."""
    found = []
    for code, h in health.items():
        if h.destroyed > 0.005:
            found.append(
                f"the tokeniser destroys {h.destroyed:.1%} of the letters and marks of {code} and makes words alike; "
                "prefer a cased encoder such as bert-base-multilingual-cased"
            )
        if h.unknown_characters > 0.01:
            found.append(
                f"the tokeniser does not know {h.unknown_characters:.1%} of the characters of {code}; take an encoder "
                "whose vocabulary has its script"
            )
        # More than one piece a character are bytes; one a character is what Hiragana may well get.
        coarse = h.pieces_per_character > 1.2 if h.pieces_per_word is None else h.pieces_per_word > 4
        if coarse and h.unknown_characters <= 0.5:
            per = "a character" if h.pieces_per_word is None else "a word"
            count = h.pieces_per_character if h.pieces_per_word is None else h.pieces_per_word
            found.append(
                f"the tokeniser cuts {code} into {count:.1f} pieces {per}: it has hardly any words of it, which makes "
                "training slow and transfer poor"
            )
        if h.truncated > 0.05:
            found.append(
                f"{h.truncated:.1%} of the texts of {code} are longer than max_length and lose their end; raise it, or "
                "leave long texts out (filter `length`)"
            )
    return found


def keep_health(encoder: Encoder, corpora: Sequence[Corpus], folder: Path) -> list[str]:
    """Measure, keep the figures as `tokenizer_health.json` in a run's folder, and give the lines to print: the table
    and the warnings.
    """
    health = corpus_health(encoder, corpora)
    write_bytes(folder / FILE, canonical_json(health_json(encoder.name, encoder.max_length, health)))
    return [*health_table(health), *(f"warning: {text}" for text in health_warnings(health))]


def health_json(name: str, max_length: int, health: Mapping[str, Health]) -> dict[str, Any]:
    """What `tokenizer_health.json` holds: the encoder, the length that `truncated` is of, and the figures."""
    return {"encoder": name, "max_length": max_length, "languages": {code: asdict(h) for code, h in health.items()}}
