"""`tppc corpora mix`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tppc.errors import UsageError

Paths = Annotated[list[Path], typer.Argument(help="Corpus folders; of equal pairs the first one keeps its row.")]
Out = Annotated[Path, typer.Option(help="Folder of the new corpus.")]
Name = Annotated[str | None, typer.Option(help="Name of the new corpus; mixture/OUT without.")]
Method = Annotated[str | None, typer.Option(help="proportional (the default), equal, temperature or weights.")]
Temperature = Annotated[float | None, typer.Option(help="T: a corpus of n rows weighs n^(1/T); implies the method.")]
Weights = Annotated[list[float] | None, typer.Option("--weight", help="Weight, one a corpus; implies the method.")]
Caps = Annotated[
    list[str] | None, typer.Option("--cap", help="At most so many train rows, or none; one a corpus, in their order.")
]
Rows = Annotated[int | None, typer.Option(min=1, help="Train rows in all; without, as many as the weights allow.")]
Seed = Annotated[int, typer.Option(help="Of the choice of rows.")]
Licence = Annotated[str | None, typer.Option(help="SPDX expression to declare; without, what the rows' licences make.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def mix(
    paths: Paths,
    out: Out,
    name: Name = None,
    method: Method = None,
    temperature: Temperature = None,
    weight: Weights = None,
    cap: Caps = None,
    rows: Rows = None,
    seed: Seed = 0,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Write a new corpus out of several, without duplicates, and with their held-out rows held out.

    Example: tppc corpora mix corpora/tatoeba/en-hi corpora/wikidata/en-hi --method equal --out corpora/all-en-hi
    """
    from pydantic import ValidationError

    from tppc.builders.mixture.mix import mix as run
    from tppc.builders.mixture.shares import MixSettings
    from tppc.cli.funnels import print_funnels
    from tppc.corpora.corpus import Corpus

    implied = "weights" if weight else "temperature" if temperature is not None else "proportional"
    values = {
        "method": method or implied,
        "temperature": temperature,
        "weights": weight,
        "caps": [_cap(text) for text in cap] if cap else None,
        "rows": rows,
        "seed": seed,
    }
    try:
        settings = MixSettings.model_validate({k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "method"
        flag = {"weights": "--weight", "caps": "--cap"}.get(name, f"--{name}")
        said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        given = f", not {first['input']}" if first["loc"] else ""
        raise UsageError(f"{flag}: {said}{given}; see --help") from error
    print_funnels([run([Corpus(p) for p in paths], out, settings, name=name, licence=licence)], as_json)


def _cap(text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--cap {text!r}: write a number of rows, or none")
    return int(text)
