"""A manifest that lies is found by what it says itself, though it was sealed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factory import write_corpus

from tppc.corpora.manifest import Manifest, read_manifest, write_manifest
from tppc.manifests.verify import verify

PAIRS = [(f"house {i}", f"मकान {i}") for i in range(40)]

Change = Callable[[dict[str, Any]], None]
LYING: dict[str, tuple[str, Change]] = {
    "a row more was read": ("1 rows are unaccounted for", lambda m: m["funnel"].update(read=m["funnel"]["read"] + 1)),
    "another filter refused them": ("the funnels of its sources", lambda m: m["funnel"].update(rejected={"made_up": sum(m["funnel"]["rejected"].values())})),
    "fewer were kept": ("the shards hold", lambda m: m["funnel"]["kept"].update(train=1)),
    "a negative number": ("a negative number", lambda m: m["funnel"].update(read=0, rejected={"x": -sum(m["funnel"]["kept"].values())}, dropped={}, deduplicated=0)),
    "a freer licence": ("declared to be under CC-BY-4.0, but", lambda m: m.update(licence="CC-BY-4.0")),
    "a freer licence of the rows": ("rows are under CC0-1.0, but the manifest says 80", lambda m: m.update(licence="CC0-1.0", licences={"CC0-1.0": 80})),
    "fewer rows of a licence": ("the licences cover 79 rows", lambda m: m.update(licences={k: v - 1 for k, v in m["licences"].items()})),
    "another setting": ("the recipe's digest is not that of the recipe", lambda m: m["recipe"].update(limit=7)),
    "another recipe digest": ("the build digest is not that of", lambda m: m.update(recipe_digest="0" * 64)),
    "another snapshot": ("the build digest is not that of", lambda m: m["snapshots"][0].update(sha256="0" * 64)),
    "another version of tppc": ("the build digest is not that of", lambda m: m["versions"].update(tppc="9")),
    "another parent": ("the build digest is not that of", lambda m: m["parents"].append({"name": "x", "version": "1.0.0", "build_digest": "0" * 64})),
    "a shard of more rows": ("75 rows, but the manifest says 76", lambda m: m["shards"][0].update(rows=76)),
    "a shard of more bytes": ("bytes, but the manifest says 1", lambda m: m["shards"][0].update(bytes=1)),
    "a shard of more row groups": ("row groups, but the manifest says 7", lambda m: m["shards"][0].update(row_groups=7)),
    "a shard of other keys": ("its key range is not the one", lambda m: m["shards"][0].update(key_range=["0" * 16, "f" * 16])),
    "a shard of another split": ("are not numbered from 0", lambda m: m["shards"][0].update(split="dev")),
    "a shard of another digest": ("as a shard is not the one in the list of files", lambda m: m["shards"][0].update(sha256="0" * 64)),
    "columns that are not there": ("its columns are not those of the format", lambda m: m.update(extra_columns=[["note", "string"]])),
    "statistics of fewer rows": ("the statistics of train of en-hi are of 3 rows", lambda m: m["statistics"]["en-hi"]["train"].update(rows=3)),
    "statistics of other scripts": ("rows in src_scripts, the shards hold 75", lambda m: m["statistics"]["en-hi"]["train"].update(src_scripts={"Latin": 9})),
    "statistics of fewer texts": ("rows in tgt_words, the shards hold 75", lambda m: m["statistics"]["en-hi"]["train"]["tgt_words"]["histogram"]["counts"].append(1)),
    "a median above the highest number": ("contradict themselves in src_chars", lambda m: m["statistics"]["en-hi"]["test"]["src_chars"].update(median=1000)),
    "parents of other rows": ("the parents give 7 rows, the shards hold 80", lambda m: m["parents"].append({"name": "x", "version": "1.0.0", "build_digest": "0" * 64, "rows": 7})),
    "itself in its list": ("it lists itself", lambda m: m["files"].update({"manifest.json": "0" * 64})),
    "a file less": ("not listed in the manifest", lambda m: m["files"].pop("README.md")),
    "a column of an unknown type": ("does not know: note", lambda m: m.update(extra_columns=[["note", "blob"]])),
    "rows of another source": ("80 rows are from wikimatrix, but its funnel keeps 0", lambda m: m["sources"].update(tatoeba=m["sources"]["wikimatrix"], wikimatrix={**m["sources"]["wikimatrix"], "funnel": {"read": 0}})),
    "another source": ("source is wikimatrix in some rows", lambda m: m.update(sources={"tatoeba": m["sources"]["wikimatrix"]})),
}  # fmt: skip


@pytest.mark.parametrize("lie", LYING)
def test_a_manifest_that_lies_is_found_though_it_was_sealed_again(corpus: Path, lie: str) -> None:
    says, change = LYING[lie]
    value = read_manifest(corpus).model_dump(mode="json")
    change(value)
    write_manifest(Manifest.model_validate(value), corpus)
    faults = verify(corpus)
    assert any(says in fault for fault in faults), faults
    assert not any("SHA-256 is not the one" in fault for fault in faults)


def test_shards_must_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tppc.corpora.shards.ROWS_PER_SHARD", 10)
    folder = write_corpus(tmp_path / "c", {"train": PAIRS})
    assert len(read_manifest(folder).shards) == 4
    assert verify(folder) == []
    exchanged = [*range(10, 20), *range(10), *range(20, 40)]
    other = write_corpus(tmp_path / "d", {"train": PAIRS}, change=lambda rows: rows.take(exchanged))
    shards = [f"data/en-hi/train-0000{i}-of-00004.parquet" for i in (0, 1)]
    assert verify(other) == [f"{other}: {shards[1]}: its keys begin before those of {shards[0]} end"]
