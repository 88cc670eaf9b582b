"""Which encoder it is: the files that decide its vectors, and one digest over them, wherever they lie."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from tppc.corpora.files import sha256_of_file
from tppc.encoders.load import hub_answers, looks_local
from tppc.errors import TppcError

# Weights, configuration, tokeniser; not the card or what training left beside them.
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "1_Pooling/config.json")


def folder_of(name: str) -> Path:
    """The folder of an encoder: `name` itself, or the copy of a hub name in the cache of the hub's client.

    Raises `TppcError` where there is none.
    """
    if looks_local(name):
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, allow_patterns=list(_FILES), local_files_only=not hub_answers())
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split()).split(". ")[0][:300]
        raise TppcError(
            f"cannot load the encoder {name!r}: {reason}; check the name and the network, or give the folder of a "
            "downloaded encoder"
        ) from error
    return Path(found)


def shown_name(name: str) -> str:
    """An encoder's name for others: a hub name as it is, of a path its last part only."""
    return Path(name).resolve().name if looks_local(name) else name


def digest_of_encoder(folder: Path) -> str:
    """Hex SHA-256 over names and SHA-256 of the files that decide an encoder's vectors, in the order of their names.

    The same as of `sha256sum` over them: a line is the digest, two spaces and the name. Raises `TppcError` for a folder
    without `config.json`.
    """
    if not (folder / "config.json").is_file():
        raise TppcError(f"{folder}: no encoder there (no config.json); give a Hugging Face folder or a hub name")
    names = sorted({p.relative_to(folder).as_posix() for pattern in _FILES for p in folder.glob(pattern)})
    return sha256("".join(f"{sha256_of_file(folder / name)}  {name}\n" for name in names).encode()).hexdigest()
