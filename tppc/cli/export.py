"""`tppc corpora export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tppc.errors import UsageError

# What a name ends in, where --format is not given.
_BY_SUFFIX = {".tsv": "tsv", ".jsonl": "jsonl", ".tmx": "tmx"}


def export(
    path: Annotated[Path, typer.Argument(help="Corpus folder.")],
    to: Annotated[
        str, typer.Option(help="A file (.gz and .zst compress), or a folder for a file of each split and pair.")
    ],
    form: Annotated[
        str | None, typer.Option("--format", help="tsv, jsonl, tpp-jsonl, moses or tmx; else by the name of the file.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, dev or test (a file: train by default; a folder: all).")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="Only this pair of a mixture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a corpus as TSV, JSON lines, Moses files or TMX, with who must be credited for each row.

    Example: tppc corpora export corpora/tatoeba/en-hi --to tatoeba.en-hi.tmx.gz
    """
    from tppc.builders.progress import progress
    from tppc.corpora.corpus import Corpus
    from tppc.corpora.export import export as write

    name = Path(to.removesuffix(".gz").removesuffix(".zst"))
    if (form := form or _BY_SUFFIX.get(name.suffix)) is None:
        raise UsageError(f"{to}: its name does not tell the format; give --format tsv, jsonl, tpp-jsonl, moses or tmx")
    corpus = Corpus(path)
    with progress("export", corpus.manifest.rows(split, pair), "rows") as advance:
        written = write(corpus, to, form, split=split, pair=pair, advance=advance)
    if as_json:
        found = [{**vars(one), "files": [str(file) for file in one.files]} for one in written]
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in written:
        typer.echo(f"{one.split} of {one.pair}: {one.rows:,} rows")
        for file in one.files:
            typer.echo(f"  {file}")
        if one.replaced:
            typer.echo(f"tppc: {one.replaced:,} rows hold characters that XML cannot; they are U+FFFD now", err=True)
