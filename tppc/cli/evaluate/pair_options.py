"""Options of the commands that want pairs of texts, and how they become pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.pairs import Pairs

CorpusOption = Annotated[
    list[Path] | None, typer.Option(help="Corpus folder, for its held-out pairs; may be given several times.")
]
SplitOption = Annotated[str, typer.Option(help="Split of the corpora.")]
PairsOption = Annotated[
    list[Path] | None, typer.Option(help="File of pairs: TSV, JSON lines or Parquet; may be given several times.")
]
SrcOption = Annotated[Path | None, typer.Option(help="Source side: one text a line; with --tgt.")]
TgtOption = Annotated[Path | None, typer.Option(help="Target side: one text a line; with --src.")]
PairOption = Annotated[str | None, typer.Option(help="Languages of files, such as en-hi.")]
LimitOption = Annotated[int | None, typer.Option(help="The first N pairs only.")]
LayerOption = Annotated[
    int | None, typer.Option(help="Pool the states after this layer: 0 the embeddings; the last where not given.")
]


def pairs_of(
    corpora: list[Path] | None,
    files: list[Path] | None,
    src: Path | None,
    tgt: Path | None,
    *,
    pair: str | None,
    split: str,
    limit: int | None,
) -> list[Pairs]:
    """The pairs that the options name: of each corpus, language pair by language pair, of each file, of two files.

    Raises `UsageError` for options that do not go together.
    """
    from tppc.corpora.corpus import Corpus
    from tppc.corpora.languages import parse_pair
    from tppc.evaluation.pairs import load_pairs, read_aligned, read_pairs

    if not (corpora or files or src or tgt):
        raise UsageError("say which pairs: --corpus FOLDER, --pairs FILE --pair en-hi, or --src A --tgt B --pair en-hi")
    if (src is None) != (tgt is None):
        raise UsageError("--src and --tgt go together: one file for each side")
    if (files or src) and pair is None:
        raise UsageError("a file does not say its languages: add --pair, such as --pair en-hi")
    languages = None if pair is None else parse_pair(pair)
    found = []
    for folder in corpora or []:
        corpus = Corpus(folder)
        wanted = corpus.pairs if languages is None else [languages]
        found += [load_pairs(corpus, split, limit, one) for one in wanted]
    assert languages is not None or not (files or src)
    if languages is not None:
        found += [read_pairs(file, languages, limit) for file in files or []]
        if src is not None and tgt is not None:
            found.append(read_aligned(src, tgt, languages, limit))
    return found
