"""Small snapshots in the sources' own formats, as files."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from snapshots import EN, ENTITIES, HI


@pytest.fixture
def tatoeba(tmp_path: Path) -> Path:
    """A mirror root with every trap of the exports: escapes, a lone quote, dangling links, nulls, CC0 on one or both sides."""
    root = tmp_path / "mirror"

    def write(name: str, lines: Sequence[str]) -> None:
        path = root / "per_language" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bz2.compress("".join(f"{line}\n" for line in lines).encode()))

    english = [f"{i}\teng\t{t}\tanna\t2010-01-01 00:00:00\t\\N" for i, t in enumerate(EN, start=1)]
    english += [
        "7\teng\tA tab\\\there, a \\\\ and a line\\\nbreak are fine.\t\\N\t0000-00-00 00:00:00\t\\N",
        "8\teng\tN\tN\t\\N\t\\N",
        "9\teng",
    ]
    write("eng/eng_sentences_detailed.tsv.bz2", english)
    hindi = [f"{i}\thin\t{t}\tबीना\t\\N\t\\N" for i, t in enumerate(HI, start=101)]
    hindi += ["107\thin\tटैब और पंक्ति ठीक हैं, यह एक वाक्य है।\t\\N\t\\N\t\\N", "108\thin\tनदी बहुत लंबी है।\tbina\t\\N\t\\N"]
    write("hin/hin_sentences_detailed.tsv.bz2", hindi)
    links = [(i, 100 + i) for i in range(1, 8)] + [(1, 108), (1, 999), (998, 101), (9, 101)]
    write("eng/eng-hin_links.tsv.bz2", [f"{a}\t{b}" for a, b in links] + ["x\t3", "5"])
    write("hin/hin-eng_links.tsv.bz2", [f"{b}\t{a}" for a, b in links])
    write("eng/eng_sentences_CC0.tsv.bz2", ["1\teng\tThe river is long.\t\\N", "2\teng\tx\t\\N"])
    write("hin/hin_sentences_CC0.tsv.bz2", ["101\thin\tनदी लंबी है।\t\\N"])
    return root


@pytest.fixture
def wikimatrix(tmp_path: Path) -> Callable[..., Path]:
    """Write `WikiMatrix.en-hi.tsv.gz` from rows of any kind and return its folder."""

    def write(
        rows: Sequence[tuple[Any, ...] | bytes], name: str = "WikiMatrix.en-hi.tsv.gz", folder: str = "wm"
    ) -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [r if isinstance(r, bytes) else "\t".join(map(str, r)).encode() for r in rows]
        path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))
        return path.parent

    return write


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """A gzip dump: brackets, commas, one broken line, one line in ASCII escapes."""
    lines = [json.dumps(e, ensure_ascii=e["id"] == "Q8") for e in ENTITIES]
    lines.insert(3, '{"type":"item","id":"Q99","labels":{"en":{"value":')
    path = tmp_path / "dump.json.gz"
    path.write_bytes(gzip.compress(("[\n" + ",\n".join(lines) + "\n]\n").encode()))
    return path
