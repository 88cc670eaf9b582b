"""What differs between two corpora: recipe, snapshots, versions, funnel, licences, files, and rows.

Times (when a corpus was built, when a snapshot was fetched), the command, the state of the tool's repository and the
files that only repeat such times are no difference. Statistics follow from the rows and are left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tppc.corpora.addresses import public_address
from tppc.corpora.manifest import Funnel, Manifest, next_version, parse_manifest
from tppc.corpora.schema import SCHEMA
from tppc.manifests.diff_rows import RowDiff, Side, diff_rows
from tppc.manifests.places import Place
from tppc.manifests.versions import least_change

Change = tuple[Any, Any]
# Files that name the day of the data, which is that of the build where no snapshot has one.
_DATED = {"CITATION.cff", "README.md", "croissant.json"}
_COMPARED = {
    "recipe": "recipe",
    "versions": "versions",
    "language_id": "language ID",
    "encoder": "encoder",
    "source_counts": "source counts",
    "protected": "protected sets",
    "parents": "parents",
    "sources": "sources",
}
_PLAIN = ("name", "version", "pairs", "licence", "attribution", "limits")


@dataclass(frozen=True)
class ManifestDiff:
    """Two corpora side by side. Every entry of a mapping is something that differs: its two values, None where one has
    none; only `funnel` holds every number of both.
    """

    before: dict[str, str]
    after: dict[str, str]
    fields: dict[str, Change]
    settings: dict[str, dict[str, Change]]
    snapshots: dict[str, Change]
    funnel: dict[str, tuple[int, int]]
    licences: dict[str, tuple[int, int]]
    columns: dict[str, Change]
    files: dict[str, str]
    rows: dict[str, RowDiff] | None
    why_no_rows: str = ""
    change: str | None = None
    next_version: str | None = None
    same_build: bool = field(default=False)

    def differs(self) -> bool:
        """Whether anything differs but times."""
        parts = (self.fields, self.settings, self.snapshots, self.licences, self.columns, self.files)
        rows = self.rows is not None and any(rows.differs() for rows in self.rows.values())
        return any(parts) or any(a != b for a, b in self.funnel.values()) or rows or not self.same_build

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        rows = None if self.rows is None else {pair: rows.as_json() for pair, rows in self.rows.items()}
        return {**vars(self), "rows": rows, "differs": self.differs()}


def diff(
    before: str | Path, after: str | Path, *, rows: bool = True, advance: Callable[[int], None] = lambda rows: None
) -> ManifestDiff:
    """Compare two corpora.

    Args:
        before, after: each a corpus (a folder or a URL) or a manifest alone. rows: also compare the rows, where the
            shards of both are there. advance: is told how many rows were read.

    Raises `TppcError` where there is no manifest, or a shard cannot be compared.
    """
    (one, one_place), (other, other_place) = _read(before), _read(after)
    columns = [{**{f.name: str(f.type) for f in SCHEMA}, **dict(m.extra_columns)} for m in (one, other)]
    found: dict[str, RowDiff] | None = None
    why = ""
    if not rows:
        why = "not asked for"
    elif missing := [
        public_address(str(given)) for given, place in ((before, one_place), (after, other_place)) if place is None
    ]:
        why = f"no shards beside {' and '.join(missing)}"
    else:
        assert one_place is not None, "looked at above"
        assert other_place is not None, "looked at above"
        common = [name for name in columns[0] if columns[0][name] == columns[1].get(name)]
        found = {}
        for pair in dict.fromkeys([*one.pairs, *other.pairs]):
            sides = [
                Side(place, [s for s in m.shards if s.pair == pair])
                for m, place in ((one, one_place), (other, other_place))
            ]
            found[pair] = diff_rows(sides[0], sides[1], common, advance)
    difference = ManifestDiff(
        before=_identity(one),
        after=_identity(other),
        fields={n: (getattr(one, n), getattr(other, n)) for n in _PLAIN if getattr(one, n) != getattr(other, n)},
        settings=_settings(one, other),
        snapshots=_changes(*({s.name: s.sha256 for s in m.snapshots} for m in (one, other))),
        funnel=_funnels(one.funnel, other.funnel),
        licences={
            name: (one.licences.get(name, 0), other.licences.get(name, 0))
            for name in sorted({*one.licences, *other.licences})
            if one.licences.get(name, 0) != other.licences.get(name, 0)
        },
        columns=_changes(*columns),
        files=_files(one, other),
        rows=found,
        why_no_rows=why,
        same_build=one.build_digest == other.build_digest,
    )
    change = _change(difference, one, other)
    return replace(
        difference, change=change, next_version=None if change is None else next_version(one.version, change)
    )


def _read(given: str | Path) -> tuple[Manifest, Place | None]:
    """The manifest of a corpus or a manifest alone, and the place of its shards, where they are there."""
    path = Path(given)
    if path.is_file():
        manifest = parse_manifest(path.read_bytes(), str(path))
        there = all((path.parent / s.path).is_file() for s in manifest.shards)
        return manifest, Place(path.parent) if there else None
    place = Place(given)
    manifest, _, _ = place.manifest()
    there = all(place.store.size(s.path) == s.bytes for s in manifest.shards)
    return manifest, place if there else None


def _identity(manifest: Manifest) -> dict[str, str]:
    return {"name": manifest.name, "version": manifest.version, "build_digest": manifest.build_digest}


def _settings(one: Manifest, other: Manifest) -> dict[str, dict[str, Change]]:
    """What decided the corpora, by section: each setting that differs, by its dotted name."""
    values = [m.model_dump(mode="json", include=set(_COMPARED)) for m in (one, other)]
    for value in values:
        value["recipe"].pop("pins", None)
        value["protected"] = {p["name"]: p["sha256"] for p in value["protected"]}
        value["parents"] = {f"{p['name']} {p['version']}": p for p in value["parents"]}
        for source in value["sources"].values():
            source.pop("funnel")
    found = {_COMPARED[name]: _changes(*(_flat(value[name]) for value in values)) for name in _COMPARED}
    return {name: changes for name, changes in found.items() if changes}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            found.update(_flat(inner, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = inner
    return found


def _changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Change]:
    """Entries that differ, with None where one side has none."""
    names = dict.fromkeys([*one, *other])
    return {
        name: (one.get(name), other.get(name))
        for name in names
        if one.get(name) != other.get(name) or (name in one) != (name in other)
    }


def _funnels(one: Funnel, other: Funnel) -> dict[str, tuple[int, int]]:
    """All numbers of both funnels side by side."""
    found = {"read": (one.read, other.read)}
    for kind in ("rejected", "deduplicated", "dropped", "kept"):
        a, b = getattr(one, kind), getattr(other, kind)
        if kind == "deduplicated":
            found[kind] = (a, b)
            continue
        for name in dict.fromkeys([*a, *b]):
            found[f"{kind}.{name}"] = (a.get(name, 0), b.get(name, 0))
    return found


def _files(one: Manifest, other: Manifest) -> dict[str, str]:
    """What became of the other files, shards apart."""
    shards = {s.path for m in (one, other) for s in m.shards}
    dated = _DATED if one.date != other.date else set()
    found = {}
    for name, (a, b) in _changes(one.files, other.files).items():
        if name not in shards and not (name in dated and a and b):
            found[name] = "added" if a is None else "removed" if b is None else "changed"
    return found


def _change(difference: ManifestDiff, one: Manifest, other: Manifest) -> str | None:
    """The kind of change, one of `CHANGES`, None where nothing differs."""
    if not difference.differs():
        return None
    gone = any(after is None or before is not None for before, after in difference.columns.values())
    if difference.rows is None:
        return "changed" if gone else least_change(one, other)
    rows = difference.rows.values()
    if gone or any(r.removed or r.changed or r.moved for r in rows):
        return "changed"
    return "added" if any(r.added for r in rows) or difference.columns else "repackaged"
