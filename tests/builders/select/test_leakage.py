"""With `--protect`, no protected sentence is left on either side, in any split: on real exports and real test sets.

The check has nothing in common with the code under test: it reads the shards with polars and compares every text.
"""

from __future__ import annotations

import bz2
import random
import unicodedata
from pathlib import Path

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair

LANGUAGES = {"en": "eng", "hi": "hin", "ar": "ara"}


def folded(text: str) -> str:
    again = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(again.split())


def bare(text: str) -> str:
    """Letters, marks and digits."""
    return "".join(c for c in folded(text) if unicodedata.category(c)[0] in "LMN")


def exported(root: Path, language: str) -> list[str]:
    path = root / "per_language" / language / f"{language}_sentences_detailed.tsv.bz2"
    return [line.split("\t")[2] for line in bz2.decompress(path.read_bytes()).decode().splitlines()]


def left(corpus: Corpus, sentences: list[str]) -> int:
    """Texts of the corpus, on either side and in any split, that are one of the sentences."""
    wanted, letters = {folded(s) for s in sentences}, {bare(s) for s in sentences}
    count = 0
    for split in corpus.manifest.splits:
        rows = corpus.scan(split).select("src_text", "tgt_text").collect()
        for text in [*rows["src_text"], *rows["tgt_text"]]:
            count += folded(text) in wanted or bare(text) in letters
    return count


def test_no_sentence_of_the_exports_that_is_protected_is_left(shared: Path, tmp_path: Path) -> None:
    root = shared / "data" / "tatoeba" / "exports"
    chance = random.Random(20_261_120)
    sentences = [s for language in LANGUAGES.values() for s in chance.sample(exported(root, language), 500)]
    path = tmp_path / "sentences.txt"
    path.write_text("".join(f"{s}\n" for s in sentences))
    recipe = load_recipe(None, holdout={"dev": 100, "test": 100}, language_id={"enabled": False})
    pairs = [Pair("en", "hi"), Pair("en", "ar")]
    free = build("tatoeba", pairs, origin=str(root), out=tmp_path / "free", recipe=recipe, workers=1)
    assert min(left(corpus, sentences) for corpus in free) > 400, "the sentences must be there without --protect"
    sets = [path, shared / "data" / "ud" / "en_ewt-ud-test.conllu.xz", shared / "data" / "ner" / "en_wnut17"]
    kept = build("tatoeba", pairs, origin=str(root), out=tmp_path / "kept", recipe=recipe, workers=1, protect=sets)
    assert [left(corpus, sentences) for corpus in kept] == [0, 0]
    for corpus in kept:
        lost = {known.name: known.rows for known in corpus.manifest.protected}
        assert set(lost) == {"sentences.txt", "en_ewt-ud-test.conllu.xz", "en_wnut17"}
        assert (lost["sentences.txt"] or 0) > 400
        assert corpus.manifest.funnel.dropped["protected"] >= (lost["sentences.txt"] or 0)
