"""Find where DEFLATE blocks begin inside a stream that is being inflated (RFC 1951).

A raw inflater can start at any block, given the bit it begins at and the 32 KiB of output before it. Blocks carry no
mark, so likely bits are searched for: a dynamic block's header holds a complete Huffman code of code lengths (one
random bit in a few hundred passes), a stored block's length stands beside its complement. What is found is only a
candidate; the caller inflates from it and compares. Blocks with the fixed code cannot be told from noise and are passed
over; encoders use them for tiny data alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

WINDOW = 32_768
_WORD = 8
_PIECE = 1 << 15  # bytes whose bits are looked at in one go
_TRIAL = 4_096
# What code lengths of four code-length symbols (3 bits each) add to Kraft's sum, in 1/128.
_KRAFT = np.zeros(4096, np.uint16)
for _shift in (0, 3, 6, 9):
    _lengths = (np.arange(4096) >> _shift) & 7
    _KRAFT += np.where(_lengths > 0, 128 >> _lengths, 0).astype(np.uint16)


def candidates(data: bytes) -> Iterator[int]:
    """Bits at which a block that is not the last may begin, rising, counted from the first byte's lowest bit on.

    Bits whose header does not lie in `data` as a whole are left out.
    """
    for start in range(0, len(data) - 2 * _WORD, _PIECE):
        piece = data[start : start + _PIECE + 2 * _WORD]
        found = {8 * start + bit for bit in _dynamic(piece) + _stored(piece)}
        yield from (bit for bit in sorted(found) if bit < 8 * (start + _PIECE) and _inflates(data, bit))


def _words(data: bytes) -> Any:
    """For every byte the 64-bit number that begins there, little-endian."""
    padded = np.frombuffer(data + bytes(_WORD), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(padded, _WORD).copy().view("<u8").ravel()


def _dynamic(data: bytes) -> list[int]:
    words = _words(data)
    count = max(0, len(data) - 2 * _WORD)
    bits = []
    for shift in range(8):
        header = words[:count] >> np.uint64(shift)
        # BFINAL 0, BTYPE 2; at most 286 literal codes and 30 distance codes.
        likely = ((header & 7) == 4) & (((header >> 3) & 31) <= 29) & (((header >> 8) & 31) <= 29)
        at = np.flatnonzero(likely)
        lengths = (words[at + ((shift + 17) >> 3)] >> np.uint64((shift + 17) & 7)) & ((1 << 57) - 1)
        used = 3 * (((header[at] >> 13) & 15) + 4)
        lengths &= (np.uint64(1) << used) - np.uint64(1)
        kraft = sum(_KRAFT[(lengths >> np.uint64(12 * k)) & 4095] for k in range(5))
        bits += (8 * at[kraft == 128] + shift).tolist()
    return bits


def _stored(data: bytes) -> list[int]:
    """LEN beside its complement. The three bits before it are zero: they are the header, or the padding behind it."""
    raw = np.frombuffer(data, np.uint8).astype(np.uint16)
    if len(raw) < 5:
        return []
    pairs = raw[:-1] | (raw[1:] << 8)
    at = np.flatnonzero((pairs[1:-2] ^ pairs[3:]) == 0xFFFF)
    return [8 * int(i) + 5 for i in at if raw[i] >> 5 == 0]


def _primer(bit: int) -> tuple[int, int]:
    """Empty blocks that take `bit` bits more than whole bytes, as a number (first bit lowest) and its width."""
    value, width = 0, 0
    if bit % 2:
        # A dynamic block of 91 bits: 257 literal codes, 1 distance code, 18 code-length codes, of which those for 18
        # (a run of zeros) and for 1 have one bit; then lengths 1, 138 zeros, 117 zeros, 1 and 1; then its end.
        lengths = 1 << 3 * 2 | 1 << 3 * 17
        header = ((4, 3), (0, 5), (0, 5), (14, 4), (lengths, 54))
        for part, bits in (*header, (0, 1), (1, 1), (127, 7), (1, 1), (106, 7), (0, 2), (1, 1)):
            value, width = value | part << width, width + bits
    while width % 8 != bit:
        value, width = value | 2 << width, width + 10  # a block with the fixed code that ends at once
    return value, width


def primed(data: bytes, bit: int) -> bytes:
    """The stream from bit `bit` (0-7) of `data` on, for a raw inflater: empty blocks take the place of bits before it.

    So the bytes behind it stay as they are, and with them the byte boundaries at which stored blocks lie.
    """
    if bit == 0:
        return data
    value, width = _primer(bit)
    first = data[0] >> bit
    return (value | first << width).to_bytes(width // 8 + 1, "little") + data[1:]


def _inflates(data: bytes, bit: int) -> bool:
    """Whether an inflater takes the header and the codes that follow."""
    start = bit >> 3
    trial = zlib.decompressobj(-15, zdict=bytes(WINDOW))
    try:
        trial.decompress(primed(data[start : start + _TRIAL], bit & 7))
    except zlib.error:
        return False
    return True
