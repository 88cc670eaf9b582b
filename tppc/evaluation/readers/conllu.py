"""CoNLL-U (https://universaldependencies.org/format.html): words with their part of speech.

The unit is the syntactic word: multi-word ranges (`3-4`) and empty nodes (`8.1`) are skipped, their parts are read.

UD version 1 against 2 (https://universaldependencies.org/v2/summary.html). Two changes can be made without guessing,
and are, in files that show version 1's names (`CONJ`; the relations of `VERSION_1`):

- `CONJ` was renamed `CCONJ`.
- `AUX` now holds copulas too: a `VERB` whose relation is `cop` becomes `AUX`.

Three cannot, since they need the language's word lists: particles of tense and mood that became `AUX`, the narrowed
`PART`, and the border of `PRON` and `DET`. The label map `ud-coarse` takes that border, and that of `AUX` and `VERB`,
out of training and test data alike.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import malformed, numbered_lines
from tppc.evaluation.readers.options import Column

# https://universaldependencies.org/u/pos/
UPOS = frozenset(
    [
        *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
        *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
    ]
)
VERSION_1 = frozenset(["auxpass", "csubjpass", "dobj", "mwe", "neg", "nsubjpass", "remnant"])
"""Relations that version 2 renamed or dropped: a file that has one is of version 1."""

NAMES = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_UPOS_COLUMN, _RELATION = 3, 7
_WORD, _RANGE = re.compile(r"[1-9][0-9]*"), re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
_EMPTY = re.compile(r"(0|[1-9][0-9]*)\.[1-9][0-9]*")


def column_number(path: Path, column: Column) -> int:
    """The number from 0 of a column of CoNLL-U, given by number or by name (`form`, `XPOS`).

    Raises `UsageError` for a column there is not.
    """
    if isinstance(column, str) and column.lower() in NAMES:
        return NAMES.index(column.lower())
    if isinstance(column, int) and 0 <= column < len(NAMES):
        return column
    raise UsageError(f"{path}: CoNLL-U has no column {column!r}; it has {' '.join(NAMES)}, or 0 to 9")


def read_conllu(path: Path, columns: tuple[Column, Column] | None = None) -> Reading[TaggedSentence]:
    """Read words and their tags from a CoNLL-U file, plain or compressed: FORM and UPOS, if not told otherwise.

    Args:
        columns: those of word and tag, such as `("form", "xpos")`. A tag column other than UPOS is taken as it is.

    Raises `TppcError`, with file and line, for a line that has not ten columns, an ID that is none or is out of order,
    an empty word, a UPOS that is not one of the seventeen, and a word without tag.
    """
    form, tag = (column_number(path, column) for column in columns or ("form", "upos"))
    universal = tag == _UPOS_COLUMN
    sentences: list[tuple[list[str], list[str]]] = []
    copulas: list[tuple[int, int]] = []  # sentence, word
    counts: Counter[str] = Counter()
    tokens: list[str] = []
    tags: list[str] = []
    # The extra blank line ends a last sentence that has none.
    for number, line in [*numbered_lines(path), (0, "")]:
        if not line.strip():
            if tokens:
                sentences.append((tokens, tags))
            tokens, tags = [], []
            continue
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != len(NAMES):
            malformed(path, number, f"{len(cells)} tab-separated columns", "a line of CoNLL-U has ten")
        if _is_skipped(path, number, cells[0], len(tokens)):
            counts["skipped"] += 1
            continue
        found = cells[tag]
        if not cells[form]:
            malformed(path, number, "an empty word", f"column {form + 1} ({NAMES[form].upper()}) must hold it")
        if universal and found == "CONJ":
            found = "CCONJ"
            counts["CONJ"] += 1
        if universal and found not in UPOS:
            malformed(
                path,
                number,
                f"{found!r} is no universal part of speech",
                "column 4 must hold one of " + " ".join(sorted(UPOS)),
            )
        if not universal and found in ("", "_"):
            malformed(path, number, "a word without tag", f"column {tag + 1} ({NAMES[tag].upper()}) must hold one")
        if universal:
            relation = cells[_RELATION].partition(":")[0]
            counts["version 1"] += relation in VERSION_1
            if found == "VERB" and relation == "cop":
                copulas.append((len(sentences), len(tokens)))
        tokens.append(cells[form])
        tags.append(found)
    if not sentences:
        raise TppcError(f"{path}: no sentence in it; is it CoNLL-U?")
    notes = []
    if counts["skipped"]:
        notes.append(
            f"{path.name}: {counts['skipped']} multi-word ranges and empty nodes skipped, their words are kept"
        )
    if counts["CONJ"] or counts["version 1"]:
        for sentence, word in copulas:
            sentences[sentence][1][word] = "AUX"
        notes.append(
            f"{path.name}: UD version 1, {counts['CONJ']} CONJ read as CCONJ, {len(copulas)} copulas tagged VERB as "
            "AUX; its other differences (particles, the border of PRON and DET) stay"
        )
    return Reading([TaggedSentence(tuple(t), tuple(g)) for t, g in sentences], tuple(notes))


def _is_skipped(path: Path, number: int, identity: str, before: int) -> bool:
    """Whether a line is a range or an empty node, which hold no word of their own.

    Raises `TppcError` for an ID that is none, or does not follow the `before` words before it.
    """
    following = str(before + 1)
    if found := _RANGE.fullmatch(identity):
        first, last = found.groups()
        if first != following or (len(last), last) <= (len(first), first):
            malformed(path, number, f"range {identity} after word {before}", f"a range here begins at {following}")
        return True
    if found := _EMPTY.fullmatch(identity):
        if found.group(1) != str(before):
            malformed(
                path, number, f"empty node {identity} after word {before}", f"an empty node here is {before}.1 or so"
            )
        return True
    if not _WORD.fullmatch(identity):
        malformed(
            path, number, f"{identity!r} is no word ID", "IDs are 1, 2, ..., 3-4 for a range, 8.1 for an empty node"
        )
    if identity != following:
        malformed(path, number, f"word {identity} follows word {before}", "is a blank line or a word missing?")
    return False
