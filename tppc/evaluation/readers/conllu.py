"""CoNLL-U (https://universaldependencies.org/format.html): words with their universal part of speech.

The unit is the syntactic word: multi-word ranges (`3-4`) and empty nodes (`8.1`) are skipped, their parts are read.
Files of UD version 1 use `CONJ` for what version 2 calls `CCONJ`; that tag is mapped and noted. Version 1 differs in
more than names (it tags many copulas VERB that are AUX in version 2): no map can mend that, so the note names the
version.
"""

from __future__ import annotations

import re
from pathlib import Path

from tppc.errors import TppcError
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import malformed, numbered_lines

# https://universaldependencies.org/u/pos/
UPOS = frozenset(
    [
        *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
        *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
    ]
)

_WORD, _RANGE, _EMPTY = re.compile(r"[1-9]\d*"), re.compile(r"[1-9]\d*-[1-9]\d*"), re.compile(r"\d+\.[1-9]\d*")


def read_conllu(path: Path) -> Reading[TaggedSentence]:
    """Read the FORM and UPOS columns of a CoNLL-U file, plain or compressed.

    Raises `TppcError`, with file and line, for a line that has not ten columns, an ID that is none or is out of order,
    and a UPOS that is not one of the seventeen.
    """
    sentences: list[TaggedSentence] = []
    tokens: list[str] = []
    tags: list[str] = []
    version_1 = skipped = 0
    # The extra blank line ends a last sentence that has none.
    for number, line in [*numbered_lines(path), (0, "")]:
        if not line.strip():
            if tokens:
                sentences.append(TaggedSentence(tuple(tokens), tuple(tags)))
            tokens, tags = [], []
            continue
        if line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) != 10:
            malformed(path, number, f"{len(columns)} tab-separated columns", "a line of CoNLL-U has ten")
        identity, form, upos = columns[0], columns[1], columns[3]
        if _RANGE.fullmatch(identity) or _EMPTY.fullmatch(identity):
            skipped += 1
            continue
        if not _WORD.fullmatch(identity):
            malformed(
                path, number, f"{identity!r} is no word ID", "IDs are 1, 2, ..., 3-4 for a range, 8.1 for an empty node"
            )
        if int(identity) != len(tokens) + 1:
            malformed(path, number, f"word {identity} follows word {len(tokens)}", "is a blank line or a word missing?")
        if upos == "CONJ":
            upos, version_1 = "CCONJ", version_1 + 1
        if upos not in UPOS:
            malformed(
                path,
                number,
                f"{upos!r} is no universal part of speech",
                "column 4 must hold one of " + " ".join(sorted(UPOS)),
            )
        tokens.append(form)
        tags.append(upos)
    if not sentences:
        raise TppcError(f"{path}: no sentence in it; is it CoNLL-U?")
    notes = []
    if skipped:
        notes.append(f"{path.name}: {skipped} multi-word ranges and empty nodes skipped, their words are kept")
    if version_1:
        notes.append(
            f"{path.name}: UD version 1, {version_1} CONJ read as CCONJ; "
            "its other differences (such as copulas tagged VERB) stay"
        )
    return Reading(sentences, tuple(notes))
