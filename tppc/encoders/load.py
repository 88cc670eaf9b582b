"""Load and save an encoder: a tokeniser, a Hugging Face model and the way its token states become one vector.

An encoder is a hub name or a folder. How to pool, which prefix to put before a text and where to cut are part of the
encoder: a folder that tppc saved says them in `tppc_encoder.json`, a sentence-transformers folder says its pooling in
`1_Pooling/config.json`, and anything else is read at [CLS]. Only safetensors are read; nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Pooling = Literal["cls", "mean", "pooler"]
POOLINGS: tuple[Pooling, ...] = ("cls", "mean", "pooler")
SETTINGS = "tppc_encoder.json"
LONGEST = 512

# Everyday sentences; what a tokeniser does to their combining marks it does to the language.
_MARKED = {
    "hi": "हिन्दी में यह किताब बहुत अच्छी है और मैं इसे पढ़ना चाहता हूँ।",
    "ar": "أَنَا أُحِبُّ القِرَاءَةَ فِي المَكْتَبَةِ، وَإِلَى أُمِّي كَتَبْتُ رِسَالَةً آخِرَ الأُسْبُوعِ.",
    "ja": "がっこうでべんきょうしてから、バスでデパートへプレゼントをかいにいきます。",
}


# One sentence in each of the scripts that most people write. A tokeniser that knows no word of any has no vocabulary.
_PROBES = (
    "We read a book on 1 January, and it was good.", "Мы читали книгу и потом ушли.",
    "Διαβάζω ένα βιβλίο και ο φίλος μου.",
    "أنا أقرأ كتابا و هو جميل.", "אני קורא ספר ו זה טוב.", "मैं एक किताब पढ़ता हूँ और वह घर है।", "আমি একটি বই পড়ি ও সে যায়।",
    "நான் ஒரு புத்தகம் படிக்கிறேன்.", "నేను ఒక పుస్తకం చదువుతాను.", "ผมอ่านหนังสือทุกวัน", "მე ვკითხულობ წიგნს და ის.",
    "Ես կարդում եմ մի գիրք և նա.", "나는 책을 읽고 그 는 간다.", "私は本を読む。", "我在家里看书。", "እኔ መጽሐፍ አነባለሁ።",
)  # fmt: skip
_FEWEST_TOKENS = 10


@dataclass(frozen=True)
class Translation:
    """What Translation Pair Prediction learned beside the encoder: the logit `scale * s + bias` of "is a translation",
    where s is the cosine or the dot product of the two texts' vectors.
    """

    similarity: Literal["cosine", "dot"]
    scale: float
    bias: float


@dataclass(frozen=True)
class Encoder:
    """A tokeniser and a model, and how a text becomes a vector.

    `pooling` is `cls` (state of the first token), `mean` (mean over all tokens that are not padding) or `pooler`
    (the model's own tanh layer over [CLS]). `max_length` is in tokens, special ones included; `limit` is where the
    encoder cuts when nobody asks for another length (None: `max_length`), and what is saved with it. `prefix` goes
    before every text. `translation` is there where the encoder was trained on Translation Pair Prediction. `layer` is
    whose states are pooled: 0 the embeddings, 7 the output of the seventh layer, None the last; it is a way to look at
    an encoder, see `at_layer`, and never saved with it.
    """

    name: str
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    pooling: Pooling
    max_length: int
    prefix: str = ""
    limit: int | None = None
    translation: Translation | None = None
    layer: int | None = None

    @property
    def hidden_size(self) -> int:
        """H, the length of a vector."""
        return int(self.model.config.hidden_size)


def at_layer(encoder: Encoder, layer: int) -> Encoder:
    """The same encoder, read at the output of a layer: 0 the embeddings, 1 the first layer, and so on.

    Raises `UsageError` for a layer it does not have, and for `pooler`, which only sees the last one.
    """
    count = int(encoder.model.config.num_hidden_layers)
    if not 0 <= layer <= count:
        raise UsageError(f"{encoder.name}: it has the layers 0 (embeddings) to {count}, so --layer {layer} is no use")
    if encoder.pooling == "pooler":
        raise UsageError(f"{encoder.name}: its pooler sees the last layer only; with --layer use --pooling cls or mean")
    return replace(encoder, layer=layer)


def load_encoder(
    name: str,
    *,
    pooling: str | None = None,
    prefix: str | None = None,
    max_length: int | None = None,
    device: str | torch.device | None = None,
) -> Encoder:
    """Load an encoder by hub name or folder, in float32 and evaluation mode; arguments override what the folder says.

    Raises `UsageError` for an unknown pooling, one the model does not have, or a length it cannot take; `TppcError`
    for a folder or a name that cannot be loaded, for settings that cannot be read, and for a tokeniser without a
    vocabulary. Warns on stderr when the tokeniser strips combining marks or the file lacks weights.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise UsageError(f"unknown pooling {pooling!r}: choose one of {', '.join(POOLINGS)}")
    tokenizer, model = _load(name)
    _refuse_no_vocabulary(name, tokenizer)
    saved = saved_settings(Path(name))
    chosen = cast(Pooling, pooling or saved.get("pooling") or "cls")
    if chosen == "pooler" and getattr(model, "pooler", None) is None:
        raise UsageError(f"{name}: this model has no pooler layer; use --pooling cls or --pooling mean")
    limit = _length_limit(tokenizer, model)
    if max_length is not None and not 3 <= max_length <= limit:
        raise UsageError(
            f"{name}: it takes texts of 3 to {limit} tokens, so a maximum length of {max_length} is no use"
        )
    own = min(int(saved.get("max_length") or limit), limit)
    if device is not None:
        model.to(device)  # type: ignore[arg-type]
    _warn_about_marks(name, tokenizer)
    model.train(False)
    chosen_prefix = str(saved.get("prefix") or "") if prefix is None else prefix
    return Encoder(
        name=name,
        tokenizer=tokenizer,
        model=model,
        pooling=chosen,
        max_length=max_length or own,
        prefix=chosen_prefix,
        limit=own,
        translation=Translation(**saved["translation"]) if saved.get("translation") else None,
    )


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder as a Hugging Face folder (`AutoModel` and `AutoTokenizer` load it) with its settings.

    The length that is saved is the encoder's own, not the one it happened to be trained with: a trained encoder and its
    start then read the same texts.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would break into the trainer's own
    folder.mkdir(parents=True, exist_ok=True)
    encoder.model.save_pretrained(folder, safe_serialization=True)
    encoder.tokenizer.save_pretrained(folder)
    length = encoder.limit or encoder.max_length
    settings: dict[str, Any] = {"pooling": encoder.pooling, "prefix": encoder.prefix, "max_length": length}
    if encoder.translation is not None:
        settings["translation"] = asdict(encoder.translation)
    (folder / SETTINGS).write_text(json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True) + "\n", "utf-8")


def renamed(encoder: Encoder, name: str) -> Encoder:
    """The same encoder under another name (the model is shared, not copied)."""
    return replace(encoder, name=name)


def marks_destroyed(tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """Share of the non-space characters of sample sentences that the tokeniser's normaliser destroys, by language.

    A character is destroyed when a combining mark of its canonical decomposition (general category Mn, Unicode
    Standard 4.5) is gone: a Hindi vowel sign, an Arabic hamza, a Japanese voicing mark. Empty where nothing is lost or
    the tokeniser has no normaliser to ask.
    """
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    if normalizer is None:
        return {}

    def marks(text: str) -> int:
        return sum(unicodedata.category(c) == "Mn" for c in unicodedata.normalize("NFD", text))

    lost = {}
    for code, text in _MARKED.items():
        share = (marks(text) - marks(normalizer.normalize_str(text))) / sum(not c.isspace() for c in text)
        if share > 0:
            lost[code] = share
    return lost


def _load(name: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Tokeniser and model, or one sentence why not."""
    if name.startswith("scratch:"):
        raise UsageError(f"{name}: a scratch encoder is made by `tppc train`; load the folder it saved instead")
    path = Path(name)
    if looks_local(name) and not (path / "config.json").is_file():
        run = f"; it is a run: give {path / 'encoder'}" if (path / "encoder" / "config.json").is_file() else ""
        raise TppcError(f"{name}: no encoder there (no config.json); give a Hugging Face folder or a hub name{run}")

    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    from tppc.encoders.products import with_quick_products

    local = looks_local(name) or not hub_answers()
    try:
        # A model without a pooler in its file gets a random one; it must be the same one on every rank and every time.
        with _quiet_transformers(), torch.random.fork_rng(devices=[]):
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
            torch.manual_seed(0)
            model, loaded = AutoModel.from_pretrained(
                name, use_safetensors=True, dtype=torch.float32, local_files_only=local, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split()).split(". ")[0][:300]
        if looks_local(name):
            remedy = "it must hold config.json, model.safetensors and the tokeniser's files"
        else:
            remedy = "check the name and the network, or give the folder of a downloaded encoder"
        raise TppcError(f"cannot load the encoder {name!r}: {reason}; {remedy}") from error
    _warn_about_missing(name, sorted(loaded["missing_keys"]))
    with_quick_products(model)
    return tokenizer, cast("PreTrainedModel", model)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bars, and no report of what a file lacks: most lack a pooler, `_warn_about_missing` says the rest."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _refuse_no_vocabulary(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `TppcError` for a tokeniser that knows nothing.

    Transformers invents one of five special tokens for a folder without tokeniser files; every text is then [UNK].
    """
    known = len(tokenizer) - len(set(tokenizer.all_special_ids))
    unknown = tokenizer.unk_token_id
    ids = [i for text in _PROBES for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
    if known < _FEWEST_TOKENS or all(i == unknown for i in ids):
        raise TppcError(
            f"{name}: its tokeniser knows no words ({max(known, 0)} tokens that are not special); put the tokeniser's "
            "files (tokenizer.json, or vocab.txt and its like) beside the model's"
        )


def looks_local(name: str) -> bool:
    """Whether an encoder's name is that of a folder rather than one on the hub."""
    return Path(name).exists() or name.startswith((".", "/", "~")) or name.count("/") > 1


def hub_answers() -> bool:
    """Whether the hub can be reached, asked once: its client would try each file for half a minute."""
    import requests
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        requests.head(constants.ENDPOINT, timeout=10)
    except requests.RequestException:
        return False
    return True


def saved_settings(folder: Path) -> dict[str, Any]:
    """What a local folder says about its encoder: `pooling`, `prefix`, `max_length`, `translation`; empty for a hub
    name or a folder that says nothing. Raises `TppcError` or `UsageError` for settings that cannot be read.
    """
    if (folder / SETTINGS).is_file():
        return _checked_settings(folder / SETTINGS)
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return {}
    declared = _read_object(file)
    # sentence-transformers up to 5 writes one flag a mode, later versions one name.
    mode = declared.get("pooling_mode")
    if mode == "mean" or declared.get("pooling_mode_mean_tokens"):
        return {"pooling": "mean"}
    if mode == "cls" or declared.get("pooling_mode_cls_token"):
        return {"pooling": "cls"}
    raise UsageError(f"{file}: a pooling that tppc does not have; say --pooling cls or --pooling mean")


def _checked_settings(file: Path) -> dict[str, Any]:
    """What a `tppc_encoder.json` says. Raises `TppcError` for a value that cannot be one."""
    settings = _read_object(file)
    pooling, prefix, length = (settings.get(k) for k in ("pooling", "prefix", "max_length"))
    if pooling not in POOLINGS:
        raise TppcError(f"{file}: unknown pooling {pooling!r}; save the encoder again")
    if prefix is not None and not isinstance(prefix, str):
        raise TppcError(f"{file}: the prefix {prefix!r} is no text; save the encoder again")
    if length is not None and (type(length) is not int or length < 3):
        raise TppcError(f"{file}: max_length {length!r} is no whole number of at least 3; save the encoder again")
    if (head := settings.get("translation")) is not None and not _is_translation(head):
        raise TppcError(f"{file}: the translation head {head!r} is none; save the encoder again")
    return settings


def _is_translation(value: Any) -> bool:
    """Whether a value of JSON is the head that `Translation` holds."""
    return (
        isinstance(value, dict)
        and value.keys() == {"similarity", "scale", "bias"}
        and value["similarity"] in ("cosine", "dot")
        and all(isinstance(value[k], int | float) and math.isfinite(value[k]) for k in ("scale", "bias"))
    )


def _read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `TppcError` for anything else."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TppcError(f"{file}: not JSON ({error}); restore it, or delete it to say the settings yourself") from error
    if not isinstance(value, dict):
        raise TppcError(f"{file}: not a JSON object; restore it, or delete it to say the settings yourself")
    return value


def _length_limit(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Most tokens a text may have: what the tokeniser says, the positions of the model, at most `LONGEST`."""
    positions = getattr(model.config, "max_position_embeddings", None) or LONGEST
    if model.config.model_type in ("xlm-roberta", "roberta", "camembert"):
        positions -= 2  # their positions start after the padding index
    return min(int(tokenizer.model_max_length), int(positions), LONGEST)


def _warn_about_missing(name: str, missing: list[str]) -> None:
    missing = [key for key in missing if not key.startswith("pooler.")]
    if missing:
        print(
            f"warning: the file of {name} lacks {len(missing)} weights ({', '.join(missing[:3])}), now random; "
            "check that it belongs to its config.json",
            file=sys.stderr,
        )


def _warn_about_marks(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    lost = marks_destroyed(tokenizer)
    if lost:
        shares = ", ".join(f"{share:.0%} of the characters in {code}" for code, share in sorted(lost.items()))
        print(
            f"warning: the tokeniser of {name} strips combining marks and so destroys {shares}; "
            "prefer a cased encoder such as bert-base-multilingual-cased",
            file=sys.stderr,
        )
