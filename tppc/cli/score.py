"""`tppc corpora score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Folder = Annotated[Path, typer.Argument(help="A corpus folder.")]
With = Annotated[
    str, typer.Option("--with", help="The encoder: a name on the hub or a folder, such as runs/x/encoder.")
]
Out = Annotated[Path, typer.Option(help="Folder of the new corpus.")]
Least = Annotated[float | None, typer.Option("--min", help="Drop rows of train below; without, the kind's own limit.")]
KeepAll = Annotated[bool, typer.Option("--keep-all", help="Fill the column `similarity` and drop nothing.")]
Kind = Annotated[
    Literal["auto", "margin", "probability", "cosine"],
    typer.Option(help="auto: probability of an encoder trained on tpp, else margin."),
]
Name = Annotated[str | None, typer.Option(help="Name of the new corpus; scored/OUT without.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; never changes the result.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="TOML file whose [score] holds more settings.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def score(
    path: Folder,
    encoder: With,
    out: Out,
    least: Least = None,
    keep_all: KeepAll = False,
    kind: Kind = "auto",
    name: Name = None,
    workers: Workers = None,
    recipe_file: RecipeFile = None,
    as_json: Json = False,
) -> None:
    """Write a corpus anew with an encoder's score of every row, without the rows of train that score too low.

    So a corpus can be cleaned by the model that it trained. Example: tppc corpora score corpora/wikimatrix/en-hi --with
    runs/en-hi-tpp/encoder --out corpora/cleaned/en-hi
    """
    from tppc.builders.recipe import load_recipe
    from tppc.builders.rescore import rescore
    from tppc.cli.funnels import print_funnels
    from tppc.corpora.corpus import Corpus

    given: dict[str, Any] = {"encoder": encoder, "min": least}
    given |= {"kind": kind} if kind != "auto" else {}
    given |= {"drop": False} if keep_all else {}
    settings = load_recipe(recipe_file, score={k: v for k, v in given.items() if v is not None}).score
    print_funnels([rescore(Corpus(path), out, settings, name=name, workers=workers)], as_json)
