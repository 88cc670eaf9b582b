"""Texts to token ids, straight from the Rust tokeniser.

The Python layer above it makes a dictionary of lists for every text, which costs 30 to 60% on top of the tokenising
itself (docs/streaming.md), and sets truncation on the one tokeniser that all threads share. Here each length has a copy
of its own, so that threads with different lengths do not meet.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

_copies: WeakKeyDictionary[PreTrainedTokenizerBase, dict[tuple[Any, ...], Tokenizer]] = WeakKeyDictionary()
_copying = threading.Lock()


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Ids of each text with special tokens, cut at `max_length` tokens, as the tokeniser itself would give them."""
    if not texts:
        return []
    rust = _copy_for(tokenizer, max_length)
    if rust is None:
        ids: list[list[int]] = tokenizer(
            list(texts),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        return ids
    return [encoding.ids for encoding in rust.encode_batch_fast(list(texts))]


def _copy_for(tokenizer: PreTrainedTokenizerBase, max_length: int) -> Tokenizer | None:
    """The Rust tokeniser behind `tokenizer`, set to cut at a length; None where there is none (a slow tokeniser)."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    split = bool(getattr(tokenizer, "split_special_tokens", False))
    side = str(getattr(tokenizer, "truncation_side", "right"))
    key = (max_length, side, split, len(tokenizer))  # its length: tokens may be added to it at any time
    with _copying:
        copies = _copies.setdefault(tokenizer, {})
        if key not in copies:
            rust: Tokenizer = copy.deepcopy(backend)
            rust.no_padding()
            rust.enable_truncation(max_length, stride=0, strategy="longest_first", direction=side)
            rust.encode_special_tokens = split
            copies[key] = rust
        return copies[key]
