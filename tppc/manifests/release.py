"""A release: what of a corpus is published, wherever it goes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tppc.corpora.manifest import NAME, Manifest


@dataclass(frozen=True)
class Release:
    """What is published: the manifest's bytes, its seal's, and every other file, on disk or in memory."""

    manifest: Manifest
    data: bytes
    files: dict[str, Path | bytes]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def seal(self) -> bytes:
        """The content of `manifest.json.sha256`."""
        return f"{self.digest}  {NAME}\n".encode()

    def size(self, name: str) -> int:
        """Bytes of a file."""
        source = self.files[name]
        return len(source) if isinstance(source, bytes) else source.stat().st_size

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(map(self.size, self.files))
