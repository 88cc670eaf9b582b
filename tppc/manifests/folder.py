"""Finish the folder of a corpus: when its rows are written, everything that is published about them.

Building and mixing share it. All of these files but the manifest are functions of the rows, the recipe and the
snapshots (`Manifest.date` is the only day in them), so two builds of the same data have the same ones; the manifest
alone holds `created`, `git` and the times of retrieval.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tppc.corpora.files import canonical_json, sha256_of_file, write_bytes
from tppc.corpora.manifest import NAME, SEAL, Manifest, write_manifest
from tppc.manifests import card, citation, croissant, provenance


def documents(manifest: Manifest) -> dict[str, bytes]:
    """The files that follow from the manifest alone, by name; those that name its version are among them."""
    # As it will be read from its file, where keys are sorted: so anybody can make the same bytes from a manifest.
    manifest = Manifest.model_validate_json(canonical_json(manifest.model_dump(mode="json")))
    return {
        croissant.NAME: croissant.croissant(manifest),
        provenance.NAME: provenance.provenance(manifest),
        citation.NAME: citation.citation_file(manifest).encode(),
    }


def finish(
    folder: Path,
    draft: Manifest,
    *,
    kept: Sequence[dict[str, Any]] = (),
    refused: dict[str, list[dict[str, Any]]] | None = None,
) -> Manifest:
    """Write the card, Croissant, provenance and citation of a corpus, and its manifest last.

    Args:
        folder: holds the shards already, and all other files (rejects, held-out keys, attribution).
        draft: the manifest but for `files`, which are found here.
        kept, refused: a few rows for the card; `refused` by reason.

    Returns the manifest that was written.
    """
    files = _digests(folder, draft)
    described = draft.model_copy(update={"files": files})
    written = {card.NAME: card.render_card(described, kept, refused or {}).encode(), **documents(described)}
    for name, data in written.items():
        write_bytes(folder / name, data)
        files[name] = hashlib.sha256(data).hexdigest()
    manifest = draft.model_copy(update={"files": files})
    write_manifest(manifest, folder)
    return manifest


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Yield a folder to fill; on success it is renamed to `target`, which must not be there or be empty.

    What a killed attempt left is removed first, so one at a time may work on a target.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if target.is_symlink():
            target.unlink()  # to an empty folder
        elif target.is_dir():
            target.rmdir()
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _digests(folder: Path, draft: Manifest) -> dict[str, str]:
    """SHA-256 of every file but the manifest and its seal, by relative path; shards have theirs already."""
    known = {s.path: s.sha256 for s in draft.shards}
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: known.get(name) or sha256_of_file(p) for name, p in paths.items() if name not in (NAME, SEAL)}
