"""Flags of the sources that read files of any kind, OPUS and bitext: settings of their tables in the recipe."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Licence = Annotated[str | None, typer.Option(help="SPDX expression of the rows' licence, such as CC-BY-4.0.")]

OPUS: dict[str, Any] = {
    "corpus": Annotated[
        str | None, typer.Option(help="Name in the catalogue, such as Books; it goes to OUT/opus/Books/PAIR.")
    ],
    "version": Annotated[str | None, typer.Option(help="Such as v2018; else the latest, which the manifest names.")],
    "preprocessing": Annotated[str | None, typer.Option(help="moses (the default) or tmx.")],
    "licence": Licence,
    "src_code": Annotated[str | None, typer.Option(help="OPUS's code of the source language, such as zh_CN in GNOME.")],
    "tgt_code": Annotated[str | None, typer.Option(help="OPUS's code of the target language.")],
    "list": Annotated[bool | None, typer.Option("--list", help="Print what the catalogue has, and stop.")],
}

BITEXT: dict[str, Any] = {
    "companion": Annotated[str | None, typer.Option(help="The target side's file, line-aligned with --from's.")],
    "name": Annotated[str | None, typer.Option(help="The corpus goes to OUT/bitext/NAME/PAIR.")],
    "format": Annotated[str | None, typer.Option(help="tsv, csv, jsonl, parquet, tmx; else by name or content.")],
    "src_column": Annotated[
        str | None, typer.Option(help="Name, or number from 1; default 1, or the language's code.")
    ],
    "tgt_column": Annotated[
        str | None, typer.Option(help="Name, or number from 1; default 2, or the language's code.")
    ],
    "score_column": Annotated[str | None, typer.Option(help="Column of a score.")],
    "id_column": Annotated[str | None, typer.Option(help="Column of an id; default: the line's number.")],
    "header": Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="The first line names the columns; default: where a name is given."),
    ],
    "delimiter": Annotated[str | None, typer.Option(help="One character; default a tab (tsv), a comma (csv).")],
    "licence": Licence,
    "attribution": Annotated[str | None, typer.Option(help="Whom to credit, in the column `attribution`.")],
}

#: What `--from` takes, for sources whose upstream is not their only place.
FROM = {
    "opus": "Nothing (OPUS itself), another address of its service (.../opusapi/), or a mirror root, folder or URL.",
    "bitext": "Your file, or its URL; with --companion, the source side's.",
}
