"""SSF, the Shakti Standard Format, as SSEA-2008's corpora are written in it (IJCNLP-08 workshop, IIIT Hyderabad).

    <Sentence id="209">
    0   ((  SSF
    1   (word)
    2   ((  NP  <ne=NEP>
    2.1 ((  NP  <ne=NED>
    2.1.1   (word)
        ))
    2.2 (word)
        ))
        ))
    </Sentence>

(parted by tabs). A chunk goes from `((` to its own `))`; one with an attribute `ne=` is an entity. Chunks nest, which
IOB2 cannot say: of nested entities the outermost is read, with the type of its attribute, and the inner ones are
counted in a note. A chunk without the attribute is none, and takes nothing from the entity around it. Brackets decide;
where one is missing, the numbers must agree with them. Where there are no `<Sentence>` marks, an outermost chunk is a
sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tppc.errors import TppcError
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import malformed, numbered_lines

_MARK = re.compile(r"</?(sentence|story|document|doc|head|body|text|tb|p|foreign)\b[^>]*>", re.IGNORECASE)
_SENTENCE = re.compile(r"<(/?)sentence\b[^>]*>", re.IGNORECASE)
# `<ne=NEP>`, `<fs af='...' ne='NEP'>`, and the later `<ENAMEX TYPE="PERSON">`.
_ENTITY = re.compile(r"<\s*enamex\s+type\s*=\s*[\"']?([^\"'>]*)|[<\s]ne\s*=\s*[\"']?([^\"'>]*)", re.IGNORECASE)
_MAYBE_ENTITY = re.compile(r"<\s*(ne|enamex)", re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+)*\.?")


@dataclass
class _Chunk:
    """An open chunk: the line it opened in, its address, its type if an entity, whether a token of it was read."""

    line: int
    address: str
    kind: str
    filled: bool = False


@dataclass
class _State:
    """What is read of the sentence so far."""

    opened: int | None = None  # the line of <Sentence>
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    chunks: list[_Chunk] = field(default_factory=list)
    astray: tuple[int, str] | None = None  # the first line in an entity whose address is not of it, and the entity


def looks_like_ssf(line: str) -> bool:
    """Whether a file whose first line with text is this is in SSF."""
    return bool(_MARK.fullmatch(line.strip(" \t"))) or bool(re.match(r"0\t\(\(", line))


def read_ssf(path: Path) -> Reading[TaggedSentence]:
    """Read tokens and entities from a file in SSF, plain or compressed.

    Raises `TppcError`, with file and line, for a `))` with no `((`, an entity that is not closed in its sentence or
    has no token, a token outside of any sentence, and a line of no known form.
    """
    sentences: list[TaggedSentence] = []
    counts: Counter[str] = Counter()
    nested: Counter[str] = Counter()
    state = _State()

    def close(number: int) -> None:
        """End the sentence before line `number`."""
        nonlocal state
        for chunk in state.chunks:
            if chunk.kind:
                malformed(path, chunk.line, f"entity {chunk.kind} is not closed in its sentence", "close it with '))'")
        if state.chunks and state.astray:
            line, kind = state.astray
            fault = f"by its number this is not in the entity {kind} above, and a '))' is missing in the sentence"
            malformed(path, line, fault, "close the entity where it ends")
        counts["unclosed chunks"] += len(state.chunks)
        if state.tokens:
            sentences.append(TaggedSentence(tuple(state.tokens), tuple(state.tags)))
        elif state.opened is not None:
            counts["empty sentences"] += 1
        state = _State()

    for number, line in numbered_lines(path):
        text = line.strip(" \t")
        if not text:
            continue
        if found := _SENTENCE.fullmatch(text):
            if found.group(1):
                if state.opened is None and not state.tokens:
                    malformed(path, number, "a </Sentence> with no <Sentence>", "remove it, or add the opening one")
            elif state.opened is not None or state.tokens:
                counts["unclosed sentences"] += 1
            close(number)
            state.opened = None if found.group(1) else number
        elif _MARK.fullmatch(text):
            continue
        else:
            _read_line(path, number, line, state, nested)
            if state.opened is None and not state.chunks and state.tokens:
                close(number)  # a file without <Sentence> marks: the outermost chunk is the sentence
    if state.opened is not None or state.tokens:
        counts["unclosed sentences"] += state.opened is not None
        close(0)
    if not sentences:
        raise TppcError(f"{path}: no sentence in it; is it SSF?")
    return Reading(sentences, tuple(_notes(path.name, counts, nested)))


def _read_line(path: Path, number: int, line: str, state: _State, nested: Counter[str]) -> None:
    """Take a line inside a sentence: a bracket, or an address and a token."""
    parted = line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))
    cells = [cell.strip(" ") for cell in parted]
    addressed = bool(_ADDRESS.fullmatch(cells[0])) or cells[0] == ""
    rest = cells[1:] if addressed and len(cells) > 1 else cells
    address = cells[0].rstrip(".") if addressed else ""
    outer = next((chunk for chunk in state.chunks if chunk.kind), None)
    if outer and address and not address.startswith(f"{outer.address}.") and state.astray is None:
        state.astray = (number, outer.kind)
    if rest[0] == "((":
        kind = _kind(path, number, rest[1:])
        if kind and outer:
            nested[f"{kind} in {outer.kind}"] += 1
            kind = ""
        state.chunks.append(_Chunk(number, address, kind))
    elif rest[0] == "))":
        if not state.chunks:
            malformed(path, number, "'))' with no '((' before it in the sentence", "remove it, or open the chunk")
        closed = state.chunks.pop()
        if closed.kind and not closed.filled:
            malformed(path, closed.line, f"entity {closed.kind} has no token", "remove its brackets, or add the token")
    elif not addressed or cells[0] == "" or not rest[0] or len(cells) < 2:
        malformed(
            path,
            number,
            f"{line[:40]!r} is neither a token (address, tab, token) nor a bracket",
            "a line of SSF is '1<TAB>token', '2<TAB>((<TAB>NP', or '<TAB>))'",
        )
    else:
        if state.opened is None and not state.chunks:
            malformed(path, number, "a token outside of any <Sentence>", "put <Sentence> before it")
        state.tokens.append(rest[0])
        state.tags.append(f"{'I' if outer.filled else 'B'}-{outer.kind}" if outer else "O")
        if outer:
            outer.filled = True


def _kind(path: Path, number: int, cells: list[str]) -> str:
    """The entity type in the attributes of a chunk, in upper case; of several (`NEP/NED`) the first. Empty for none."""
    attributes = "\t".join(cells)
    found = _ENTITY.search(attributes)
    kind = "".join((found.group(1) or found.group(2) or "").split("/")[0].split()).upper() if found else ""
    if not kind and (found or _MAYBE_ENTITY.search(attributes)):
        malformed(path, number, f"no entity type in {attributes[:40]!r}", "an entity is written as <ne=NEP>")
    return kind


def _notes(name: str, counts: Counter[str], nested: Counter[str]) -> list[str]:
    notes = []
    if nested:
        inner = ", ".join(f"{kind} {count}" for kind, count in sorted(nested.items()))
        notes.append(f"{name}: {nested.total()} entities inside others are not read, the outermost are: {inner}")
    if counts["unclosed sentences"]:
        notes.append(f"{name}: {counts['unclosed sentences']} sentences have no </Sentence> and are read all the same")
    if counts["unclosed chunks"]:
        notes.append(f"{name}: {counts['unclosed chunks']} chunks that are no entities are not closed; nothing is lost")
    if counts["empty sentences"]:
        notes.append(f"{name}: {counts['empty sentences']} sentences hold no token and are left out")
    return notes
