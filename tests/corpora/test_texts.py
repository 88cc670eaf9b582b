"""Unpaired texts: every text once an epoch, languages in equal shares, the same whatever was read before."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.corpora import texts as module
from tppc.corpora.texts import TextFile, TextStream
from tppc.errors import TppcError, UsageError


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 7 lines, so that a few dozen texts lie in several."""
    monkeypatch.setattr(module, "_LINES", 7)


def written(path: Path, texts: list[str]) -> TextFile:
    path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return TextFile(path)


def read(stream: TextStream, steps: range) -> list[tuple[str, str]]:
    return [row for batch in map(stream.batch, steps) for row in zip(batch.lang, batch.text, strict=True)]


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    batch_size=st.integers(3, 17),
    seed=st.integers(0, 9),
    start=st.integers(0, 12),
)
def test_every_text_once_an_epoch_in_equal_shares_from_any_step_on(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], batch_size: int, seed: int, start: int
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    codes = ["en", "hi", "ja"][: len(sizes)]
    files = {c: written(folder / c, [f"{c} {i}" for i in range(n)]) for c, n in zip(codes, sizes, strict=True)}
    steps = 14
    whole = read(TextStream(files, batch_size=batch_size, seed=seed), range(steps))
    assert [code for code, _ in whole] == [codes[p % len(codes)] for p in range(len(whole))]
    for code, size in zip(codes, sizes, strict=True):
        sequence = [text for lang, text in whole if lang == code]
        for first in range(0, len(sequence) - size + 1, size):
            assert sorted(sequence[first : first + size]) == sorted(f"{code} {i}" for i in range(size))
    # A run that goes on in the middle, with files opened anew, reads what was to come.
    anew = TextStream({c: TextFile(f.path) for c, f in files.items()}, batch_size=batch_size, seed=seed)
    assert read(anew, range(start, steps)) == whole[start * batch_size :]
    assert read(anew, range(2)) == whole[: 2 * batch_size]


def test_epochs_and_seeds_have_orders_of_their_own(tmp_path: Path) -> None:
    file = written(tmp_path / "en", [str(i) for i in range(40)])
    first, second = (read(TextStream({"en": file}, batch_size=40, seed=1), range(s, s + 1)) for s in (0, 1))
    other = read(TextStream({"en": file}, batch_size=40, seed=2), range(1))
    in_file_order = [("en", str(i)) for i in range(40)]
    assert len({tuple(order) for order in (first, second, other, in_file_order)}) == 4
    assert Counter(first) == Counter(second) == Counter(other) == Counter(in_file_order)
    # Blocks are shuffled, and so are the texts inside: one block has many orders too.
    block = TextStream({"en": written(tmp_path / "block", [str(i) for i in range(7)])}, batch_size=7, seed=1)
    assert len({tuple(block.batch(epoch).text) for epoch in range(12)}) > 6


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_parquet_holds_the_texts_that_plain_lines_do(tmp_path: Path, kind: pa.DataType) -> None:
    texts = [f"पाठ {i}" for i in range(30)]
    rows: list[str | None] = [*texts[:11], None, "", "  ", *texts[11:]]
    table = pa.table({"number": list(range(33)), "text": pa.array(rows).cast(kind)})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=7)
    plain, parquet = written(tmp_path / "plain", texts), TextFile(tmp_path / "p.parquet")
    assert plain.rows == parquet.rows == 30
    assert [t for i in range(len(parquet.sizes)) for t in parquet.block(i)] == texts
    stream = TextStream({"hi": parquet}, batch_size=30, seed=1)
    assert sorted(stream.batch(0).text) == sorted(texts) == sorted(stream.batch(1).text)


def test_line_ends_marks_and_empty_lines_are_no_texts(tmp_path: Path) -> None:
    (tmp_path / "windows").write_bytes("\ufeffone\r\n\r\n   \r\ntwo \r\n\u3000\r\nthree".encode())
    file = TextFile(tmp_path / "windows")
    assert (file.rows, file.block(0)) == (3, ["one", "two", "three"])
    (tmp_path / "late").write_text("\n" * 20 + "only\n", "utf-8")  # whole blocks of nothing
    assert TextFile(tmp_path / "late").sizes == [1]


def test_memory_holds_a_few_blocks(tmp_path: Path) -> None:
    file = written(tmp_path / "en", [str(i) for i in range(7 * 20)])
    stream = TextStream({"en": file}, batch_size=10, seed=1)
    for step in range(30):
        stream.batch(step)
        assert len(file._cache) <= module._BLOCKS_IN_MEMORY
        assert sum(len(order) for order in stream._orders.values()) <= 2 * 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\nbad \xff\n", r"file, line 2: not UTF-8 .*convert"),
        (b"\n  \n", r"file: no text in it; give a file"),
        (b"", r"file: no text in it"),
        (gzip.compress(b"text\n", mtime=0), r"file: compressed; unpack"),
        (b"PAR1 and no more", r"file: damaged Parquet .*again"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(TppcError, match=message):
        TextFile(tmp_path / "file")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(TppcError, match=r"none: cannot be read \(No such file"):
        TextFile(tmp_path / "none")
    pq.write_table(pa.table({"sentence": ["a"], "text": np.arange(1)}), tmp_path / "p")
    with pytest.raises(TppcError, match=r"no string column 'text' \(it has: sentence, text\); rename"):
        TextFile(tmp_path / "p")
    files = {code: written(tmp_path / code, ["a"]) for code in ("en", "hi", "ja")}
    with pytest.raises(UsageError, match="2 unpaired texts a step are too few for 3 languages"):
        TextStream(files, batch_size=2, seed=1)


def test_a_file_that_changes_meanwhile_stops_the_run(tmp_path: Path) -> None:
    file = written(tmp_path / "en", [f"text {i}" for i in range(20)])
    (tmp_path / "en").write_text("x\n" * 60, "utf-8")
    with pytest.raises(TppcError, match="it changed while it was read"):
        file.block(1)
