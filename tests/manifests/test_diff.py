"""A diff says what changed between two corpora, row by row, and what follows for the version."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from commands import command
from factory import write_corpus, write_mixture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import serving

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import read_manifest, write_manifest
from tppc.errors import TppcError
from tppc.manifests import diff_rows
from tppc.manifests.diff import ManifestDiff, diff

PAIRS = [(f"house {i}", f"मकान {i}") for i in range(60)]


def ids(rows: pa.Table) -> pa.Table:
    """Ids that follow from the texts alone, so that a row is the same wherever it lies."""
    column = rows.schema.get_field_index("source_id")
    return rows.set_column(column, rows.schema.field(column), rows["tgt_text"])


def corpus(folder: Path, train: Any, **splits: Any) -> Path:
    return write_corpus(folder, {name: rows for name, rows in {"train": train, **splits}.items() if rows}, change=ids)


def rows_of(found: ManifestDiff) -> diff_rows.RowDiff:
    assert found.rows is not None
    (rows,) = found.rows.values()
    return rows


def test_equal_corpora_have_no_difference(tmp_path: Path) -> None:
    one = corpus(tmp_path / "a", PAIRS, test=PAIRS[:0])
    other = Path(shutil.copytree(one, tmp_path / "b"))
    write_manifest(read_manifest(one).model_copy(update={"created": "2027-01-01T00:00:00Z"}), other)
    found = diff(one, other)
    assert not found.differs()
    assert found.change is None
    assert found.next_version is None
    assert rows_of(found).same == 60


def test_a_build_that_is_repeated_is_the_same(tmp_path: Path, tatoeba: Corpus) -> None:
    recipe = load_recipe(None, holdout={"dev": 10, "test": 20}, limit=800)
    (again,) = build("tatoeba", [Pair("en", "hi")], origin="sample", out=tmp_path, recipe=recipe)
    later = again.manifest.model_copy(update={"created": "2031-01-01T00:00:00+00:00"})
    files = {**later.files, **dict.fromkeys(("README.md", "CITATION.cff", "croissant.json"), "0" * 64)}
    write_manifest(later.model_copy(update={"files": files}), again.path)
    found = diff(tatoeba.path, again.path)
    assert not found.differs(), found


def test_rows_added_removed_changed_and_moved(tmp_path: Path) -> None:
    one = corpus(tmp_path / "a", PAIRS[:50], test=PAIRS[50:52])
    changed = [("House 0", PAIRS[0][1]), *PAIRS[1:47], PAIRS[50], PAIRS[55]]
    other = corpus(tmp_path / "b", changed, test=[PAIRS[51], PAIRS[47]])
    found = diff(one, other)
    rows = rows_of(found)
    assert rows.same == 47
    assert rows.added == {"train": 1}
    assert rows.removed == {"train": 2}
    assert rows.changed == {"train": 1}
    assert rows.changed_columns == {"src_text": 1}
    assert rows.moved == {"test -> train": 1, "train -> test": 1}
    assert [e["src_text"] for e in rows.examples["added"]] == ["house 55"]
    assert {e["src_text"] for e in rows.examples["removed"]} == {"house 48", "house 49"}
    assert rows.examples["changed"][0]["columns"] == {"src_text": ["house 0", "House 0"]}
    assert found.change == "changed"
    assert found.next_version == "2.0.0"


Rows = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["train", "dev", "test"]), st.booleans()), max_size=14)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(one=Rows, other=Rows)
def test_every_row_is_counted_once_and_rightly(
    tmp_path_factory: pytest.TempPathFactory, one: list[Any], other: list[Any]
) -> None:
    """Against the obvious: dictionaries in memory. Row groups of two rows, so that windows end everywhere."""
    folder = tmp_path_factory.mktemp("diff")
    sides = [{number: (split, f"{'H' if big else 'h'}ouse {number}") for number, split, big in s} for s in (one, other)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tppc.corpora.shards.ROWS_PER_GROUP", 2)
        patch.setattr("tppc.corpora.shards.ROWS_PER_SHARD", 4)
        patch.setattr(diff_rows, "_GROUPS_AT_ONCE", 1)
        paths = []
        for name, rows in zip("ab", sides, strict=True):
            splits: dict[str, list[tuple[str, str]]] = {"train": [("always", "सदा")]}
            for number, (split, text) in rows.items():
                splits.setdefault(split, []).append((text, f"मकान {number}"))
            paths.append(write_corpus(folder / name, splits, change=ids))
        found = rows_of(diff(*paths))
    a, b = sides
    both = [(a[n], b[n]) for n in a.keys() & b.keys()]
    assert found.same == 1 + sum(x == y for x, y in both)
    assert found.added == Counter(b[n][0] for n in b.keys() - a.keys())
    assert found.removed == Counter(a[n][0] for n in a.keys() - b.keys())
    assert found.moved == Counter(f"{x[0]} -> {y[0]}" for x, y in both if x[0] != y[0])
    assert found.changed == Counter(x[0] for x, y in both if x[0] == y[0] and x[1] != y[1])


def test_a_row_that_a_mixture_holds_several_times_is_counted_as_often(tmp_path: Path) -> None:
    found = diff(corpus(tmp_path / "a", [*PAIRS, *PAIRS[:10]]), corpus(tmp_path / "b", [*PAIRS, *PAIRS[:4] * 2]))
    assert (rows_of(found).same, rows_of(found).added, rows_of(found).removed) == (64, {"train": 4}, {"train": 6})


def test_only_added_rows_are_a_minor_version_and_another_card_a_patch(tmp_path: Path) -> None:
    one = corpus(tmp_path / "a", PAIRS[:50])
    assert diff(one, corpus(tmp_path / "b", PAIRS)).next_version == "1.1.0"
    other = tmp_path / "c"
    other.mkdir()
    (other / "README.md").write_text("A better card.")
    found = diff(one, corpus(other, PAIRS[:50]))
    assert found.files == {"README.md": "added"}
    assert (found.change, found.next_version) == ("repackaged", "1.0.1")


def test_pairs_that_one_corpus_lacks_are_added_or_removed(tmp_path: Path) -> None:
    one = write_mixture(tmp_path / "a", {"en-hi": {"train": PAIRS}, "en-ja": {"train": [("tree", "木")]}})
    other = write_mixture(tmp_path / "b", {"en-hi": {"train": PAIRS}, "en-ko": {"train": [("tree", "나무")]}})
    rows = diff(one, other).rows
    assert rows is not None
    assert {pair: (r.same, dict(r.added), dict(r.removed)) for pair, r in rows.items()} == {
        "en-hi": (60, {}, {}),
        "en-ja": (0, {}, {"train": 1}),
        "en-ko": (0, {"train": 1}, {}),
    }


def test_shards_that_both_have_are_not_read(tmp_path: Path) -> None:
    one = corpus(tmp_path / "a", PAIRS, test=[("x", "y")])
    other = corpus(tmp_path / "b", PAIRS, test=[("x", "z")])
    read: list[int] = []
    found = diff(one, other, advance=read.append)
    assert sum(read) == 2
    assert rows_of(found).same == 60


def test_recipe_snapshots_versions_and_funnel_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "WikiMatrix.en-hi.tsv").write_text("")
    made = []
    for name, rows, holdout in (("a", 40, None), ("b", 60, {"test": 3})):
        lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(rows))
        (tmp_path / name).mkdir()
        source = tmp_path / name / "WikiMatrix.en-hi.tsv"
        source.write_text(lines)
        recipe = load_recipe(None, holdout=holdout)
        made += build("wikimatrix", [Pair("en", "hi")], origin=str(source), out=tmp_path / name / "out", recipe=recipe)
    found = diff(made[0].path, made[1].path)
    assert found.settings["recipe"]["holdout.test"] == (0, 3)
    assert list(found.snapshots) == ["WikiMatrix.en-hi.tsv"]
    assert found.funnel["read"] == (40, 60)
    assert found.funnel["kept.test"] == (0, 3)
    assert found.licences == {"CC-BY-SA-3.0": (40, 60)}
    again = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert again["differs"] is True
    assert again["rows"]["en-hi"]["added"]["train"] + again["rows"]["en-hi"]["added"].get("test", 0) == 20


def test_corpora_at_urls_are_compared(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", PAIRS), corpus(tmp_path / "b", PAIRS[:50])
    files = {f"/b/{p.relative_to(other).as_posix()}": p.read_bytes() for p in other.rglob("*") if p.is_file()}
    with serving(files) as server:
        assert rows_of(diff(one, server.url("/b"))).removed == {"train": 10}


def test_manifests_alone_are_compared_without_rows(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", PAIRS), corpus(tmp_path / "b", PAIRS[:50])
    alone = tmp_path / "old.json"
    shutil.copy(one / "manifest.json", alone)
    found = diff(alone, other)
    assert found.rows is None
    assert found.why_no_rows == f"no shards beside {alone}"
    assert found.funnel["kept.train"] == (60, 50)
    assert found.next_version == "2.0.0"
    assert diff(one / "manifest.json", other).rows is not None
    assert diff(one, other, rows=False).rows is None


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", PAIRS), corpus(tmp_path / "b", PAIRS[:50])
    shard = next(other.rglob("*.parquet"))
    bad = bytearray(shard.read_bytes())
    bad[100] ^= 1
    shard.write_bytes(bad)
    with pytest.raises(TppcError, match="SHA-256 differs"):
        diff(one, other)
    unordered = write_corpus(
        tmp_path / "c", {"train": PAIRS}, change=lambda rows: ids(rows.take([1, 0, *range(2, 60)]))
    )
    with pytest.raises(TppcError, match="not in the order of their keys"):
        diff(one, unordered)


def test_the_command_prints_for_people_and_ends_like_diff(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", PAIRS), corpus(tmp_path / "b", [*PAIRS[1:], ("a new house", "नया मकान")])

    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command("manifests", "diff", *arguments), capture_output=True, timeout=60, check=False)

    same = run(one, one)
    assert (same.returncode, same.stdout.decode().splitlines()[-1]) == (0, "no difference")
    differs = run(one, other)
    assert differs.returncode == 1
    said = differs.stdout.decode()
    assert "a new house | नया मकान" in said
    assert "the next version after 1.0.0 is 2.0.0" in said
    found = json.loads(run(one, other, "--json").stdout)
    assert found["rows"]["en-hi"]["same"] == 59
    assert found["before"]["build_digest"] == Corpus(one).digest
    missing = run(one, tmp_path / "nothing")
    assert missing.returncode == 2
    assert b"no such folder" in missing.stderr
