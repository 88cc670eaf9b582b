"""Wikidata by SPARQL: a bounded number of items, asked for slice by slice, kept in the layout of the dump.

Two ways to say which items: the numbers Q1..Qn, or the members of classes (`--class Q5`). Either way their texts are
asked for in `VALUES` blocks of ids: a block costs what it holds, wherever in the graph, on every engine, and means the
same tomorrow, whereas pages of a live endpoint overlap. A block is halved when the endpoint runs out of time and grows
when it answers fast.

The members of a class are listed first (`members.py`).

After each slice a checkpoint: a killed harvest loses the slice in flight. The file of entities is in the order of the
ids, so it does not depend on the slices.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from tppc.builders.cache import lease
from tppc.builders.download import Fetched, is_url, public_url, shown
from tppc.builders.progress import note, progress
from tppc.builders.sources.base import Request
from tppc.builders.sources.sparql.endpoint import Endpoint, TooMuch
from tppc.builders.sources.sparql.members import list_members
from tppc.builders.sources.sparql.queries import TEXTS, entity_lines, members_query, tags, texts_query
from tppc.builders.sources.sparql.slices import Journal, Slices
from tppc.corpora.files import cache_folder, canonical_json, sha256_of_file, sha256_of_value, write_bytes
from tppc.corpora.manifest import Snapshot
from tppc.errors import TppcError, UsageError

PRESETS = {"wdqs": "https://query.wikidata.org/sparql", "qlever": "https://qlever.dev/api/wikidata"}
DEFAULT_LIMIT = 10_000
# Items whose texts are asked for at once: 5,000 is what others harvest at.
_AT_FIRST = {"size": 500, "threshold": 5_000, "largest": 5_000}

_CLASS = re.compile(r"Q[1-9][0-9]*")


@dataclass(frozen=True)
class _Question:
    """What is asked for; decides the answers together with the endpoint and the day.

    `tags` maps language tags to codes of the dump; no `classes` means the items Q1..Q`limit`.
    """

    endpoint: str
    tags: dict[str, str]
    classes: list[str]
    limit: int
    aliases: bool

    @property
    def digest(self) -> str:
        """Names the answers; the queries' own texts are part of it."""
        templates = [texts_query([1], self.tags, self.aliases), members_query(self.classes or ["Q1"], None, False, 1)]
        return sha256_of_value({**asdict(self), "queries": templates})


def harvest(request: Request) -> Fetched:
    """Ask an endpoint for the texts of `request.limit` items (10,000 by default), or take the answers from the cache.

    Returns a file of entities, one JSON object a line. Raises `UsageError` for an endpoint or class that is none, and
    `TppcError` when the endpoint refuses, does not answer (what is finished is kept then) or knows no such item.
    """
    question = _question(request)
    folder = cache_folder() / f"sparql-{question.digest[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"sparql-{question.digest[:12]}.jsonl"
    lease(folder / name)  # `tppc cache clean` leaves it alone as long as this process lives
    with FileLock(folder / "lock"):
        if (snapshot := _standing(folder, name)) is not None:
            note(
                f"{snapshot.url}: using the answers of {snapshot.retrieved}; to ask again, remove {folder} "
                "(or `tppc cache clean --older-than DAYS`)"
            )
        else:
            snapshot = _ask(question, folder, name)
    return Fetched(folder / name, snapshot)


def _question(request: Request) -> _Question:
    url = PRESETS.get(request.endpoint or "wdqs", request.endpoint or "")
    try:
        public_url(url)
    except ValueError as error:  # a port that is no number, a host that is none
        raise UsageError(f"--endpoint {shown(url)}: not a URL that can be asked ({error}); check it") from error
    if not is_url(url) or "@" in urllib.parse.urlsplit(url).netloc:
        without = " without user name and password" if is_url(url) else ""
        word = "" if "@" in url else f" {url!r}"
        raise UsageError(f"--endpoint{word}: give {', '.join(PRESETS)} or the URL of a SPARQL endpoint{without}")
    classes = list(dict.fromkeys(request.options.get("classes") or ()))
    for name in classes:
        if not _CLASS.fullmatch(name):
            raise UsageError(f"--class {name!r}: give the id of a Wikidata item, such as Q5 (human)")
    return _Question(
        endpoint=url,
        tags=tags(side for pair in request.pairs for side in pair.languages),
        classes=sorted(classes, key=lambda name: int(name[1:])),
        limit=request.limit or DEFAULT_LIMIT,
        aliases=bool(request.options.get("aliases")),
    )


def _standing(folder: Path, name: str) -> Snapshot | None:
    """The snapshot of answers that are complete and undamaged. What is damaged is removed."""
    meta, file = folder / "snapshot.json", folder / name
    if not meta.is_file():
        return None
    known: dict[str, Any] = json.loads(meta.read_bytes())
    if not file.is_file() or sha256_of_file(file) != known["sha256"]:
        note(f"{file}: damaged since it was written; asking again")
        meta.unlink()
        Journal(file).remove()
        return None
    return Snapshot(name=name, **{key: known[key] for key in ("url", "bytes", "sha256", "retrieved")})


def _ask(question: _Question, folder: Path, name: str) -> Snapshot:
    """Ask for everything that is missing; `snapshot.json`, written last, says that the file is complete."""
    endpoint = Endpoint(question.endpoint)
    listing, journal = Journal(folder / "members"), Journal(folder / name)
    began = journal.state.setdefault("began", listing.state.setdefault("began", _now()))
    if question.classes:
        found = list_members(endpoint, listing, question.classes, question.limit)
        _texts(endpoint, journal, found, question, sha256(found.tobytes()).hexdigest())
    else:
        _texts(endpoint, journal, range(1, question.limit + 1), question, "")
    if journal.path.stat().st_size == 0:
        journal.remove()
        raise TppcError(f"{endpoint.name}: knows none of these items; check that --endpoint holds Wikidata")
    snapshot = Snapshot(
        name=name,
        url=public_url(question.endpoint),
        bytes=journal.path.stat().st_size,
        sha256=sha256_of_file(journal.path),
        retrieved=_now(),
    )
    asked = {**asdict(question), "endpoint": snapshot.url}
    known = snapshot.model_dump(exclude_none=True) | {"began": began, "question": asked}
    write_bytes(folder / "snapshot.json", canonical_json(known))
    journal.forget()
    listing.remove()
    return snapshot


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _texts(endpoint: Endpoint, journal: Journal, ids: Sequence[int], question: _Question, members: str) -> None:
    """Append the items' lines to the journal, in the order of `ids`. `members` is the digest of those that were
    listed: a position in the journal means nothing under another list.
    """
    if journal.state.get("members", members) != members:
        journal.restart()
    slices = Slices(**journal.state.get("slices", _AT_FIRST))
    position: int = journal.state.get("position", 0)
    with progress(endpoint.name, len(ids), "items") as advance:
        advance(position)
        while position < len(ids):
            block = ids[position : position + slices.size]
            what = f"Q{block[0]}" if len(block) == 1 else f"{len(block):,} items from Q{block[0]} to Q{block[-1]}"
            query = texts_query(block, question.tags, question.aliases)
            lines = b""
            try:
                rows, seconds = endpoint.ask(query, TEXTS, what, divisible=len(block) > 1)
            except TooMuch:
                slices.shrink(len(block))
            else:
                slices.adapt(seconds)
                position += len(block)
                lines = entity_lines(rows, block, question.tags, question.aliases)
                advance(len(block))
            journal.add(lines, position=position, members=members, slices=asdict(slices))
