"""A run's folder: what may be written where, and checkpoints that are complete or absent.

    checkpoints/step-000500/
      encoder/               a Hugging Face folder, usable as an encoder by itself
      heads.safetensors      parameters of the objectives, the projection, the head for masked tokens
      optimizer.safetensors  AdamW's state, `<parameter>/<slot>`
      adapters.safetensors   with LoRA: A and B (`encoder/` has them merged)
      ema.safetensors        with `ema`: the moving average
      state.json             format, step, config of the run, digest of the start where a resumed run needs it

Only safetensors and JSON, so nothing is ever unpickled. There is no RNG state and no position of the data: both follow
from (seed, step, rank). A checkpoint is written beside its place, synced, and renamed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tppc.corpora.files import canonical_json, write_bytes
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import TppcError, UsageError
from tppc.training.config import TrainConfig

FORMAT = "tppc-checkpoint/1"
LOCK = ".lock"
_NAME = re.compile(r"step-(\d{6,})")
# What may change between a run and its continuation, since no weight depends on it.
_FREE = {"save_every", "keep", "log_every", "eval_every", "eval_pairs", "track"}


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold `<out>/.lock`, so that one process at a time writes to a run; a folder that is empty after all goes again.

    The lock is the kernel's (flock): it ends with its process however that ends, and a file that a killed run left
    behind locks nothing. Raises `UsageError` where another process holds it or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: a file stands where the run's folder should be; choose another --out")
    fresh = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(handle, out)
        try:
            yield
        finally:
            (out / LOCK).unlink(missing_ok=True)
            if fresh and not any(out.iterdir()):
                out.rmdir()
    finally:
        os.close(handle)


def _lock(handle: int, out: Path) -> None:
    """Lock an open file, or say that another process has."""
    busy = f"{out}: another `tppc train` is writing there; wait until it ends, or choose another --out"
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A run that ended just now has taken the file away, and the next may have made another one.
        if not os.path.samestat(os.fstat(handle), (out / LOCK).stat()):
            raise UsageError(busy)
    except (BlockingIOError, FileNotFoundError) as error:
        raise UsageError(busy) from error


def check_folder(out: Path, config: TrainConfig, resume: bool) -> Path | None:
    """Check that a run may be written to `out`; the last complete checkpoint if there is one to go on from.

    Raises `UsageError`, with nothing touched, for a folder that is not empty without `resume`, one that is no run, or a
    run with another config (the message names the field).
    """
    if resume and not (out / "config.toml").is_file():
        raise UsageError(f"{out}: nothing to resume there (no config.toml); choose the folder of a run")
    if out.exists() and any(p.name != LOCK for p in out.iterdir()):
        if not resume:
            hint = "go on with --resume or " if (out / "config.toml").is_file() else ""
            if hint and not checkpoints(out):
                hint = "no checkpoint was saved there: delete it, go on with --resume or "
            raise UsageError(f"{out}: the folder exists and is not empty; {hint}choose another --out")
        refuse_difference(out / "config.toml", config)
    return last_checkpoint(out) if resume else None


def claim_folder(out: Path, config: TrainConfig) -> None:
    """Write `config.toml` (which makes the folder a run) and clear away what a killed run left half done."""
    for leftover in [*out.glob(".*.part"), *(out / "checkpoints").glob(".*.part")]:
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
    write_bytes(out / "config.toml", config.to_toml().encode())


def refuse_difference(file: Path, config: TrainConfig) -> None:
    """Raise `UsageError` naming the first setting in which `config` differs from the run's `config.toml`."""
    try:
        before = _flat(tomllib.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise TppcError(f"{file}: not TOML ({error}); restore it, or start a new run in another folder") from error
    now = _flat(tomllib.loads(config.to_toml()))
    for field in sorted({*before, *now}):
        # A corpus may have moved; its digest says whether it is the same one.
        moved = field.startswith(("corpora.", "monolingual.")) and field.endswith(".path")
        free = field.split(".")[0] in _FREE or moved
        if not free and before.get(field) != now.get(field):
            raise UsageError(
                f"{file}: the run was started with {field} = {before.get(field)!r}, not {now.get(field)!r}; "
                "resume it with the same settings, or start a new run in another folder"
            )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables and arrays of tables as one table with dotted keys."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = {str(i): v for i, v in enumerate(value)}
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return flat


def checkpoints(out: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    folder = out / "checkpoints"
    found = [p for p in folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, key=lambda p: int(p.name.removeprefix("step-")))


def last_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint of a run."""
    return next(reversed(checkpoints(out)), None)


def save_checkpoint(
    out: Path,
    step: int,
    config: TrainConfig,
    encoder: Encoder,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    start: str | None = None,
) -> Path:
    """Write the checkpoint of `step` finished steps, then delete all but the newest `keep`.

    Args:
        tensors: by file name, what the run needs beside the encoder. start: digest of the start encoder's weights,
            where a resumed run needs them.
    """
    from safetensors.torch import save_file

    folder = out / "checkpoints" / f"step-{step:06d}"
    if not folder.exists():
        with complete_folder(folder) as temporary:
            save_encoder(encoder, temporary / "encoder")
            for name, flat in tensors.items():
                save_file({k: v.detach().cpu().contiguous() for k, v in flat.items()}, temporary / name)
            state: dict[str, Any] = {"format": FORMAT, "step": step, "config": config.model_dump(mode="json")}
            (temporary / "state.json").write_bytes(canonical_json(state | ({"start": start} if start else {})))
    for old in checkpoints(out)[: -config.keep]:
        shutil.rmtree(old)
    return folder


def checkpoint_step(folder: Path) -> int:
    """Finished steps of a checkpoint. Raises `TppcError` where it cannot be read."""
    return int(checkpoint_state(folder)["step"])


def checkpoint_state(folder: Path) -> dict[str, Any]:
    """What a checkpoint's `state.json` says. Raises `TppcError` where it cannot be read."""
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_bytes())
    except (OSError, ValueError) as error:
        raise TppcError(
            f"{folder}: unreadable checkpoint ({error}); delete it to resume from the one before"
        ) from error
    if state.get("format") != FORMAT:
        raise TppcError(f"{folder}: checkpoint format {state.get('format')!r}, but this version reads {FORMAT!r}")
    return state


@contextmanager
def load_tensors(folder: Path, name: str) -> Iterator[dict[str, torch.Tensor]]:
    """The tensors of a checkpoint's file, for a block that puts them back. Raises `TppcError` for a damaged file, and
    where they do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        yield load_file(folder / name)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise TppcError(f"{folder}: damaged checkpoint ({error}); delete it to resume from the one before") from error


class complete_folder:
    """Context manager: a temporary folder that replaces `folder` when the block ends well, fsynced first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder.parent / f".{folder.name}.part"

    def __enter__(self) -> Path:
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)
            return
        for path in [*self.temporary.rglob("*"), self.temporary]:
            _sync(path)
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.temporary.replace(self.folder)
        _sync(self.folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
