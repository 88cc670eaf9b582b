"""Load and save an encoder: a tokeniser, a Hugging Face model and the way its token states become one vector.

An encoder is a hub name or a folder. How to pool, which prefix to put before a text and where to cut are part of the
encoder: a folder that tppc saved says them in `tppc_encoder.json`, a sentence-transformers folder says its pooling in
`1_Pooling/config.json`, and anything else is read at [CLS]. Only safetensors are read; nothing is ever unpickled.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Encoder:
    """A tokeniser and a model, and how a text becomes a vector.

    `pooling` is `cls` (state of the first token), `mean` (mean over all tokens that are not padding) or `pooler`
    (the model's own tanh layer over [CLS]). `max_length` is in tokens, special ones included. `prefix` goes before
    every text.
    """

    name: str
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    pooling: Pooling
    max_length: int
    prefix: str = ""

    @property
    def hidden_size(self) -> int:
        """H, the length of a vector."""
        return int(self.model.config.hidden_size)


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
    for a folder or a name that cannot be loaded. Warns on stderr when the tokeniser strips combining marks.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise UsageError(f"unknown pooling {pooling!r}: choose one of {', '.join(POOLINGS)}")
    tokenizer, model = _load(name)
    saved = _saved_settings(Path(name))
    chosen = cast(Pooling, pooling or saved.get("pooling") or "cls")
    if chosen == "pooler" and getattr(model, "pooler", None) is None:
        raise UsageError(f"{name}: this model has no pooler layer; use --pooling cls or --pooling mean")
    limit = _length_limit(tokenizer, model)
    if max_length is not None and not 3 <= max_length <= limit:
        raise UsageError(
            f"{name}: it takes texts of 3 to {limit} tokens, so a maximum length of {max_length} is no use"
        )
    length = max_length or min(int(saved.get("max_length") or limit), limit)
    if device is not None:
        model.to(device)  # type: ignore[arg-type]
    _warn_about_marks(name, tokenizer)
    model.train(False)
    chosen_prefix = str(saved.get("prefix") or "") if prefix is None else prefix
    return Encoder(name=name, tokenizer=tokenizer, model=model, pooling=chosen, max_length=length, prefix=chosen_prefix)


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder as a Hugging Face folder (`AutoModel` and `AutoTokenizer` load it) with its settings."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would break into the trainer's own
    folder.mkdir(parents=True, exist_ok=True)
    encoder.model.save_pretrained(folder, safe_serialization=True)
    encoder.tokenizer.save_pretrained(folder)
    settings = {"pooling": encoder.pooling, "prefix": encoder.prefix, "max_length": encoder.max_length}
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
    looks_local = path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_local and not (path / "config.json").is_file():
        raise TppcError(f"{name}: no encoder there (no config.json); give a Hugging Face folder or a hub name")

    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    local = looks_local or not _hub_answers()
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        # A model without a pooler in its file gets a random one; it must be the same one on every rank and every time.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = AutoModel.from_pretrained(name, use_safetensors=True, dtype=torch.float32, local_files_only=local)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split()).split(". ")[0][:300]
        if looks_local:
            remedy = "it must hold config.json, model.safetensors and the tokeniser's files"
        else:
            remedy = "check the name and the network, or give the folder of a downloaded encoder"
        raise TppcError(f"cannot load the encoder {name!r}: {reason}; {remedy}") from error
    return tokenizer, cast("PreTrainedModel", model)


def _hub_answers() -> bool:
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


def _saved_settings(folder: Path) -> dict[str, Any]:
    """Pooling, prefix and length a local folder declares; empty for a hub name or a folder that says nothing."""
    if (folder / SETTINGS).is_file():
        settings = json.loads((folder / SETTINGS).read_text("utf-8"))
        if settings.get("pooling") not in POOLINGS:
            raise TppcError(f"{folder / SETTINGS}: unknown pooling {settings.get('pooling')!r}; save the encoder again")
        return dict(settings)
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return {}
    declared = json.loads(file.read_text("utf-8"))
    # sentence-transformers up to 5 writes one flag a mode, later versions one name.
    mode = declared.get("pooling_mode")
    if mode == "mean" or declared.get("pooling_mode_mean_tokens"):
        return {"pooling": "mean"}
    if mode == "cls" or declared.get("pooling_mode_cls_token"):
        return {"pooling": "cls"}
    raise UsageError(f"{file}: a pooling that tppc does not have; say --pooling cls or --pooling mean")


def _length_limit(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Most tokens a text may have: what the tokeniser says, the positions of the model, at most `LONGEST`."""
    positions = getattr(model.config, "max_position_embeddings", None) or LONGEST
    if model.config.model_type in ("xlm-roberta", "roberta", "camembert"):
        positions -= 2  # their positions start after the padding index
    return min(int(tokenizer.model_max_length), int(positions), LONGEST)


def _warn_about_marks(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    lost = marks_destroyed(tokenizer)
    if lost:
        shares = ", ".join(f"{share:.0%} of the characters in {code}" for code, share in sorted(lost.items()))
        print(
            f"warning: the tokeniser of {name} strips combining marks and so destroys {shares}; "
            "prefer a cased encoder such as bert-base-multilingual-cased",
            file=sys.stderr,
        )
