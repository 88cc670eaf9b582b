"""Bring one file from a store: resumed where a killed attempt stopped, and kept only if its digest fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tppc.corpora.files import sha256_of_file
from tppc.corpora.stores import Store
from tppc.errors import TppcError

_ATTEMPTS = 2


def bring(
    store: Store, name: str, target: Path, digest: str, advance: Callable[[int], None] = lambda amount: None
) -> None:
    """Bring a file whole: what a killed attempt left is kept, and dropped where the digest says that it does not fit.

    Args:
        name: of the file, relative to the store. digest: SHA-256 that its bytes must have.
        advance: is told how many bytes are there.

    One at a time may work on a target. Raises `TppcError` where the store's bytes are others, or cannot be had.
    """
    if target.is_file() and sha256_of_file(target) == digest:
        advance(target.stat().st_size)
        return
    target.unlink(missing_ok=True)
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        start = part.stat().st_size if part.is_file() else 0
        advance(start)
        if not start or sha256_of_file(part) != digest:  # else it was whole, but for its name
            try:
                with part.open("ab") as file:
                    for piece in store.stream(name, start):
                        file.write(piece)
                        advance(len(piece))
            except TppcError:
                if sha256_of_file(part) != digest:  # else all of it came before the connection broke
                    raise
        if sha256_of_file(part) == digest:
            part.replace(target)
            return
        part.unlink()
    raise TppcError(f"{store.address}/{name}: its SHA-256 differs from the manifest's; it was changed or damaged there")
