"""Where reading a compressed file can go on: what `chunks` gives out and takes back."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

#: What is wrong with a truncated file, whatever its format.
CUT = "the file ends in the middle"


@dataclass(frozen=True)
class Position:
    """A place in a compressed file from which it can be read on.

    Attributes:
        format: `gzip`, `bzip2` or `plain`. byte, bit: the place in the file; bits count from the lowest in gzip, from
        the highest in bzip2.
        inside: whether it is inside a gzip member or a bzip2 stream, not before its header.
        window: the 32 KiB of output before it, of this gzip member. crc, length: CRC-32 and bytes of that
        member's output so far.
    """

    format: str
    byte: int
    bit: int = 0
    inside: bool = False
    window: bytes = b""
    crc: int = 0
    length: int = 0

    def to_json(self) -> dict[str, Any]:
        """The position as JSON values."""
        return {**self.__dict__, "window": base64.b64encode(self.window).decode()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Position:
        """What `to_json` gave."""
        return replace(cls(**value), window=base64.b64decode(value["window"]))


@dataclass(frozen=True)
class Chunk:
    """Some megabytes of a file's content.

    `position` is where reading can go on right behind `data`, or None; `read` is how many bytes of the file were taken.
    """

    data: bytes
    position: Position | None
    read: int


class Damaged(Exception):
    """The file is damaged or ends too early; the message says how."""
