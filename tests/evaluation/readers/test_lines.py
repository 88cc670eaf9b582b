"""Numbered lines: endings, encodings, compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from tppc.errors import TppcError
from tppc.evaluation.readers.conllu import read_conllu
from tppc.evaluation.readers.lines import numbered_lines
from tppc.evaluation.readers.texts import read_tsv

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_read_like_plain_ones(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(b"good\tpositive\nbad\tnegative\n"))
    assert [(i.text, i.label) for i in read_tsv(path).items] == [("good", "positive"), ("bad", "negative")]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_file_cut_short_is_named(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(b"good\tpositive\n" * 5_000)[:-20])
    with pytest.raises(TppcError, match=rf"a\.tsv{ending}.*damaged or cut short"):
        read_tsv(path)


def test_lines_end_at_newlines_alone(write: Write) -> None:
    path = write("a.txt", "\ufeffone\u2028still one\r\ntwo\x85still\rtwo\nthree")
    assert list(numbered_lines(path)) == [(1, "one\u2028still one"), (2, "two\x85still\rtwo"), (3, "three")]


def test_bytes_that_are_no_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"good\tpositive\nb\xffd\tnegative\n")
    with pytest.raises(TppcError, match=r"a\.tsv, line 2: not UTF-8"):
        read_tsv(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TppcError, match="there is no such file"):
        read_conllu(tmp_path / "none.conllu")
