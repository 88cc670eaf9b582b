"""A catalogue: a folder or a bucket with published corpora, each version of each at `NAME/VERSION/`.

`catalog.json` lists them for programs, `index.html` for people; both are written after a corpus is complete, and hold
nothing that is not public: places are relative, so that a catalogue can be copied or served from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tppc.corpora.addresses import safe_name
from tppc.corpora.files import canonical_json
from tppc.corpora.manifest import Manifest, Sha256, parse_published
from tppc.corpora.schema import SPLITS
from tppc.corpora.stores import FolderStore, ObjectStore, Store
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    import jinja2
from tppc.manifests.versions import PATTERN, newest, order

CATALOG = "catalog.json"
PAGE = "index.html"
FORMAT = "tppc-catalogue/1"


def _safe(name: str) -> str:
    """A name that is a path below the catalogue, and needs no escaping in a URL."""
    if not safe_name(name):
        raise ValueError(f"{name!r} is no name of a corpus")
    return name


class Entry(BaseModel):
    """One published version of a corpus; its files are at `<name>/<version>/`."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, AfterValidator(_safe)]
    version: str = Field(pattern=f"^{PATTERN}$")
    pairs: list[str]
    sources: list[str]
    rows: dict[str, int] = Field(description="by split")
    bytes: int = Field(description="of all shards")
    licence: str
    licences: dict[str, int] = Field(description="rows by SPDX expression")
    build_digest: Sha256
    manifest_sha256: Sha256
    created: str = Field(description="when the corpus was built, UTC")
    published: str = Field(description="when it came into this catalogue, UTC")

    @property
    def place(self) -> str:
        """Its folder below the catalogue."""
        return f"{self.name}/{self.version}"


class Catalogue(BaseModel):
    """`catalog.json`."""

    model_config = ConfigDict(frozen=True)

    format: Literal["tppc-catalogue/1"] = "tppc-catalogue/1"
    corpora: list[Entry] = []

    def versions(self, name: str) -> dict[str, Entry]:
        """All versions of a corpus, the oldest first."""
        mine = {e.version: e for e in self.corpora if e.name == name}
        return {version: mine[version] for version in sorted(mine, key=order)}

    def with_entry(self, entry: Entry) -> Catalogue:
        """The catalogue with one more entry; one that is there already stays as it is."""
        if entry.version in self.versions(entry.name):
            return self
        entries = sorted([*self.corpora, entry], key=lambda e: (e.name, order(e.version)))
        return Catalogue(corpora=entries)


def entry_of(manifest: Manifest, manifest_sha256: str) -> Entry:
    """What a catalogue says about a corpus that is published now."""
    return Entry(
        name=manifest.name,
        version=manifest.version,
        pairs=manifest.pairs,
        sources=list(manifest.sources),
        rows={split: manifest.rows(split) for split in manifest.splits},
        bytes=sum(s.bytes for s in manifest.shards),
        licence=manifest.licence,
        licences=manifest.licences,
        build_digest=manifest.build_digest,
        manifest_sha256=manifest_sha256,
        created=manifest.created,
        published=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def parse_catalogue(data: bytes, where: str) -> Catalogue:
    """Read `catalog.json`. Raises `TppcError` where it is none, or of a later format."""
    return parse_published(Catalogue, FORMAT, data, where, "not a catalogue", f"restore {CATALOG} there")


def read_catalogue(store: Store) -> Catalogue | None:
    """The catalogue at a place; None where there is none."""
    data = store.read(CATALOG)
    return None if data is None else parse_catalogue(data, f"{store.address}/{CATALOG}")


def enter(store: FolderStore | ObjectStore, entry: Entry) -> None:
    """Put an entry into the catalogue, then bring its page up to date; no entry of another publisher is lost.

    Raises `TppcError` where another corpus took the version meanwhile.
    """
    where = f"{store.address}/{CATALOG}"

    def add(data: bytes | None) -> bytes:
        before = Catalogue() if data is None else parse_catalogue(data, where)
        have = before.versions(entry.name).get(entry.version)
        if have is not None and have.build_digest != entry.build_digest:
            raise TppcError(
                f"{where}: another corpus took {entry.name}@{entry.version} meanwhile; give a higher --version"
            )
        after = before.with_entry(entry)
        if after is before and data is not None:
            return data
        return canonical_json(after.model_dump(mode="json"))

    store.update(CATALOG, add)
    # The page is made from what the catalogue holds at this moment, and read back: the last writer's is the newest.
    store.update(PAGE, lambda _: render(parse_catalogue(store.read(CATALOG) or b"", where)))


def find(catalogue: Catalogue, name: str, version: str | None, where: str) -> Entry:
    """An entry by name and version; without one, the newest. Raises `TppcError` that lists what there is."""
    versions = catalogue.versions(name)
    if not versions:
        names = sorted({e.name for e in catalogue.corpora})
        raise TppcError(f"{where}: no corpus {name!r} in this catalogue; it has {', '.join(names) or 'none at all'}")
    wanted = version or newest(versions)
    if wanted not in versions:
        raise TppcError(f"{where}: no {name}@{wanted} in this catalogue; its versions are {', '.join(versions)}")
    return versions[wanted]


def split_name(text: str) -> tuple[str, str | None]:
    """`NAME@VERSION` in its parts, the version None where it is left out. Raises `UsageError` for anything else."""
    name, at, version = text.partition("@")
    if not safe_name(name) or (at and not version):
        raise UsageError(f"{text!r}: write NAME or NAME@VERSION, such as tatoeba/en-hi@1.0.0")
    return name, version or None


def _shown(value: object) -> str:
    """Text for the page, with what has no shape (control characters, turns of the writing direction) made visible."""
    return "".join(c if c.isprintable() or c == "\n" else f"⟨U+{ord(c):04X}⟩" for c in str(value))


def size_text(count: int) -> str:
    """A number of bytes for people: `12.3 MB`."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _in_order(rows: dict[str, int]) -> list[tuple[str, int]]:
    """Splits with their rows, train before dev before test; JSON objects lose the order."""
    return sorted(rows.items(), key=lambda item: (SPLITS.index(item[0]) if item[0] in SPLITS else len(SPLITS), item))


@cache
def _page() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tppc.manifests", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else _shown(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(n="{:,}".format, size=size_text, in_order=_in_order)
    return environment.get_template("catalogue.html.j2")


def render(catalogue: Catalogue) -> bytes:
    """`index.html`: one page with its style in it; it fetches nothing, runs nothing, and follows from the catalogue
    alone.
    """

    def newest_first(name: str) -> list[Entry]:
        return list(reversed(catalogue.versions(name).values()))

    names: Iterable[str] = sorted({e.name for e in catalogue.corpora})
    corpora = [(name, newest_first(name)) for name in names]
    rows = sum(sum(entries[0].rows.values()) for _, entries in corpora)
    text: str = _page().render(corpora=corpora, rows=rows, versions=len(catalogue.corpora), catalog=CATALOG)
    return text.encode()
