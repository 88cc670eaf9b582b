"""Protected files are read in whatever form they come."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import polars as pl
import pytest

from tppc.builders.select.texts import files_below, read_texts
from tppc.errors import TppcError


def written(path: Path, data: str | bytes) -> list[tuple[str, ...]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_texts(path))


def test_lines_columns_csv_and_json(tmp_path: Path) -> None:
    assert written(tmp_path / "a.txt", "\ufeffOne.\r\nTwo\u2028still two.\n") == [("One.",), ("Two\u2028still two.",)]
    assert written(tmp_path / "a.tsv", "One\tएक\nTwo\tदो\n") == [("One",), ("एक",), ("Two",), ("दो",)]
    assert written(tmp_path / "a.csv", '"One, two",एक\n') == [("One, two",), ("एक",)]
    assert written(tmp_path / "a.jsonl.gz", gzip.compress(b'{"s": {"en": "One"}, "n": 3}\n')) == [("One",)]
    value = [{"tokens": ["He", "sleeps", "."], "texts": ["One sentence here."]}]
    assert written(tmp_path / "a.json", json.dumps(value)) == [("He sleeps .",), ("One sentence here.",)]


@pytest.mark.parametrize(
    "block",
    [
        "He\tO\nlikes\tO\nPune\tB-LOC\n\nYes\tO\n\n",
        "-DOCSTART- O\n\nHe O\nlikes O\nPune B-LOC\n\nYes O\n",
        "# text = He likes Pune\n1\tHe\tO\t-\n2\tlikes\tO\t-\n3\tPune\tB-LOC\t-\n\n1\tYes\tO\t-\n\n",
        "en:He\tO\nen:likes\tO\nen:Pune\tB-LOC\n\nen:Yes\tO\n\n",
        "He\tO\nlikes\tO\nPune\tLOCATION\n\nYes\tO\n",
    ],
    ids=["tabs", "spaces", "numbered", "prefixed", "flat"],
)
def test_conll_columns(tmp_path: Path, block: str) -> None:
    assert [sentence[0] for sentence in written(tmp_path / "a.conll", block)] == ["He likes Pune", "Yes"]


def test_two_columns_of_text_without_tags_are_no_conll(tmp_path: Path) -> None:
    assert written(tmp_path / "a.tsv", "One\tUn\n\nTwo\tDeux\n") == [("One",), ("Un",), ("",), ("Two",), ("Deux",)]


def test_conllu_gives_the_text_and_the_tokens_with_contractions_once(tmp_path: Path) -> None:
    rest = "\t_" * 8
    lines = ["# sent_id = 1", "# text = vámonos al mar"]
    lines += [
        f"{n}\t{t}{rest}" for n, t in (("1-2", "vámonos"), ("1", "vamos"), ("2", "nos"), ("3-4", "al"), ("3", "a"))
    ]
    lines += [f"4\tel{rest}", f"4.1\tnada{rest}", f"5\tmar{rest}", ""]
    found = written(tmp_path / "a.conllu.xz", lzma.compress("\n".join(lines).encode()))
    assert found == [("vámonos al mar", "vámonos al mar")]


def test_parquet_strings_and_tokens(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["One"], "tokens": [["He", "sleeps"]], "label": [3]}).write_parquet(tmp_path / "a.parquet")
    assert list(read_texts(tmp_path / "a.parquet")) == [("One",), ("He sleeps",)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"fine\n\xff\xfe\n", r"a.txt, line 2: not UTF-8"),
        ("a.gz", gzip.compress(b"One\n" * 5_000, mtime=0)[:-20], r"a.gz: cannot be read after line"),
        ("a.parquet", b"PAR1 no", r"a.parquet: no Parquet file"),
        ("a.jsonl", b'{"a": "b"}\n{\n', r"a.jsonl, line 2: not JSON"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(TppcError, match=message):
        written(tmp_path / name, data)


def test_readmes_and_hidden_files_of_a_folder_hold_no_sentences(tmp_path: Path) -> None:
    for name in ("README.md", ".hidden", "LICENSE", "b/test.txt", "a.conllu"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    assert [p.relative_to(tmp_path).as_posix() for p in files_below(tmp_path)] == ["a.conllu", "b/test.txt"]
