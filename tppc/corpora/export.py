"""Write the rows of a corpus in the forms that other tools read: TSV, JSON lines, Moses files, TMX.

Every form keeps who must be credited: as columns, as properties of a TMX unit, or in a file of its own whose lines go
with those of the texts. Beside the texts stands `<file>.licences.json`: where they come from, under which licences.
Rows are read a row group at a time, so memory does not grow with the corpus; files appear complete or not at all.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tppc.corpora.corpus import Corpus, outside_of_corpora
from tppc.corpora.files import canonical_json, complete_or_absent
from tppc.corpora.licences import duties
from tppc.corpora.manifest import Shard
from tppc.corpora.schema import SPLITS
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    import polars as pl

#: The forms, and what the name of such a file ends in.
FORMATS = {"tsv": ".tsv", "jsonl": ".jsonl", "tpp-jsonl": ".jsonl", "moses": "", "tmx": ".tmx"}
COMPRESSIONS = (".gz", ".zst")
#: Columns of a TSV file, in order and without a header line; those after the texts also make `<file>.rows.tsv`.
TSV_COLUMNS = ("src_text", "tgt_text", "source", "source_id", "score", "licence", "attribution")
_ROW_COLUMNS = list(TSV_COLUMNS[2:])
# What XML 1.0 cannot hold, not even as a character reference (its production 2, `Char`).
_NOT_XML = r"[^\t\n\r\x{20}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]"


@dataclass(frozen=True)
class Exported:
    """What was written of one split of one pair. `replaced`: rows in which a control character that XML cannot hold
    became U+FFFD.
    """

    split: str
    pair: str
    files: list[Path]
    rows: int
    licences: dict[str, int]
    replaced: int = 0


def export(
    corpus: Corpus,
    to: str,
    form: str,
    *,
    split: str | None = None,
    pair: str | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> list[Exported]:
    """Write a corpus, or one split or pair of it, in another form.

    Args:
        to: a file (one split, `train` by default, of one pair), compressed where it ends in `.gz` or `.zst`; or a
            folder (it exists, or ends in `/`): a file `<split>.<pair>.<form>` for each. Moses: what the names of the
            files begin with.
        form: a key of `FORMATS`.
        split, pair: only these. advance: is told how many rows were written.

    Raises `UsageError` where one file would have to hold several pairs or lies inside a corpus, `TppcError` for a
    split or pair that the corpus does not have and for a damaged shard.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}; there are {', '.join(FORMATS)}")
    outside_of_corpora(Path(to))
    if Path(to).is_dir():
        outside_of_corpora(Path(to) / "file")
    if pair is not None and pair not in {s.pair for s in corpus.manifest.shards}:
        raise TppcError(f"{corpus.path}: no pair {pair}; it has {', '.join(_pairs(corpus.manifest.shards))}")
    folder = to.endswith("/") or Path(to).is_dir()
    whole = [s for s in SPLITS if corpus.rows(s)] if folder else []
    splits = [split] if split is not None else whole or ["train"]
    found = [
        (name, code, [s for s in corpus.shards(name) if s.pair == code])
        for name in splits
        for code in _pairs(corpus.shards(name))
        if pair in (None, code)
    ]
    if not found:
        raise TppcError(f"{corpus.path}: no rows of {pair} in {', '.join(splits)}")
    if not folder and len(found) > 1:
        raise UsageError(
            f"{corpus.path} holds {len(found)} pairs and {to} is one file; choose one with --pair, or give a folder"
        )
    corpus.check_shards(*splits)
    return [
        _write(corpus, form, name, code, shards, _target(to, folder, form, name, code), advance)
        for name, code, shards in found
    ]


def _pairs(shards: list[Shard]) -> list[str]:
    return sorted({s.pair for s in shards})


def _target(to: str, folder: bool, form: str, split: str, pair: str) -> tuple[Path, str]:
    """The path without, and the suffix of, its compression."""
    if folder:
        return Path(to) / f"{split}.{pair}{FORMATS[form]}", ""
    path = Path(to)
    if path.suffix in (".bz2", ".xz", ".zip", ".7z", ".lz4"):
        raise UsageError(f"{to}: cannot write {path.suffix}; the suffixes that compress are {', '.join(COMPRESSIONS)}")
    return (path.with_suffix(""), path.suffix) if path.suffix in COMPRESSIONS else (path, "")


def _write(
    corpus: Corpus,
    form: str,
    split: str,
    pair: str,
    shards: list[Shard],
    target: tuple[Path, str],
    advance: Callable[[int], None],
) -> Exported:
    path, suffix = target
    names = [path.with_name(f"{path.name}{ending}{suffix}") for ending in _endings(form, pair)]
    note = path.with_name(f"{path.name}{suffix if form != 'moses' else ''}.licences.json")
    rows, licences, replaced = 0, Counter[str](), 0
    writer = _WRITERS[form]
    with ExitStack() as stack:
        # Renamed in the reverse of this order: the note about the files is there before the files are.
        files = [stack.enter_context(_opened(name)) for name in names]
        about = stack.enter_context(complete_or_absent(note))
        if form == "tmx":
            files[0].write(_tmx_head(corpus, pair).encode())
        for frame in _frames(corpus, shards):
            replaced += writer(frame, files)
            rows += frame.height
            licences.update(dict(frame["licence"].value_counts().iter_rows()))
            advance(frame.height)
        if form == "tmx":
            files[0].write(b"</body>\n</tmx>\n")
        about.write_bytes(canonical_json(_note(corpus, form, split, pair, names, rows, licences)))
    return Exported(split, pair, [*names, note], rows, dict(sorted(licences.items())), replaced)


def _endings(form: str, pair: str) -> list[str]:
    """What the names of the files of a form end in, before the suffix of the compression."""
    if form == "moses":
        src, tgt = _languages(pair)
        return [f".{src}", f".{tgt}", ".rows.tsv"]
    return ["", ".rows.tsv"] if form == "tpp-jsonl" else [""]


def _languages(pair: str) -> tuple[str, str]:
    from tppc.corpora.languages import parse_pair

    parsed = parse_pair(pair)
    return parsed.src, parsed.tgt


def _frames(corpus: Corpus, shards: list[Shard]) -> Iterator[pl.DataFrame]:
    """The rows of some shards, a row group at a time."""
    import polars as pl
    import pyarrow.parquet as pq

    for shard in shards:
        with pq.ParquetFile(corpus.path / shard.path) as file:
            for index in range(file.num_row_groups):
                frame = pl.from_arrow(file.read_row_group(index, use_threads=False))
                assert isinstance(frame, pl.DataFrame), "a table becomes a frame"
                yield frame


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears complete or not at all, compressed by its suffix; no name or time enters its bytes."""
    with complete_or_absent(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as file:
                yield file  # type: ignore[misc]
        elif path.suffix == ".zst":
            import pyarrow as pa

            with closing(pa.CompressedOutputStream(raw, "zstd")) as stream:
                yield stream
        else:
            yield raw


def _one_line(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Columns as text that no tab and no line break can cut."""
    import polars as pl

    return frame.select(
        pl.col(name).cast(pl.String).fill_null("").str.replace_all(r"[\t\n\r]+", " ") for name in columns
    )


def _lines(frame: pl.DataFrame, columns: list[str], file: IO[bytes]) -> None:
    _one_line(frame, columns).write_csv(file, include_header=False, separator="\t", quote_style="never")


def _write_tsv(frame: pl.DataFrame, files: list[IO[bytes]]) -> int:
    _lines(frame, list(TSV_COLUMNS), files[0])
    return 0


def _write_moses(frame: pl.DataFrame, files: list[IO[bytes]]) -> int:
    for columns, file in zip((["src_text"], ["tgt_text"], _ROW_COLUMNS), files, strict=True):
        _lines(frame, columns, file)
    return 0


def _write_jsonl(frame: pl.DataFrame, files: list[IO[bytes]]) -> int:
    frame.write_ndjson(files[0])
    return 0


def _write_tpp(frame: pl.DataFrame, files: list[IO[bytes]]) -> int:
    """The form of the published TPP code: an id and the two texts, nothing else."""
    import polars as pl

    frame.select(id="source_id", unique_label_desc=pl.concat_list("src_text", "tgt_text")).write_ndjson(files[0])
    _lines(frame, _ROW_COLUMNS, files[1])
    return 0


def _write_tmx(frame: pl.DataFrame, files: list[IO[bytes]]) -> int:
    """Translation units of TMX 1.4b, one a line."""
    import polars as pl

    columns = ["src_lang", "tgt_lang", *TSV_COLUMNS]
    text = _one_line(frame, columns)
    replaced = text.select(pl.any_horizontal(pl.all().str.contains(_NOT_XML)).sum()).item()
    safe = text.with_columns(
        pl.all()
        .str.replace_all(_NOT_XML, "\ufffd")
        .str.replace_many(["&", "<", ">", '"'], ["&amp;", "&lt;", "&gt;", "&quot;"])
    )
    prop = {
        name: pl.when(pl.col(name) != "")
        .then(pl.format(f'<prop type="x-{name}">{{}}</prop>', name))
        .otherwise(pl.lit(""))
        for name in ("source", "score", "licence", "attribution")
    }
    units = safe.select(
        pl.format(
            '<tu tuid="{}">{}{}{}{}<tuv xml:lang="{}"><seg>{}</seg></tuv><tuv xml:lang="{}"><seg>{}</seg></tuv></tu>\n',
            "source_id", *prop.values(), "src_lang", "src_text", "tgt_lang", "tgt_text",
        )
    ).to_series()  # fmt: skip
    files[0].write("".join(units).encode())
    return int(replaced)


_WRITERS: dict[str, Callable[[Any, list[IO[bytes]]], int]] = {
    "tsv": _write_tsv,
    "jsonl": _write_jsonl,
    "tpp-jsonl": _write_tpp,
    "moses": _write_moses,
    "tmx": _write_tmx,
}


def _tmx_head(corpus: Corpus, pair: str) -> str:
    from xml.sax.saxutils import escape, quoteattr

    from tppc import __version__

    manifest = corpus.manifest
    src, _ = _languages(pair)
    dated = f"{manifest.date.replace('-', '')}T000000Z"
    licences = ", ".join(f"{name} ({rows} rows)" for name, rows in manifest.licences.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n'
        f'<header creationtool="tppc" creationtoolversion={quoteattr(__version__)} segtype="sentence" o-tmf="tppc" '
        f'adminlang="en" srclang={quoteattr(src)} datatype="plaintext" creationdate="{dated}">\n'
        f"<note>{escape(f'{manifest.name} {manifest.version}, licences of the corpus: {licences}')}</note>\n"
        f'<prop type="x-build-digest">{escape(manifest.build_digest)}</prop>\n</header>\n<body>\n'
    )


def _note(
    corpus: Corpus, form: str, split: str, pair: str, names: list[Path], rows: int, licences: Counter[str]
) -> dict[str, Any]:
    """What a person must know who meets the files without the corpus."""
    where = {
        "tsv": "columns licence and attribution",
        "jsonl": "fields licence and attribution",
        "tmx": "properties x-licence and x-attribution of a unit",
    }
    columns = {"tsv": list(TSV_COLUMNS), "moses": _ROW_COLUMNS, "tpp-jsonl": _ROW_COLUMNS}
    manifest = corpus.manifest
    return {
        "corpus": manifest.name,
        "version": manifest.version,
        "build_digest": manifest.build_digest,
        "pair": pair,
        "split": split,
        "rows": rows,
        "format": form,
        "files": [name.name for name in names],
        "licences": dict(licences),
        "duties": {name: duties(name) for name in sorted(licences)},
        "credit": manifest.attribution,
        "attribution": where.get(form, f"columns licence and attribution of {names[-1].name}"),
        "columns": columns.get(form, []),
        "limits": manifest.limits,
    }
