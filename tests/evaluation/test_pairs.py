"""Files of pairs are read as they are, or refused with file and line; nothing is dropped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tppc.corpora.keys import side_keys
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError
from tppc.evaluation.pairs import Pairs, read_aligned, read_pairs

Write = Callable[[str, str], Path]
EN_HI = Pair("en", "hi")
ROWS = [("a house", "एक घर"), ("two\u2028parts", "दो"), ("three", "तीन")]


def texts(pairs: Pairs) -> list[tuple[str, str]]:
    return list(zip(pairs.src, pairs.tgt, strict=True))


def test_every_form_gives_the_same_pairs(write: Write, tmp_path: Path) -> None:
    tsv = "".join(f"{s}\t{t}\n" for s, t in ROWS)
    forms = [
        write("a.tsv", tsv),
        write("headed.tsv", "en\thi\n" + tsv),
        write("untold", tsv),
        write("a.jsonl", "".join(json.dumps({"hi": t, "en": s}) + "\n" for s, t in ROWS)),
        write("b.jsonl", "".join(json.dumps({"translation": {"en": s, "hi": t}}) + "\n" for s, t in ROWS)),
        write("told-by-content", "".join(json.dumps({"sentence1": s, "sentence2": t}) + "\n" for s, t in ROWS)),
    ]
    for name, columns in {"a.parquet": ("src_text", "tgt_text"), "b.parquet": ("en", "hi")}.items():
        pl.DataFrame(dict(zip(columns, map(list, zip(*ROWS, strict=True)), strict=True))).write_parquet(tmp_path / name)
        forms.append(tmp_path / name)
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(tsv.encode()))
    forms.append(tmp_path / "c.tsv.gz")
    found = [read_pairs(path, EN_HI) for path in forms]
    left, right = (write(f"x.{i}", "".join(row[n] + "\n" for row in ROWS)) for n, i in enumerate(("en", "hi")))
    found.append(read_aligned(left, right, EN_HI))
    assert all(texts(one) == ROWS for one in found)
    assert len({one.digest for one in found}) == 1
    assert found[0].src_key.tolist() == side_keys([s for s, _ in ROWS]).tolist()
    assert (found[0].src_lang, found[0].tgt_lang, found[0].name) == ("en", "hi", "a.tsv")
    few = read_pairs(forms[0], EN_HI, limit=2)
    assert texts(few) == ROWS[:2]
    assert few.name == "a.tsv (first 2)"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "one\teins\nno tab\n", r"a\.tsv, line 2: no tab, so no pair"),
        ("a.tsv", "one\t \n", r"a\.tsv, line 1: one side is empty"),
        ("a.jsonl", '{"en": "x"', r"a\.jsonl, line 1: not JSON"),
        ("a.jsonl", '{"en": "x", "hi": "y"}\n{"en": "x", "hi": 3}\n', r"a\.jsonl, line 2: no text for both sides"),
        ("a.jsonl", "[]\n", r"a\.jsonl, line 1: not an object"),
        ("a.jsonl", '{"de": "x", "hi": "y"}\n', r"line 1: no text for both sides \(it has de, hi\)"),
        ("a.tsv", "", "it holds no pairs"),
        ("a.parquet", "nonsense", "not a sound Parquet file"),
    ],
)
def test_what_is_no_pair_is_named_by_file_and_line(write: Write, name: str, text: str, message: str) -> None:
    with pytest.raises(TppcError, match=message):
        read_pairs(write(name, text), EN_HI)


def test_a_format_that_nothing_tells_and_a_limit_of_nothing_are_usage_errors(write: Write) -> None:
    with pytest.raises(UsageError, match="neither its name nor its first line"):
        read_pairs(write("plain", "just words\n"), EN_HI)
    with pytest.raises(UsageError, match="--limit must be at least 1"):
        read_pairs(write("a.tsv", "x\ty\n"), EN_HI, limit=0)
    with pytest.raises(TppcError, match="no such file"):
        read_pairs(Path("none.parquet"), EN_HI)


def test_sides_that_are_not_aligned_are_refused(write: Write) -> None:
    two, three = write("a.en", "x\ny\n"), write("a.hi", "x\ny\nz\n")
    with pytest.raises(TppcError, match=r"a\.hi, line 3: .*a\.en has no such line"):
        read_aligned(two, three, EN_HI)
    with pytest.raises(TppcError, match=r"b\.hi, line 2: an empty line"):
        read_aligned(two, write("b.hi", "x\n\n"), EN_HI)


@given(st.binary(max_size=60), st.sampled_from(["a.tsv", "a.jsonl", "a.parquet", "a"]))
@example(b"\xfd7zXZ\x00", "a")  # compressed files that end at once
@example(b"BZh9", "a")
@example(b"\x1f\x8b\x08", "a")
@example(b"\x28\xb5\x2f\xfd", "a")
def test_any_bytes_are_pairs_or_an_error_with_the_file(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    try:
        found, said = read_pairs(path, EN_HI), name
    except TppcError as error:
        found, said = None, str(error)
    assert name in said
    assert found is None or len(found.src) == len(found.tgt) == len(data.rstrip(b"\n").split(b"\n"))
