"""CoNLL columns: a token a line, its entity tag in some column, a blank line after a sentence.

Read into IOB2 from every scheme of `schemes` and from flat tags without any prefix (SSEA's `PERSON PERSON O`).
Comments, `-DOCSTART-` lines, PAN-X's language prefix (`en:token`) and columns parted by tabs or by spaces are
understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import malformed, numbered_lines
from tppc.evaluation.readers.options import Column
from tppc.evaluation.readers.schemes import TAG, RawSentence, read_entities

_SPACES = re.compile(r"[ \t]+")  # not \s: a no-break space or U+0085 can be a token of a tweet
_COMMENT = re.compile(r"#+(\s|$|\S*\s*=|begin document|end document)")
_PANX = re.compile(r"([a-z]{2,3}(?:-[a-z]+)*):(.+)", re.DOTALL)


@dataclass(frozen=True)
class _Row:
    number: int
    columns: list[str]


def _parted(line: str, tabs: bool) -> list[str]:
    return line.split("\t") if tabs else _SPACES.split(line.rstrip(" "))


def _blocks(path: Path) -> list[list[_Row]]:
    """The file's sentences as rows of columns, comments left out.

    `#` opens a comment where the line has not the columns of a token line: tweets hold `#tag<TAB>O`, a token. In a
    file of tabs a comment has none; in one of spaces it has another width than the tokens, or no tag at its end. But
    `#tag` alone is a token without its tag, and a fault, since nothing must be lost.
    """
    lines = [(number, line) for number, line in numbered_lines(path)]
    plain = [line for _, line in lines if line.strip(" \t") and not line.startswith("#")]
    known = plain or [line for _, line in lines]
    tabs = "\t" in (known[0] if plain else "".join(known))
    width = len(_parted(plain[0], tabs)) if plain else 2
    tags = set() if tabs else {_parted(line, tabs)[-1] for line in plain}

    def is_comment(line: str) -> bool:
        if not line.startswith("#"):
            return False
        columns = _parted(line, tabs)
        if tabs and "\t" in line:
            return False
        if not tabs and len(columns) == width and (columns[-1] in tags or TAG.fullmatch(columns[-1])):
            return False
        return bool(_COMMENT.match(line))

    blocks: list[list[_Row]] = [[]]
    for number, line in lines:
        if not line.strip(" \t"):
            blocks.append([])
            continue
        if is_comment(line):
            continue
        columns = _parted(line, tabs)
        if columns[0] == "-DOCSTART-":
            blocks.append([])
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
    tagged = [c for c in range(-1, -width, -1) if all(TAG.fullmatch(row.columns[c]) for row in rows)]
    if not tagged and width == 2:
        tagged = [-1]  # flat tags
    if not tagged:
        raise UsageError(
            f"{path}: no column looks like entity tags (O, B-PER, I-PER); "
            "say which with --columns TOKEN,TAG, counted from 0"
        )
    return _token_column(blocks, width), tagged[0]


def _token_column(blocks: Sequence[Sequence[_Row]], width: int) -> int:
    """0, or 1 where the first column counts 1, 2, 3."""
    numbered = all(row.columns[0] == str(i) for block in blocks[:200] for i, row in enumerate(block, start=1))
    return 1 if numbered and width > 2 else 0


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


def read_columns(path: Path, columns: tuple[Column, Column] | None = None) -> tuple[list[RawSentence], tuple[str, ...]]:
    """Sentences of a file in CoNLL columns with their tags as they are, and notes.

    Args:
        columns: token and tag column, from 0 (negative: from the right). Found out from the file where not given.

    Raises `TppcError`, with file and line, for a token without tag, an empty token or a missing column; `UsageError`
    where no column looks like tags, or columns are given by name.
    """
    if columns and not all(isinstance(column, int) for column in columns):
        raise UsageError(f"{path}: CoNLL columns have no names; number them from 0, as in --columns 0,3")
    blocks = _blocks(path)
    if not blocks:
        raise TppcError(f"{path}: no sentence in it; is it in CoNLL columns?")
    token_column, tag_column = (int(column) for column in columns or _find_columns(path, blocks))
    if columns is None:
        found = {row.columns[tag_column] for block in blocks for row in block}
        if found != {"O"} and not any(TAG.fullmatch(tag) for tag in found - {"O"}):
            _refuse_ragged(path, blocks)
    sentences = []
    for rows in blocks:
        tokens, tags = [], []
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
            tokens.append(token)
            tags.append(tag)
        sentences.append(RawSentence(tokens, tags, [row.number for row in rows]))
    sentences, prefix = _without_language(sentences)
    return sentences, (f"{path.name}: the prefix {prefix!r} was taken off every token",) if prefix else ()


def read_conll(path: Path, columns: tuple[Column, Column] | None = None) -> Reading[TaggedSentence]:
    """Read tokens and entity tags from a file in CoNLL columns, plain or compressed; tags come out in IOB2.

    Args:
        columns: token and tag column, from 0 (negative: from the right). Found out from the file where not given.

    Raises `TppcError`, with file and line, for what `read_columns` refuses and for a tag of no known scheme.
    """
    sentences, notes = read_columns(path, columns)
    reading = read_entities(sentences, path.name, lambda number: f"{path}, line {number}")
    return Reading(reading.items, (*notes, *reading.notes))


def _without_language(sentences: list[RawSentence]) -> tuple[list[RawSentence], str]:
    """Take PAN-X's `en:` off, where every token of the file has the same one."""
    found = {m.group(1) if (m := _PANX.fullmatch(token)) else "" for s in sentences for token in s.tokens}
    if len(found) != 1 or "" in found:
        return sentences, ""
    prefix = f"{found.pop()}:"
    return [RawSentence([t.removeprefix(prefix) for t in s.tokens], s.tags, s.places) for s in sentences], prefix
