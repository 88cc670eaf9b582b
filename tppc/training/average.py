"""Average the weights of several checkpoints into one encoder.

Checkpoint averaging gave steady gains in zero-shot NER and POS without choosing a checkpoint by the target language
(arXiv 2305.16834). The mean is taken tensor by tensor in float64 and rounded once, so its order does not matter beyond
that and memory is that of one encoder. Checkpoints must come from the same start: the mean of two encoders that were
never one is no encoder.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tppc.corpora.files import canonical_json
from tppc.encoders.identity import digest_of_encoder
from tppc.encoders.load import SETTINGS, Translation, saved_settings
from tppc.errors import TppcError, UsageError
from tppc.training.checkpoints import checkpoints, complete_folder

WEIGHTS = "model.safetensors"
# What of a config.json or a tokenizer.json says nothing about the computation.
_FREE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype"}
_FREE_OF_TOKENIZER = {"truncation", "padding"}
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model")


@dataclass(frozen=True)
class Member:
    """An encoder that goes into the mean. `shown`: how the card names it; `config`: of the checkpoint's run, if any."""

    folder: Path
    shown: str
    digest: str
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Averaged:
    """What was written: the folder, its members, the number of tensors, and whether it has a translation head."""

    out: Path
    members: list[Member]
    tensors: int
    translation: Translation | None


def members_of(paths: Sequence[Path], last: int | None = None) -> list[Member]:
    """The encoders that `paths` name: of a run its last `last` checkpoints (all that were kept, by default), of a
    checkpoint its encoder, of an encoder's folder itself.

    Raises `TppcError` for a path that is none of these or a run with fewer checkpoints, `UsageError` for `last` without
    a run, and for fewer than two encoders.
    """
    found: list[Member] = []
    runs = 0
    for path in paths:
        if (path / "checkpoints").is_dir():
            runs += 1
            kept = checkpoints(path)
            if len(kept) < (last or 1):
                raise TppcError(
                    f"{path}: the run kept {len(kept)} checkpoints, fewer than --last {last or 1}; train it with "
                    f"keep = {last or 2} or more"
                )
            found += [_member(c) for c in kept[-(last or len(kept)) :]]
        else:
            found.append(_member(path))
    if last is not None and not runs:
        raise UsageError("--last chooses among the checkpoints of a run, but no run is named; leave it out")
    if len(found) < 2:
        raise UsageError(f"{len(found)} encoder is nothing to average; name two or more, or a run that kept several")
    if len({m.folder.resolve() for m in found}) < len(found):
        raise UsageError("an encoder is named twice; name each once")
    return found


def _member(path: Path) -> Member:
    if (path / "state.json").is_file() and (path / "encoder" / "config.json").is_file():
        config = _read(path / "state.json").get("config")
        run = path.resolve().parents[1].name
        return Member(path / "encoder", f"{run} {path.name}", digest_of_encoder(path / "encoder"), config)
    if (path / "config.json").is_file():
        return Member(path, path.resolve().name, digest_of_encoder(path))
    raise TppcError(f"{path}: neither a run, nor a checkpoint, nor the folder of an encoder; see `tppc average --help`")


def average(members: Sequence[Member], out: Path) -> Averaged:
    """Write the mean of the members' weights as an encoder folder, complete or not at all.

    Floating-point tensors keep their type, others must be equal. The translation head's scale, which is learned as its
    logarithm, is averaged as that. Raises `TppcError` where two members differ in architecture, vocabulary, pooling,
    prefix or a tensor (the message names it); `UsageError` where `out` exists.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and is not empty; choose another --out")
    first, *others = members
    for other in others:
        _refuse_difference(first, other)
    tensors = _mean_of_files([m.folder for m in members])
    settings = [saved_settings(m.folder) for m in members]
    head = _mean_head([s.get("translation") for s in settings])
    with complete_folder(out) as temporary:
        _copy_rest(first.folder, temporary)
        from safetensors.torch import save_file

        save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
        if settings[0]:
            kept = {k: v for k, v in settings[0].items() if k != "translation"}
            lengths = [s["max_length"] for s in settings if s.get("max_length")]
            kept |= {"max_length": min(lengths)} if lengths else {}
            kept |= {"translation": head.__dict__} if head else {}
            (temporary / SETTINGS).write_bytes(canonical_json(kept))
        (temporary / "README.md").write_text(_card(members, settings[0], head), "utf-8")
    return Averaged(out, list(members), len(tensors), head)


def _refuse_difference(one: Member, other: Member) -> None:
    """Raise `TppcError` for what makes two encoders' weights mean different things."""
    a, b = (_read(m.folder / "config.json") for m in (one, other))
    for key in sorted({*a, *b} - _FREE):
        if a.get(key) != b.get(key):
            raise TppcError(
                f"{other.folder}: not the architecture of {one.folder} ({key} is {b.get(key)!r}, not {a.get(key)!r}); "
                "average checkpoints of one encoder"
            )
    for name in _VOCABULARIES:
        if _vocabulary(one.folder / name) != _vocabulary(other.folder / name):
            raise TppcError(
                f"{other.folder / name}: another vocabulary than that of {one.folder}; average checkpoints of one "
                "encoder"
            )
    x, y = (saved_settings(m.folder) for m in (one, other))
    for key in ("pooling", "prefix"):
        if x.get(key) != y.get(key):
            raise TppcError(
                f"{other.folder}: {key} is {y.get(key)!r}, but {x.get(key)!r} in {one.folder}; average encoders that "
                "read texts in one way"
            )


def _vocabulary(file: Path) -> Any:
    if not file.is_file():
        return None
    if file.name != "tokenizer.json":
        return file.read_bytes()
    return {k: v for k, v in _read(file).items() if k not in _FREE_OF_TOKENIZER}


def _mean_of_files(folders: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of every tensor, by name. Raises `TppcError` that names the first one in which two folders differ."""
    from safetensors import safe_open

    with ExitStack() as stack:
        places: list[dict[str, Any]] = []
        for folder in folders:
            files = sorted(folder.glob("*.safetensors"))
            if not files:
                raise TppcError(f"{folder}: no *.safetensors there; only those are read")
            opened = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
            places.append({name: file for file in opened for name in file.keys()})  # noqa: SIM118
        for folder, place in zip(folders[1:], places[1:], strict=True):
            if odd := sorted(place.keys() ^ places[0].keys()):
                where = folder if odd[0] in place else folders[0]
                raise TppcError(f"only {where} has the tensor {odd[0]}; average checkpoints of one encoder")
        result = {}
        for name in sorted(places[0]):
            values = [place[name].get_tensor(name) for place in places]
            for folder, value in zip(folders[1:], values[1:], strict=True):
                if value.shape != values[0].shape or value.dtype != values[0].dtype:
                    raise TppcError(
                        f"{folder}: the tensor {name} is {_kind(value)}, but {_kind(values[0])} in {folders[0]}; "
                        "average checkpoints of one encoder"
                    )
            result[name] = _mean(name, values, folders)
        return result


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _mean(name: str, values: Sequence[Tensor], folders: Sequence[Path]) -> Tensor:
    if not values[0].is_floating_point():
        for folder, value in zip(folders[1:], values[1:], strict=True):
            if not torch.equal(value, values[0]):
                raise TppcError(f"{folder}: the tensor {name} holds other whole numbers than in {folders[0]}")
        return values[0]
    total = torch.zeros(values[0].shape, dtype=torch.float64)
    for value in values:
        total += value
    return (total / len(values)).to(values[0].dtype)


def _mean_head(heads: Sequence[Mapping[str, Any] | None]) -> Translation | None:
    """The mean head; None unless all have one, over the same similarity."""
    known = [Translation(**h) for h in heads if h is not None]
    if len(known) < len(heads) or len({h.similarity for h in known}) != 1 or any(h.scale <= 0 for h in known):
        return None
    scale = math.exp(sum(math.log(h.scale) for h in known) / len(known))
    return replace(known[0], scale=scale, bias=sum(h.bias for h in known) / len(known))


def _copy_rest(folder: Path, to: Path) -> None:
    """Everything of an encoder but weights, card and settings: configuration, tokeniser, 1_Pooling."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        weights = path.name.endswith((".safetensors", ".safetensors.index.json", ".bin"))
        if path.is_file() and not weights and str(name) not in ("README.md", SETTINGS):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to / name)


def _card(members: Sequence[Member], settings: Mapping[str, Any], head: Translation | None) -> str:
    """`README.md`: what was averaged, and on which corpora that was trained."""
    corpora: dict[str, str] = {}
    control = False
    for member in members:
        config = member.config or {}
        control |= bool(config.get("shuffled_pairs"))
        for corpus in config.get("corpora") or []:
            corpora[str(corpus.get("digest"))] = "/".join(Path(str(corpus.get("path"))).parts[-2:])
    lines = [
        *("---", "library_name: transformers", "pipeline_tag: feature-extraction", "tags:", "- tppc"),
        *(["- control"] if control else []),
        *("---", "", f"# The mean of {len(members)} encoders", ""),
    ]
    if control:
        lines += ["**This is a control.** What was averaged saw shuffled pairs; use it to compare with.", ""]
    lines += [
        "Weights averaged by `tppc average`, in float64. No checkpoint was chosen by a result.",
        "",
        f"Sentence vectors: pooling `{settings.get('pooling', 'cls')}`, prefix {settings.get('prefix') or '(none)'!r}.",
        "",
        "| encoder | SHA-256 of its files |",
        "|---|---|",
        *(f"| {m.shown} | `{m.digest}` |" for m in members),
        "",
    ]
    if head is not None:
        lines += [
            f"Logit of a translation: {head.scale:.4g} x {head.similarity} {head.bias:+.4g} (the mean of theirs).",
            "",
        ]
    if corpora:
        lines += ["| trained on | build digest |", "|---|---|", *(f"| {n} | `{d}` |" for d, n in corpora.items()), ""]
    return "\n".join(lines)


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise TppcError(f"{file}: cannot be read as JSON ({error}); restore it, or leave this encoder out") from error
    if not isinstance(value, dict):
        raise TppcError(f"{file}: not a JSON object; restore it, or leave this encoder out")
    return value
