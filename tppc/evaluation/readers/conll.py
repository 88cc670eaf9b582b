"""CoNLL columns: a token a line, its entity tag in some column, a blank line after a sentence.

Read into IOB2 from IOB1, IOB2 (also called BIO) and flat tags without any prefix (SSEA's `PERSON PERSON O`). Comments,
`-DOCSTART-` lines, PAN-X's language prefix (`en:token`) and columns parted by tabs or by spaces are understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import malformed, numbered_lines

_TAG = re.compile(r"O|[BI]-\S+")
_SPACES = re.compile(r"[ \t]+")  # not \s: a no-break space or U+0085 can be a token of a tweet
_PANX = re.compile(r"([a-z]{2,3}(?:-[a-z]+)*):(.+)", re.DOTALL)


@dataclass(frozen=True)
class _Row:
    number: int
    columns: list[str]


def _blocks(path: Path) -> list[list[_Row]]:
    """The file's sentences as rows of columns, comments left out.

    `#` opens a comment where the line has not the columns of a token line: tweets hold `#tag<TAB>O`, a token.
    """
    blocks: list[list[_Row]] = [[]]
    tabs: bool | None = None
    for number, line in numbered_lines(path):
        if not line.strip(" \t"):
            blocks.append([])
            continue
        if tabs is None:
            if line.startswith("#") and not _TAG.fullmatch(_SPACES.split(line)[-1]):
                continue
            tabs = "\t" in line
        if line.startswith("#"):
            if tabs and "\t" not in line:
                continue
            if not tabs and not (len(_SPACES.split(line)) == 2 and _TAG.fullmatch(_SPACES.split(line)[-1])):
                continue
        columns = line.split("\t") if tabs else _SPACES.split(line.rstrip(" "))
        if columns[0] == "-DOCSTART-":
            continue
        if len(columns) < 2:
            parted = "tabs" if tabs else "spaces"
            malformed(
                path,
                number,
                f"only one column ({columns[0][:40]!r})",
                f"the file's columns are parted by {parted}, and a token needs a tag",
            )
        blocks[-1].append(_Row(number, columns))
    return [block for block in blocks if block]


def _find_columns(path: Path, blocks: Sequence[Sequence[_Row]]) -> tuple[int, int]:
    """Which columns hold token and tag, judged by the first 200 sentences.

    Tags look like `O` and `B-PER`; a first column that counts 1, 2, 3 holds no tokens.
    """
    rows = [row for block in blocks[:200] for row in block]
    width = min(len(row.columns) for row in rows)
    # From the right: the last column is the tag in most files, and rows may differ in width before it.
    tagged = [c for c in range(-1, -width, -1) if all(_TAG.fullmatch(row.columns[c]) for row in rows)]
    if not tagged and width == 2:
        tagged = [-1]  # flat tags
    if not tagged:
        raise UsageError(
            f"{path}: no column looks like entity tags (O, B-PER, I-PER); "
            "say which with --columns TOKEN,TAG, counted from 0"
        )
    numbered = all(row.columns[0] == str(i) for block in blocks[:200] for i, row in enumerate(block, start=1))
    token = 1 if numbered and width > 2 else 0
    return token, tagged[0]


def _refuse_ragged(path: Path, blocks: Sequence[Sequence[_Row]]) -> None:
    """Raise where lines differ in width: with no B- or I- to go by, the last column may be anything."""
    width = min(len(row.columns) for block in blocks for row in block)
    for row in (row for block in blocks for row in block):
        if len(row.columns) != width:
            malformed(
                path,
                row.number,
                f"{len(row.columns)} columns where other lines have {width}, and no tag of the file has B- or I-",
                "give every line as many columns, or say which hold token and tag with --columns TOKEN,TAG",
            )


def _refuse_flat(path: Path, number: int, tag: str) -> None:
    """Raise for a tag that is no plain type: `Q-PER` is a tag of another scheme, or a wrong one."""
    if "-" in tag:
        malformed(
            path,
            number,
            f"tag {tag!r} is neither O nor B-... nor I-..., and a type that stands alone has no hyphen",
            "IOB1, IOB2 and plain types (PERSON) are read; convert other schemes, or give --columns",
        )


def _iob2(types: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], int]:
    """IOB2 tags of (prefix, type) pairs, and how many spans did not begin with `B`.

    An `I` that continues nothing of its type begins a span (conlleval's reading, which turns IOB1 into IOB2 exactly).
    """
    tags, repaired, previous = [], 0, ""
    for prefix, kind in types:
        if not kind:
            tags.append("O")
        elif prefix == "B" or kind != previous:
            repaired += prefix == "I"
            tags.append(f"B-{kind}")
        else:
            tags.append(f"I-{kind}")
        previous = kind
    return tuple(tags), repaired


def read_conll(path: Path, columns: tuple[int, int] | None = None) -> Reading[TaggedSentence]:
    """Read tokens and entity tags from a file in CoNLL columns, plain or compressed; tags come out in IOB2.

    Args:
        columns: token and tag column, from 0 (negative: from the right). Found out from the file where not given.

    Raises `TppcError`, with file and line, for a token without tag, an empty token, a missing column or a tag of no
    known scheme; `UsageError` where no column looks like tags.
    """
    blocks = _blocks(path)
    if not blocks:
        raise TppcError(f"{path}: no sentence in it; is it in CoNLL columns?")
    token_column, tag_column = columns or _find_columns(path, blocks)
    cells: list[list[tuple[int, str, str]]] = []
    for rows in blocks:
        cells.append([])
        for row in rows:
            try:
                token, tag = row.columns[token_column], row.columns[tag_column]
            except IndexError:
                malformed(
                    path,
                    row.number,
                    f"only {len(row.columns)} columns",
                    f"the token is looked for in column {token_column}, the tag in column {tag_column}",
                )
            if not token or not tag:
                malformed(
                    path, row.number, f"an empty {'tag' if token else 'token'}", "every line needs a token and a tag"
                )
            cells[-1].append((row.number, token, tag))
    notes = []
    cells, prefix = _without_language(cells)
    if prefix:
        notes.append(f"{path.name}: the prefix {prefix!r} was taken off every token")
    flat = not any(tag.startswith(("B-", "I-")) for block in cells for _, _, tag in block)
    if flat and columns is None and any(tag != "O" for block in cells for _, _, tag in block):
        _refuse_ragged(path, blocks)
    sentences, repaired = [], 0
    for block in cells:
        for number, _, tag in block:
            if flat:
                _refuse_flat(path, number, tag)
            elif not _TAG.fullmatch(tag):
                malformed(
                    path,
                    number,
                    f"tag {tag!r} is neither O nor B-... nor I-...",
                    "IOB1 and IOB2 are read; convert other schemes, or give --columns",
                )
        # Flat tags have no prefix: a run of one type is one entity.
        typed = [("", "" if tag == "O" else tag) if flat else (tag[0], tag[2:]) for _, _, tag in block]
        tags, mended = _iob2(typed)
        repaired += mended
        sentences.append(TaggedSentence(tuple(token for _, token, _ in block), tags))
    if flat and any(tag != "O" for s in sentences for tag in s.tags):
        notes.append(
            f"{path.name}: tags without B- and I-: a run of one type is read as one entity, "
            "so neighbours of one type are merged"
        )
    if repaired:
        notes.append(f"{path.name}: {repaired} entities that begin with I- (IOB1, or broken IOB2) now begin with B-")
    return Reading(sentences, tuple(notes))


def _without_language(cells: list[list[tuple[int, str, str]]]) -> tuple[list[list[tuple[int, str, str]]], str]:
    """Take PAN-X's `en:` off, where every token of the file has the same one."""
    found = {m.group(1) if (m := _PANX.fullmatch(token)) else "" for block in cells for _, token, _ in block}
    if len(found) != 1 or "" in found:
        return cells, ""
    prefix = f"{found.pop()}:"
    return [[(number, token.removeprefix(prefix), tag) for number, token, tag in block] for block in cells], prefix
