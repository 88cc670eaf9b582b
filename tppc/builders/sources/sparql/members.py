"""Which items are instances of a class, asked for in the cheapest way that serves.

1. One query for all of them. It serves for all but the largest classes.
2. Where that is too much, slices of the id axis told by a filter on the number. That bounds the answer but not the
   scan, which suits engines that scan fast and answers that are large (QLever).
3. Where the scan takes too long (Blazegraph, for a class such as Q5), slices whose ids are told one by one (`VALUES`),
   which every engine answers by look-up. The whole axis is then some 4,000 queries, no more than the texts of a class
   that large take, and a build with a limit needs only its beginning.

Nothing is sorted or paged: `LIMIT` is only a bound, and an answer that reaches it counts as too much. The axis is
walked upwards, so a limit takes the members with the lowest numbers, whichever way served.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

from tppc.builders.progress import note, progress
from tppc.builders.sources.sparql.endpoint import Endpoint, TooMuch
from tppc.builders.sources.sparql.queries import MEMBERS, members, members_query
from tppc.builders.sources.sparql.slices import Journal, Slices
from tppc.errors import TppcError

_MOST_ROWS = 200_000  # of one answer: 25 MB of JSON
_WIDEST = 1 << 24  # ids of a slice that is told by a filter
_LISTED = 1 << 15  # ids of a slice that are told one by one: 0.5 MB of query
_PATIENCE = 3  # refusals in a row of slices told by a filter, before ids are told one by one
# The walk ends where `_GAP` ids beyond the numbers in use (Q137,000,000 in 2026) hold no member. Only classes too large
# for one query are walked, and these have members everywhere.
_IN_USE, _GAP = 1 << 27, 1 << 24


class _TooMany(TooMuch):
    """The endpoint could answer, but the answer is longer than we take."""


@dataclass
class _Walk:
    """How far the id axis has been walked: ids below `position` are done, `last` is the highest member found.

    `whole`: one query for everything has not been refused. `refused`: slices told by a filter that were, in a row.
    """

    position: int = 1
    found: int = 0
    last: int = 0
    whole: bool = True
    refused: int = 0
    ended: bool = False
    slices: Slices = field(default_factory=lambda: Slices(_WIDEST, _WIDEST, _WIDEST))

    def step(self, found: Sequence[int], along: range | None) -> bytes:
        """Note the members in the next part of the axis (None: all of it); returns their lines."""
        self.found, self.refused = self.found + len(found), 0
        self.last = found[-1] if found else self.last
        if along is None:
            self.ended = True
        else:
            self.position = along.stop
            self.ended = self.position > _IN_USE and self.position - self.last > _GAP
        return b"".join(b"%d\n" % number for number in found)

    def refuse(self, along: range | None, *, scanned: bool) -> None:
        """That part was too much; `scanned`: only for us, the endpoint was fast enough."""
        if along is None:
            self.whole = False
            return
        self.slices.shrink(len(along))
        self.refused = self.refused + 1 if len(along) > _LISTED and not scanned else 0
        if self.refused == _PATIENCE:
            self.slices.limit(_LISTED)


def list_members(endpoint: Endpoint, journal: Journal, classes: Sequence[str], limit: int) -> array[int]:
    """The numbers of the members of some classes, ascending: all of them, or the `limit` lowest.

    The journal keeps one number a line. Raises `TppcError` if there is no member.
    """
    state = journal.state.get("walk", {})
    walk = _Walk(**{**state, "slices": Slices(**state["slices"])}) if state else _Walk()
    kinds = " or ".join(classes)
    with progress(f"{endpoint.name}: members of {kinds}", None, "members") as advance:
        advance(walk.found)
        while not walk.ended and walk.found < limit:
            along = None if walk.whole else range(walk.position, walk.position + walk.slices.size)
            lines, before = b"", walk.found
            try:
                found, seconds = _ask(endpoint, classes, along, f"items of {kinds}, {_described(along)}")
            except TooMuch as error:
                walk.refuse(along, scanned=isinstance(error, _TooMany))
            else:
                walk.slices.adapt(seconds)
                lines = walk.step(found, along)
            journal.add(lines, walk=asdict(walk))
            advance(walk.found - before)
    if walk.found == 0:
        journal.remove()  # the next try asks again
        raise TppcError(f"{endpoint.name}: no item is an instance of {kinds} (P31); check --class")
    if walk.found > limit or not walk.ended:
        note(f"{kinds}: only the {limit:,} members with the lowest numbers; --limit takes more")
    with journal.path.open("rb") as numbers:
        return array("Q", map(int, islice(numbers, limit)))


def _ask(endpoint: Endpoint, classes: Sequence[str], along: range | None, what: str) -> tuple[list[int], float]:
    """The members in a part of the axis (all of it: None) and the seconds it took. Raises `TooMuch`."""
    query = members_query(classes, along, along is not None and len(along) <= _LISTED, _MOST_ROWS + 1)
    rows, seconds = endpoint.ask(query, MEMBERS, what, divisible=along is None or len(along) > 1)
    if len(rows) > _MOST_ROWS:
        raise _TooMany
    return members(rows), seconds


def _described(along: range | None) -> str:
    if along is None:
        return "all at once"
    return f"Q{along.start}" if len(along) == 1 else f"Q{along.start} to Q{along.stop - 1}"
