"""Tokens to subwords such that every gold token keeps a place where it is labelled and scored.

A token is labelled at its first subword that holds text. Two things would lose tokens, and do in published code: a
token that the tokeniser turns into nothing (a zero-width joiner, a variation selector), and a sentence that is longer
than the encoder reads. The first becomes the unknown token; the second is split between tokens.

"That holds text" departs from the plain first subword of Devlin et al. 2019 (section 5.3) for SentencePiece
vocabularies. They put the mark of a word's beginning before every token, and where words are not written apart it
stays a piece of its own: for 94% of the tokens of Japanese GSD against 11% in English GUM (multilingual-e5-small). A
head that learnt on English words then reads bare marks in Japanese: 11.0% POS accuracy, below the majority class,
against 54.7% at the first piece with text (400 training sentences, one seed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

_TOGETHER = 2_048
_WORD_MARKS = ("\u2581", "\u0120")  # SentencePiece's and byte-level BPE's sign for "a word begins here"


@dataclass(frozen=True)
class Window:
    """A run of subwords that the encoder reads at once.

    Attributes:
        ids: token ids with special tokens, at most the encoder's maximum length.
        targets: positions in `ids` that are labelled, in order: one a token, or position 0 for a whole text.
        item: which sentence or text it is of.
        start: which of the item's tokens the first target is.
    """

    ids: list[int]
    targets: list[int]
    item: int
    start: int


def text_windows(encoder: Encoder, texts: Sequence[str]) -> list[Window]:
    """One window a text, with the encoder's prefix, cut at its maximum length."""
    from tppc.encoders.embed import tokenise

    windows = []
    for start in range(0, len(texts), _TOGETHER):
        ids = tokenise(encoder, texts[start : start + _TOGETHER])
        windows += [Window(one, [0], start + i, 0) for i, one in enumerate(ids)]
    return windows


def token_windows(encoder: Encoder, sentences: Sequence[Sequence[str]]) -> list[Window]:
    """Windows over sentences of tokens; the targets of all windows are all tokens of all sentences, each once.

    The encoder's prefix is not used here: it is a convention for whole texts. A single token of more subwords than fit
    keeps the first ones.

    Raises `UsageError` for a tokeniser that does not say which subword is of which token (one without a fast version).
    """
    tokenizer: Any = encoder.tokenizer
    if not tokenizer.is_fast:
        raise UsageError(
            f"{encoder.name}: token tasks need a fast tokeniser (tokenizer.json); save the encoder with one"
        )
    before, after = _special_tokens(tokenizer)
    room = encoder.max_length - len(before) - len(after)
    marks = {tokenizer.convert_tokens_to_ids(mark) for mark in _WORD_MARKS} - {tokenizer.unk_token_id, None}
    unknown = tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.pad_token_id
    windows: list[Window] = []
    for item, words in enumerate(_subwords(tokenizer, sentences)):
        ids: list[int] = []
        targets: list[int] = []
        start = 0
        for number, word in enumerate(words):
            pieces = word[:room] or [unknown]
            if len(ids) + len(pieces) > room:
                windows.append(Window([*before, *ids, *after], targets, item, start))
                ids, targets, start = [], [], number
            bare = pieces[0] in marks and len(pieces) > 1
            targets.append(len(before) + len(ids) + bare)
            ids.extend(pieces)
        if targets:
            windows.append(Window([*before, *ids, *after], targets, item, start))
    assert sum(len(w.targets) for w in windows) == sum(len(s) for s in sentences), "every gold token needs one place"
    return windows


def _subwords(tokenizer: Any, sentences: Sequence[Sequence[str]]) -> list[list[list[int]]]:
    """Subword ids of each token of each sentence; a token may have none."""
    result: list[list[list[int]]] = [[[] for _ in sentence] for sentence in sentences]
    filled = [i for i, sentence in enumerate(sentences) if sentence]
    for first in range(0, len(filled), _TOGETHER):
        chunk = filled[first : first + _TOGETHER]
        encoded = tokenizer(
            [list(sentences[i]) for i in chunk],
            is_split_into_words=True,
            add_special_tokens=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        for row, i in enumerate(chunk):
            for piece, word in zip(encoded["input_ids"][row], encoded.word_ids(row), strict=True):
                result[i][word].append(piece)
    return result


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids that the tokeniser puts before and after a text, found by asking it."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    for cut in range(len(full) - len(bare) + 1):
        if full[cut : cut + len(bare)] == bare:
            return list(full[:cut]), list(full[cut + len(bare) :])
    raise UsageError("the tokeniser changes a text when it adds special tokens; token tasks cannot use it")
