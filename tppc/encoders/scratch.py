"""Small BERT encoders that are made on the spot, with a WordPiece vocabulary trained on the corpus itself.

`scratch:tiny` learns a template corpus in about a minute on two CPU cores: it is what the demo and the tests use.
Nothing is downloaded; the same texts and seed give the same vocabulary and the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tppc.encoders.load import Encoder
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Words as the evaluation sees them and words inside running text must give the same pieces. Japanese writes no spaces:
# Han characters are set apart by the normaliser, Katakana runs (mostly whole loan words and names) are cut out here,
# and Hiragana, where a run joins an ending to the particles after it, is cut into single characters.
_JAPANESE = r"[\p{Katakana}ー]+|\p{Hiragana}"


@dataclass(frozen=True)
class Size:
    """The shape of a scratch encoder."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    max_length: int = 128


SIZES = {
    "tiny": Size(layers=2, hidden=128, heads=4, vocabulary=6_000),
    "small": Size(layers=4, hidden=256, heads=4, vocabulary=16_000),
}


def is_scratch(name: str) -> bool:
    """Whether an encoder's name asks for one made from nothing."""
    return name.startswith("scratch:")


def scratch_size(name: str) -> Size:
    """The size that `scratch:<size>` names. Raises `UsageError` for one that does not exist."""
    size = SIZES.get(name.removeprefix("scratch:"))
    if size is None:
        raise UsageError(f"unknown encoder {name!r}: the scratch sizes are {', '.join(f'scratch:{s}' for s in SIZES)}")
    return size


def train_vocabulary(texts: Iterable[str], size: int) -> Tokenizer:
    """A cased WordPiece tokeniser (Schuster and Nakajima 2012, as in BERT) of at most about `size` pieces.

    Combining marks are kept. Raises `TppcError` where the texts hold no character.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    splitter = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_JAPANESE), "isolated"), pre_tokenizers.BertPreTokenizer()]
    )
    # Counting words here, in sorted order, and naming the continuation characters as given tokens takes the trainer's
    # hash order out of the result: left alone it numbers `##x` pieces, and so breaks ties, differently in each process.
    words: dict[str, int] = {}
    for text in texts:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            words[word] = words.get(word, 0) + 1
    characters: dict[str, int] = {}
    for word, count in words.items():
        for character in word:
            characters[character] = characters.get(character, 0) + count
    if not characters:
        raise TppcError("the corpus holds no text to train a vocabulary on; check its shards with `tppc corpora head`")
    # A character of its own and as a continuation: rare ones must leave half of the room to pieces of several.
    alphabet = sorted(sorted(characters, key=lambda c: (-characters[c], c))[: max(size // 4, 1)])
    continuations = [f"##{c}" for c in alphabet]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=_SPECIAL + continuations,
        initial_alphabet=[],
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    draft = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    draft.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    keep = set(alphabet)
    usable = sorted(w for w in words if keep.issuperset(w))
    draft.train_from_iterator(_repeated(usable, words), trainer)

    tokenizer = Tokenizer(models.WordPiece(vocab=draft.get_vocab(), unk_token="[UNK]", max_input_chars_per_word=64))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    ids = {t: tokenizer.token_to_id(t) for t in _SPECIAL}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def _repeated(words: list[str], counts: dict[str, int]) -> Iterator[str]:
    """Each word as often as it was counted, in lines of bounded length (the trainer takes text, not counts)."""
    for word in words:
        whole, rest = divmod(counts[word], 1_000)
        line = " ".join([word] * 1_000) if whole else ""
        for _ in range(whole):
            yield line
        yield " ".join([word] * rest)


def make_encoder(name: str, texts: Iterable[str], seed: int) -> Encoder:
    """Make `scratch:tiny` or `scratch:small`: random weights drawn from `seed`, vocabulary trained on `texts`.

    Raises `UsageError` for an unknown size, `TppcError` for texts without a character.
    """
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from tppc.encoders.products import with_quick_products

    size = scratch_size(name)
    backend = train_vocabulary(texts, size.vocabulary)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        model_max_length=size.max_length,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip
    config = BertConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.hidden,
        max_position_embeddings=size.max_length,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    with_quick_products(model)
    model.train(False)
    return Encoder(name=name, tokenizer=tokenizer, model=model, pooling="mean", max_length=size.max_length)
