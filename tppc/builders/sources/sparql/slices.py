"""How much to ask for at once, and a file that grows slice by slice and survives a kill at any moment."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tppc.corpora.files import canonical_json, write_bytes

_FAST, _SLOW = 10.0, 40.0  # seconds, of the 60 that the public endpoint allows


@dataclass
class Slices:
    """The size of the next slice: half after a refusal, more after a fast answer.

    As in TCP's congestion control: doubled up to the `threshold`, which is where the last refusal left the size, and
    by an eighth above it; so the size comes back quickly after a busy minute, and is refused seldom at a real limit.
    It never falls below 1 or exceeds `largest`.
    """

    size: int
    threshold: int
    largest: int

    def shrink(self, asked: int) -> None:
        """A slice of size `asked` was too much."""
        self.size = self.threshold = max(1, asked // 2)

    def adapt(self, seconds: float) -> None:
        """The last slice was answered in so many seconds."""
        if seconds > _SLOW:
            self.size -= self.size // 4
        elif seconds < _FAST and self.size < self.threshold:
            self.size = min(2 * self.size, self.threshold, self.largest)
        elif seconds < _FAST:
            self.size = min(self.size + max(1, self.size // 8), self.largest)

    def limit(self, largest: int) -> None:
        """From now on no slice is larger than `largest`."""
        self.size = self.threshold = self.largest = largest


class Journal:
    """A file that grows slice by slice. `state` is what the last complete slice left: any JSON values.

    The state is written after the bytes it counts, and holds their number: what a killed process wrote beyond it is
    cut off when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checkpoint = path.with_name(path.name + ".checkpoint.json")
        have = path.stat().st_size if path.is_file() else -1
        state: dict[str, Any] = json.loads(self._checkpoint.read_bytes()) if self._checkpoint.is_file() else {}
        if state.get("bytes", 0) > have:  # somebody removed or cut the file
            state = {}
        self.state = state
        self._cut(state.get("bytes", 0))

    def add(self, data: bytes, **state: Any) -> None:
        """Append a slice and note the state it leads to."""
        with self.path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        self.state |= {**state, "bytes": size}
        write_bytes(self._checkpoint, canonical_json(self.state))

    def restart(self) -> None:
        """Begin from nothing."""
        self.forget()
        self.state = {}
        self._cut(0)

    def _cut(self, size: int) -> None:
        with self.path.open("ab") as file:
            file.truncate(size)

    def forget(self) -> None:
        """Forget the state; the file is complete."""
        self._checkpoint.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file and the state."""
        self.forget()
        self.path.unlink(missing_ok=True)
