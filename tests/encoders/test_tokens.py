"""Token ids are those of the Hugging Face tokeniser, whatever the length, the prefix and the thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.embed import tokenise
from tppc.encoders.load import Encoder
from tppc.encoders.scratch import make_encoder
from tppc.encoders.tokens import token_ids

TEXTS = [
    "the cat sat on the mat",
    "",
    " ",
    "बिल्ली चटाई पर बैठी",
    "猫はマットに座った。",
    "القِطّة",
    "[SEP] [MASK] word",
    "a\u200bb\u0000c",
    "x" * 300,
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder("scratch:tiny", TEXTS * 3, 1)


def expected(encoder: Encoder, texts: list[str], length: int) -> list[list[int]]:
    found: Any = encoder.tokenizer([encoder.prefix + t for t in texts], truncation=True, max_length=length)
    return list(found["input_ids"])


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=60) | st.sampled_from(TEXTS), max_size=6), length=st.integers(3, 40))
def test_ids_are_those_of_the_hugging_face_tokeniser(encoder: Encoder, texts: list[str], length: int) -> None:
    prefixed = replace(encoder, prefix="query: ")
    for one in (encoder, prefixed):
        assert tokenise(one, texts, length) == (expected(one, texts, length) if texts else [])


@pytest.mark.parametrize("name", ["mbert-cased-vocab", "me5-small-4lang"])
def test_ids_of_real_vocabularies_are_the_same(name: str, shared: Path) -> None:
    from transformers import AutoTokenizer, BertTokenizerFast

    folder = shared / "models" / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    vocabulary = folder / "vocab.txt"
    tokenizer: Any = (
        BertTokenizerFast(str(vocabulary), do_lower_case=False)
        if vocabulary.is_file()
        else AutoTokenizer.from_pretrained(folder)
    )
    for length in (3, 8, 128):
        assert token_ids(tokenizer, TEXTS, length) == tokenizer(TEXTS, truncation=True, max_length=length)["input_ids"]
    tokenizer.truncation_side = "left"
    assert token_ids(tokenizer, TEXTS, 8) == tokenizer(TEXTS, truncation=True, max_length=8)["input_ids"]


def test_a_token_that_is_added_later_counts(encoder: Encoder) -> None:
    before = token_ids(encoder.tokenizer, ["zzqzz"], 30)
    encoder.tokenizer.add_tokens(["zzqzz"])
    after = token_ids(encoder.tokenizer, ["zzqzz"], 30)
    assert after == expected(replace(encoder, prefix=""), ["zzqzz"], 30) != before


def test_threads_with_other_lengths_do_not_meet(encoder: Encoder) -> None:
    texts = TEXTS * 20
    lengths = [4, 9, 60] * 10
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda length: token_ids(encoder.tokenizer, texts, length), lengths))
    for length, ids in zip(lengths, found, strict=True):
        assert ids == expected(encoder, texts, length)


def test_a_tokeniser_without_rust_is_asked_itself() -> None:
    class Slow:
        def __call__(self, texts: list[str], **settings: Any) -> dict[str, Any]:
            return {"input_ids": [[settings["max_length"], len(t)] for t in texts]}

    assert token_ids(Slow(), ["a", "bc"], 7) == [[7, 1], [7, 2]]  # type: ignore[arg-type]
