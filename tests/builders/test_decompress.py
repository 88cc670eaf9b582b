"""Decompression with places to go on: every position of every file leads to the same rest, and no damage goes unseen."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from made_dump import gzipped, lines

from tppc.builders.decompress import Damaged, Position, ahead, chunks
from tppc.builders.decompress import bzip2_blocks as bzip2
from tppc.builders.decompress import gzip_members as members
from tppc.builders.decompress.bzip2_blocks import as_stream, marks
from tppc.builders.decompress.deflate_blocks import candidates
from tppc.builders.sources.compressed import Unterminated, lines_of
from tppc.corpora.files import open_compressed
from tppc.errors import TppcError


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes megabytes in a dump happens in kilobytes here."""
    monkeypatch.setattr(members, "_INPUT", 5_000)
    monkeypatch.setattr(members, "_AHEAD", 1 << 15)
    monkeypatch.setattr(members, "_PROOF", 70_000)
    monkeypatch.setattr(bzip2, "_PIECE", 40_000)
    monkeypatch.setattr(bzip2, "_OUTPUT", 150_000)


def content(data: bytes, every: int = 1 << 60, start: Position | None = None, path: Path | None = None) -> bytes:
    return b"".join(c.data for c in chunks(io.BufferedReader(io.BytesIO(data)), every, start, path))


def places(data: bytes, every: int, path: Path | None = None) -> list[tuple[int, Position]]:
    """Positions and how much content lies before each."""
    found, length = [], 0
    for chunk in chunks(io.BufferedReader(io.BytesIO(data)), every, path=path):
        length += len(chunk.data)
        if chunk.position:
            found.append((length, Position.from_json(chunk.position.to_json())))
    return found


@lru_cache
def _dump() -> bytes:
    return b"".join(lines(3_000, kilobytes=(1, 4)))


def text(seed: int, size: int) -> bytes:
    """A stretch of a made dump: it compresses five to one, in many blocks."""
    return _dump()[seed * 50_000 :][:size]


def noise(seed: int, size: int) -> bytes:
    """Bytes that do not compress: encoders store them."""
    return random.Random(seed).randbytes(size)


KINDS = st.sampled_from(["text", "noise", "zeros"])


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    parts = []
    for kind in draw(st.lists(KINDS, min_size=1, max_size=4)):
        size, seed = draw(st.integers(1, 120_000)), draw(st.integers(0, 9))
        parts.append(text(seed, size) if kind == "text" else noise(seed, size) if kind == "noise" else bytes(size))
    return b"".join(parts)


slow = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@slow
@given(st.lists(st.tuples(contents(), st.integers(0, 9), st.sampled_from([0, 2, 3, 4])), min_size=1, max_size=3))
def test_a_gzip_file_is_read_on_from_every_position(parts: list[tuple[bytes, int, int]]) -> None:
    packed, whole = b"", b""
    for data, level, strategy in parts:  # 2: Huffman only, 3: runs, 4: the fixed code
        packer = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
        packed += packer.compress(data) + packer.flush()
        whole += data
    assert content(packed, 30_000) == whole
    for length, position in places(packed, 30_000):
        assert content(packed, start=position) == whole[length:]
        again = places(packed, 50_000)
        assert all(content(packed, start=further) == whole[at:] for at, further in again[:2])


@pytest.mark.parametrize("level", range(1, 10))
def test_positions_lie_inside_a_gzip_member_at_any_bit(level: int) -> None:
    data = text(level, 4_000_000)
    packed = gzipped(data, level)
    found = places(packed, 200_000)
    assert len(found) >= 4
    assert [p.inside for _, p in found] == [True] * (len(found) - 1) + [False]  # the last stands behind the member
    for length, position in found:
        assert content(packed, start=position) == data[length:]
        # What is read on from a position finds positions of its own.
        rest = list(chunks(io.BufferedReader(io.BytesIO(packed)), 200_000, position))
        assert b"".join(c.data for c in rest) == data[length:]
        assert {c.position.byte for c in rest if c.position} <= set(range(position.byte, len(packed) + 1))


def test_positions_lie_between_stored_blocks_too() -> None:
    data = noise(1, 900_000)
    packed = gzipped(data)
    found = places(packed, 200_000)
    assert found
    assert all(content(packed, start=position) == data[length:] for length, position in found)


def test_the_blocks_of_a_dump_are_found_and_nothing_else() -> None:
    data = text(3, 1_000_000)
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    found = list(candidates(packed))
    assert len(found) >= 5
    for bit in found:
        whole = zlib.decompressobj(-15)
        before = whole.decompress(packed[: (bit + 7) // 8])
        raw = int.from_bytes(packed, "little") >> bit
        rest = zlib.decompressobj(-15, zdict=before[-32_768:]).decompress(raw.to_bytes(len(packed), "little"))
        assert before + rest == data


def test_gzip_headers_with_every_field_and_padding_between_members() -> None:
    body = zlib.compressobj(6, zlib.DEFLATED, -15)
    raw = body.compress(b"second\n") + body.flush()
    head = b"\x1f\x8b\x08\x1f" + bytes(4) + b"\x00\x03" + b"\x04\x00abcd" + b"name\0" + b"comment\0" + b"\x00\x00"
    member = head + raw + zlib.crc32(b"second\n").to_bytes(4, "little") + (7).to_bytes(4, "little")
    assert content(gzipped(b"first\n") + member + bytes(700) + gzipped(b"") + gzipped(b"third\n") + bytes(30)) == (
        b"first\nsecond\nthird\n"
    )


@slow
@given(st.integers(0, 5), st.floats(0.01, 0.999), st.booleans())
def test_a_gzip_file_that_is_cut_or_flipped_is_damaged(seed: int, where: float, cut: bool) -> None:
    data = text(seed, 300_000)
    packed = gzipped(data)
    at = max(10, int(where * len(packed)))
    broken = packed[:at] if cut else packed[:at] + bytes([packed[at] ^ 1 << seed]) + packed[at + 1 :]
    got: list[bytes] = []
    with pytest.raises(Damaged):
        got.extend(chunk.data for chunk in chunks(io.BufferedReader(io.BytesIO(broken)), 50_000))
    if cut:
        assert data.startswith(b"".join(got))


def test_damage_behind_a_position_is_seen_by_what_goes_on_there() -> None:
    data = text(2, 3_000_000)
    packed = bytearray(gzipped(data))
    (_, position), *_ = places(bytes(packed), 200_000)
    for at in (len(packed) - 2, len(packed) - 7, position.byte + 9_000):
        broken = bytearray(packed)
        broken[at] ^= 16
        with pytest.raises(Damaged):
            content(bytes(broken), start=position)
    with pytest.raises(Damaged):
        content(bytes(packed[:-3]), start=position)


@pytest.mark.parametrize("behind", [b"rubbish behind the last member", b"\x1f\x8b\x08"])
def test_what_is_no_member_is_damage(behind: bytes) -> None:
    with pytest.raises(Damaged):
        content(gzipped(b"all\n") + behind)


@pytest.mark.parametrize("name", [None, "file.bz2"])
@pytest.mark.parametrize("streams", [1, 3])
def test_a_bzip2_file_is_read_on_from_every_position(tmp_path: Path, name: str | None, streams: int) -> None:
    data = text(4, 1_500_000)
    size = len(data) // streams + 1
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    packed = b"".join(bz2.compress(part, 1) for part in parts)  # blocks of 100,000
    path = None
    if name:
        path = tmp_path / name
        path.write_bytes(packed)
        assert content(packed, path=path) == data
    found = places(packed, 200_000, path)
    assert len(found) >= 4
    for length, position in found:
        assert content(packed, start=position) == data[length:]
    (first, position), *_ = found
    rest, at = [], first
    for chunk in chunks(io.BufferedReader(io.BytesIO(packed)), 200_000, position):
        at += len(chunk.data)
        rest += [(at, chunk.position)] if chunk.position else []
    assert len(rest) >= 3
    assert all(content(packed, start=p) == data[n:] for n, p in rest)


@slow
@given(st.lists(contents(), min_size=1, max_size=3), st.integers(1, 9))
def test_bzip2_blocks_of_any_content(parts: list[bytes], level: int) -> None:
    packed = b"".join(bz2.compress(part, level) for part in parts)
    whole = b"".join(parts)
    assert content(packed, 50_000) == whole
    for length, position in places(packed, 50_000):
        assert content(packed, start=position) == whole[length:]


def test_each_bzip2_block_is_a_stream_of_its_own() -> None:
    data = text(6, 450_000)
    packed = bz2.compress(data, 1)
    found = marks(packed)
    assert [is_block for _, is_block in found] == [True] * (len(found) - 1) + [False]
    bits = [bit for bit, _ in found]
    assert {bit % 8 for bit in bits} != {0}
    joined = b"".join(bz2.decompress(as_stream(packed, begin, end)) for begin, end in pairwise(bits))
    assert joined == data


def test_a_mark_inside_a_block_is_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens once in some hundred terabytes: here a mark is dreamt up in the middle of each block."""
    data = text(7, 400_000)
    packed = bz2.compress(data, 1)
    monkeypatch.setattr(bzip2, "_PIECE", 1 << 22)
    true = marks(packed)
    middles = [((a + b) // 2, True) for (a, is_block), (b, _) in pairwise(true) if is_block]
    monkeypatch.setattr(bzip2, "marks", lambda piece: sorted(true + middles[1:2]) if piece == packed else marks(piece))
    assert content(packed) == data


@pytest.mark.parametrize("name", [None, "file.bz2"])
@pytest.mark.parametrize("cut", [0.3, 0.9, -1, -7])
def test_a_bzip2_file_that_is_cut_or_flipped_is_damaged(tmp_path: Path, name: str | None, cut: float) -> None:
    packed = bz2.compress(text(5, 700_000), 1)
    at = int(cut * len(packed)) if cut > 0 else len(packed) + int(cut)
    flipped = bytearray(packed)
    flipped[at if cut > 0 else len(packed) // 2] ^= 4
    for broken in (packed[:at], bytes(flipped)):
        path = tmp_path / name if name else None
        if path:
            path.write_bytes(broken)
        with pytest.raises(Damaged):
            content(broken, path=path)


@pytest.mark.parametrize("pack", [lzma.compress, zstandard.compress, bytes])
def test_other_formats_come_through(pack: object) -> None:
    data = text(8, 5_000_000)
    packed = pack(data)  # type: ignore[operator]
    assert content(packed) == data
    assert content(b"") == b""
    if pack is not bytes:
        with pytest.raises(Damaged):
            content(packed[:-5])
        assert places(packed, 1_000_000) == []
    for length, position in places(packed, 4_500_000):
        assert content(packed, start=position) == data[length:]


def test_zstd_frames_follow_each_other_and_a_cut_one_is_damage(tmp_path: Path) -> None:
    frames = [zstandard.compress(part) for part in (b"one\n" * 9, b"", bytes(3_000_000))]
    path = tmp_path / "lines.zst"
    path.write_bytes(b"".join(frames))
    with open_compressed(path) as file:
        assert file.read() == b"one\n" * 9 + bytes(3_000_000)
    path.write_bytes(b"".join(frames)[:-1])
    with pytest.raises(TppcError, match="truncated or damaged after line 9"):
        list(lines_of(path))


@given(st.lists(st.binary(max_size=12), max_size=30), st.sampled_from(["", ".gz", ".bz2", ".xz", ".zst"]))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_lines_end_at_newlines_alone(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], ending: str) -> None:
    data = b"\n".join(parts)
    assume(not data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")))
    packers = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}
    path = tmp_path_factory.mktemp("lines") / f"file{ending}"
    path.write_bytes(packers[ending](data))
    expected = data.split(b"\n")
    read = list(lines_of(path))
    assert read == (expected if expected[-1] else expected[:-1])
    assert [isinstance(line, Unterminated) for line in read] == [False] * (len(expected) - 1) + [True] * bool(
        expected[-1]
    )


def test_what_fails_ahead_fails_in_its_turn_and_leaving_ends_the_thread() -> None:
    import threading

    def items() -> object:
        yield 1
        raise Damaged("here")

    with ahead(items()) as found:  # type: ignore[arg-type]
        assert next(found) == 1
        with pytest.raises(Damaged, match="here"):
            next(found)
    before = threading.active_count()
    with ahead(iter(range(1000)), depth=2) as numbers:
        assert next(numbers) == 0
    assert threading.active_count() == before
