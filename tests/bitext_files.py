"""Files of pairs in the formats that `bitext` reads, and what it reads of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from tppc.builders.sources.base import Partition, Request
from tppc.builders.sources.bitext import SOURCE, BitextOptions
from tppc.corpora.languages import parse_pair

EN = ["The river is long.", 'He said: "Wait, I come."', "Tea, milk and sugar", "We walk to the market.", "She reads."]
HI = ["नदी लंबी है।", 'उसने कहा: "रुको, मैं आता हूँ।"', "चाय, दूध और चीनी", "हम बाज़ार जा रहे हैं।", "वह पढ़ती है।"]


def partitions_of(
    *paths: Path, pairs: tuple[str, ...] = ("en-hi",), limit: int | None = None, **options: Any
) -> list[Partition]:
    """What `fetch` cuts of one file or two."""
    table = BitextOptions.model_validate({"licence": "MIT", **options}).model_dump(mode="json")
    companion = str(paths[1]) if len(paths) > 1 else None
    asked = tuple(parse_pair(p) for p in pairs)
    return SOURCE.fetch(Request(asked, str(paths[0]), None, limit, table, companion=companion))[0]


def read(*paths: Path, limit: int | None = None, **options: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Rows, and (reason, id) of what was refused, of en-hi."""
    (partition,) = partitions_of(*paths, limit=limit, **options)
    batches = list(SOURCE.read(partition))
    rows = [row for batch in batches for row in batch.rows.to_dicts()]
    return rows, [(r.reason, r.source_id) for batch in batches for r in batch.refused]


def texts(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["src_text"], row["tgt_text"]) for row in rows]


def as_csv(rows: list[tuple[Any, ...]], delimiter: str = ",") -> bytes:
    """Rows as a spreadsheet program writes them: CRLF, quotes where needed."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return file.getvalue().encode()


def as_tmx(units: list[str], head: str = "") -> bytes:
    body = "".join(f"<tu>{unit}</tu>\n" for unit in units)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<tmx version="1.4"><header srclang="en"/><body>\n{body}</body></tmx>\n'.encode()


def variant(language: str, text: str, attribute: str = "xml:lang") -> str:
    return f'<tuv {attribute}="{language}"><seg>{text}</seg></tuv>'


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
