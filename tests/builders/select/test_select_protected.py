"""Whatever a protected text looks like when it comes again, it is found; other texts are not."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders.recipe import Protect
from tppc.builders.select.named import name_set
from tppc.builders.select.protected import Guard, hits, prepare
from tppc.errors import UsageError

TEXTS = {
    "en": "the river was long and cold when my old friend came home from a market with ten red apples",
    "hi": "नदी लंबी थी और ठंडी जब मेरा पुराना दोस्त बाज़ार से दस लाल सेब लेकर घर आया",
    "ar": "كان النهر طويلا وباردا عندما عاد صديقي القديم من السوق ومعه عشر تفاحات حمراء",
    "ja": "川 は 長く て 冷たかっ た 古い 友人 が 市場 から 赤い りんご を 十 個 持っ て 帰っ て き た",
}
WORDS = {language: text.split() for language, text in TEXTS.items()}


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, str]:
    """A sentence, and how it comes again: other case, spaces and punctuation."""
    language = draw(st.sampled_from(sorted(WORDS)))
    words = draw(st.lists(st.sampled_from(WORDS[language]), min_size=1, max_size=14))
    between = "" if language == "ja" else " "
    chance = random.Random(draw(st.integers(0, 99)))
    again = "".join(chance.choice(["", " ", ", ", "-"]) + chance.choice([w, w.upper(), w.title()]) for w in words)
    return between.join(words), again + chance.choice(["", ".", " !", "।"])


def found(protected: list[str], rows: list[tuple[str, str]]) -> list[bool]:
    lengths = Protect()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.txt"
        path.write_text("".join(f"{text}\n" for text in protected))
        prepare(Path(folder), str(path), lengths.lengths())
        frame = pl.DataFrame(rows, schema=["src_text", "tgt_text"], orient="row")
        (hit,) = hits([Guard.load(Path(folder))], frame, lengths)
    return hit.tolist()


@settings(deadline=None, max_examples=40)
@given(st.lists(sentences(), min_size=1, max_size=5))
def test_a_protected_text_is_found_on_either_side_however_it_is_written(drawn: list[tuple[str, str]]) -> None:
    rows = [(again, "another text") for _, again in drawn] + [("another text", again) for _, again in drawn]
    assert found([text for text, _ in drawn], [*rows, ("another text", "one more")]) == [*[True] * len(rows), False]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(WORDS)), st.randoms(use_true_random=False))
def test_a_long_run_of_words_is_found_within_another_text(language: str, chance: random.Random) -> None:
    between = "" if language == "ja" else " "
    words = WORDS[language]
    size = 16 if language == "ja" else 8
    start = chance.randrange(len(words) - size + 1)
    within = between.join([*chance.sample(words, 3), *words[start : start + size], *chance.sample(words, 3)])
    short = between.join(words[start : start + 3])
    assert found([between.join(words)], [(within, "x"), ("x", within), (short, "x")]) == [True, True, False]


def test_a_folder_of_corpora_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "en-hi").mkdir()
    (tmp_path / "en-hi" / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a corpus \\(en-hi\\)"):
        name_set(tmp_path)
