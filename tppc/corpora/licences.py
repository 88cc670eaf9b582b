"""Licences of rows and what follows for a corpus: duties, and which licences go together in one.

A licence is an SPDX expression, or `LicenseRef-...` where the list has none. The rules are those of the Creative
Commons licences: attribution (BY) asks for credit; share-alike (SA) asks that an adaptation be under the same licence
or a later version of it; no derivatives (ND) forbids one, and a cleaned or mixed corpus is one; non-commercial (NC)
cannot be lifted, and share-alike without NC cannot take it on. This is no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tppc.errors import TppcError

_FREE = {"CC0-1.0", "PDDL-1.0", "Unlicense", "CC-PDDC"}
_CC = re.compile(r"(?:LicenseRef-)?CC-(BY(?:-NC)?(?:-SA|-ND)?)-(\d\.\d)(?:-[A-Z]{2,3})?$")


@dataclass(frozen=True)
class Licence:
    """What a Creative Commons licence asks for; `version` compares versions of one licence."""

    expression: str
    attribution: bool = False
    share_alike: bool = False
    no_derivatives: bool = False
    non_commercial: bool = False
    version: str = ""


def licence(expression: str) -> Licence | None:
    """Read an SPDX expression; None for a licence whose rules are not known here."""
    if expression in _FREE:
        return Licence(expression)
    if not (match := _CC.match(expression)):
        return None
    kind = match[1].split("-")
    return Licence(expression, True, "SA" in kind, "ND" in kind, "NC" in kind, match[2])


def needs_attribution(expression: str) -> bool:
    """Whether rows under a licence must be credited; True where its rules are not known."""
    found = licence(expression)
    return found is None or found.attribution


def duties(expression: str) -> str:
    """What whoever passes rows under this licence on has to do, in one sentence."""
    found = licence(expression)
    if found is None:
        return "Its terms are not known to tppc: read the licence of the source before passing the rows on."
    if not found.attribution:
        return "No duties; a citation is good practice."
    asked = ["Credit the authors, link the licence and say what was changed"]
    if found.share_alike:
        asked.append("pass adaptations on under the same licence or a later version of it")
    if found.non_commercial:
        asked.append("no commercial use")
    if found.no_derivatives:
        asked.append("do not pass adaptations on")
    return "; ".join(asked) + "."


def combine(expressions: Iterable[str]) -> str:
    """The licence under which rows of several licences can be passed on together, as one adaptation.

    Raises `TppcError` with the reason where there is none: ND, NC beside share-alike without NC, two share-alike
    licences of different kinds, or licences whose rules are not known.
    """
    names = sorted(set(expressions))
    if len(names) <= 1:
        return names[0] if names else "CC0-1.0"
    found = {name: licence(name) for name in names}
    if unknown := [name for name, rules in found.items() if rules is None]:
        raise TppcError(
            f"{' and '.join(names)} cannot be combined: the rules of {', '.join(unknown)} are not known here; leave "
            "that corpus out"
        )
    rules = [r for r in found.values() if r is not None]
    for rule in rules:
        if rule.no_derivatives:
            raise TppcError(
                f"{' and '.join(names)} cannot be combined: {rule.expression} forbids adaptations; leave it out"
            )
    alike = [r for r in rules if r.share_alike]
    commercial = [r for r in alike if not r.non_commercial]
    closed = [r for r in rules if r.non_commercial]
    if commercial and closed:
        raise TppcError(
            f"{' and '.join(names)} cannot be combined: {commercial[0].expression} must be that of the whole, "
            f"and {closed[0].expression} (no commercial use) does not allow that; leave one of them out"
        )
    strictest = alike or closed or [r for r in rules if r.attribution] or rules
    return max(
        strictest, key=lambda r: (r.version, not r.expression.startswith("LicenseRef-"), r.expression)
    ).expression


def allows(declared: str, row: str) -> bool:
    """Whether a row under `row` may stand in a corpus that is declared to be under `declared`."""
    try:
        return combine([declared, row]) == declared
    except TppcError:
        return False
