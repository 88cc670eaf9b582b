"""Checksums that publishers put beside their files, and how to find the one of a download.

Wikimedia writes `<wiki>-<date>-sha1sums.txt` and `-md5sums.txt` into the dated folder of a dump, lines of
`<hex digest>  <file name>`; for Wikidata's entities that is `entities/20260101/wikidata-20260101-sha1sums.txt`. Mirrors
keep the layout, so the path decides, not the host. `entities/latest-all.json.gz` is a link to the newest dated file and
has no line of its own: the dated file with the same validators is looked for.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tppc.builders.progress import progress

# .../20260101/wikidata-20260101-all.json.gz
_DATED = re.compile(r"^(?P<folder>.*/(?P<date>\d{8})/)(?P<wiki>[a-z0-9_-]+)-(?P=date)-(?P<rest>[^/]+)$")
# .../entities/latest-all.json.gz
_LATEST = re.compile(r"^(?P<folder>.*/entities/)latest-(?P<rest>[^/]+)$")
_FOLDER = re.compile(r"""href=["']?(?:[^"'>]*/)?(\d{8})/["'\s>]""")
_LINE = re.compile(r"^([0-9a-fA-F]{32,128})[ \t]+\*?(\S.*?)\s*$")
_ALGORITHMS = {"sha1": "sha1sums", "md5": "md5sums"}  # the stronger one first
_LENGTHS = {"sha1": 40, "md5": 32}
_NEWEST_FOLDERS = 3


@dataclass(frozen=True)
class Checksum:
    """A published digest: `algorithm` as `hashlib` names it, `digest` in lower-case hex, `origin` the file it is in."""

    algorithm: str
    digest: str
    origin: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"


def digests(path: Path, algorithms: Sequence[str], label: str = "") -> dict[str, str]:
    """Hex digests of a file by several algorithms, in one reading; `label` names it in the progress."""
    found = {name: hashlib.new(name) for name in algorithms}
    size = path.stat().st_size
    with path.open("rb") as file, progress(f"{label or path.name}: digest", size, "bytes") as advance:
        while chunk := file.read(1 << 20):
            for digest in found.values():
                digest.update(chunk)
            advance(len(chunk))
    return {name: digest.hexdigest() for name, digest in found.items()}


def parse_sums(text: str, algorithm: str) -> dict[str, str]:
    """Digests by file name from the text of a sums file (`sha1sum`'s output); other lines are passed over."""
    found = {}
    for line in text.splitlines():
        if (match := _LINE.match(line)) and len(match[1]) == _LENGTHS[algorithm]:
            found[match[2].rsplit("/", 1)[-1]] = match[1].lower()
    return found


def published(
    location: str, read: Callable[[str], str | None], same: Callable[[str], bool] = lambda location: False
) -> Checksum | None:
    """The checksum that the publisher gives for a file, None where the layout has none or the list lacks the file.

    Args:
        location: a URL or a path. read: gives the text of a small file beside it (or of a folder's listing), None where
        there is none. same: whether a location holds the same file as `location`, by size and validators.
    """
    if match := _DATED.match(path_of(location)):
        root = _without_query(location).rpartition("/")[0] + "/"
        name = urllib.parse.unquote(match["wiki"] + "-" + match["date"] + "-" + match["rest"])
        for origin, algorithm, sums in _sums(root, match["wiki"], match["date"], read):
            if name in sums:
                return Checksum(algorithm, sums[name], origin)
        return None
    if (match := _LATEST.match(path_of(location))) is None:
        return None
    root = _without_query(location)[: -len(f"latest-{match['rest']}")]
    dates = sorted({*_FOLDER.findall(read(root) or "")}, reverse=True)
    for date in dates[:_NEWEST_FOLDERS]:
        for origin, algorithm, sums in _sums(f"{root}{date}/", "wikidata", date, read):
            for name, digest in sums.items():
                # Some dumps carry BETA in the dated name only: wikidata-20260101-truthy-BETA.nt.gz.
                plain = name.replace("-BETA", "")
                if plain == f"wikidata-{date}-{match['rest']}" and same(f"{root}{date}/{name}"):
                    return Checksum(algorithm, digest, origin)
    return None


def _sums(
    root: str, wiki: str, date: str, read: Callable[[str], str | None]
) -> Iterable[tuple[str, str, dict[str, str]]]:
    """The sums files of a dated folder that are there: (location, algorithm, digests by name)."""
    for algorithm, kind in _ALGORITHMS.items():
        origin = f"{root}{wiki}-{date}-{kind}.txt"
        if (text := read(origin)) is not None:
            yield origin, algorithm, parse_sums(text, algorithm)


def path_of(location: str) -> str:
    """The path of a URL, without its query; a local path is its own."""
    return urllib.parse.urlsplit(location).path if "://" in location else location


def _without_query(location: str) -> str:
    return urllib.parse.urlsplit(location)._replace(query="", fragment="").geturl() if "://" in location else location
