"""Wikidata: the layouts of its dumps, what becomes a pair, and a pass that may be killed at any moment."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from built import rejects, rows
from commands import command
from made_dump import gzipped, lines, truthy, write_bz2, write_gz
from snapshots import ENTITIES, entity

from tppc.builders.build import build
from tppc.builders.decompress import gzip_members
from tppc.builders.recipe import load_recipe
from tppc.builders.sources import source_named
from tppc.builders.sources.base import Partition
from tppc.builders.sources.wikidata import WikidataOptions
from tppc.builders.sources.wikidata.dump import extract
from tppc.builders.sources.wikidata.triples import unescape
from tppc.builders.sources.wikidata.wanted import Wanted
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

EN_HI = [Pair("en", "hi")]
KILLS = int(os.environ.get("TPPC_CHAOS_KILLS", "3"))
ENTITY_COUNT = int(os.environ.get("TPPC_CHAOS_ENTITIES", "2000"))


def digests(corpus: Path) -> dict[str, str]:
    """Digests of all files but the manifest and its seal, which hold a time, and what is made from it."""
    return {
        p.relative_to(corpus).as_posix(): sha256_of_file(p)
        for p in sorted(corpus.rglob("*"))
        if p.name == "rejects.jsonl.gz" or p.suffix == ".parquet"
    }


def partition(path: Path, pairs: Sequence[str] = ("en-hi",), limit: int | None = None, **options: Any) -> Partition:
    """A dump as `fetch` hands it on."""
    settings = WikidataOptions(**options).model_dump()
    return Partition("wikidata", tuple(pairs), {"dump": str(path)}, {"dump": "0" * 64}, limit, settings)


def read_all(folder: Path, wanted: Partition) -> tuple[dict[str, pl.DataFrame], dict[str, dict[str, int]]]:
    """Rows and refusals of each pair, by way of `split` and `read`."""
    folder.mkdir()
    source = source_named("wikidata")
    assert source.split is not None
    frames: dict[str, list[pl.DataFrame]] = {p: [] for p in wanted.pairs}
    refused: dict[str, dict[str, int]] = {p: {} for p in wanted.pairs}
    for part in source.split(folder, wanted):
        for batch in source.read(part):
            frames[str(batch.pair)].append(batch.rows)
            counted = refused[str(batch.pair)]
            for record in batch.refused:
                counted[record.reason] = counted.get(record.reason, 0) + 1
            for reason, count in batch.unlisted.items():
                counted[reason] = counted.get(reason, 0) + count
    return {p: pl.concat(f).sort("source_id") for p, f in frames.items()}, refused


def test_a_dump(dump: Path, tmp_path: Path) -> None:
    corpus, arabic = build("wikidata", [Pair("en", "hi"), Pair("en", "ar")], origin=str(dump), out=tmp_path / "out")
    kept = rows(corpus)
    assert kept.keys() == {"Q1", "Q4", "Q8"}
    assert kept["Q1"]["src_text"] == "universe totality of space and time"
    assert kept["Q1"]["instance_of"] == "Q36906466"
    assert kept["Q8"]["tgt_text"] == "प्रसन्नता मानसिक अवस्था"
    assert (kept["Q4"]["label_from_mul"], kept["Q1"]["label_from_mul"]) == ("tgt", None)
    reasons = {r["source_id"]: reason for reason, found in rejects(corpus).items() for r in found}
    assert reasons == {
        "Q2": "no_tgt_description",
        "Q3": "no_tgt_label",
        "Q5": "both_labels_mul",
        "Q6": "wikimedia_internal",
        "Q7": "no_src_label",
        "P31": "not_an_item",
        "line:5": "unreadable",
    }
    details = {r["source_id"]: r["detail"] for found in rejects(corpus).values() for r in found}
    assert details["Q7"] == "no en label; no en description; no hi label; no hi description"
    assert details["Q5"] == "Anna Lind"
    assert details["Q6"] == "instance of Q4167410"
    counts = corpus.manifest.source_counts
    assert counts["items"] == 8
    assert counts["items with no hi label"] == 2
    assert counts["items with no hi description"] == 2
    assert "items with no ar label" not in counts
    assert rows(arabic).keys() == {"Q8"}  # one pass served both pairs
    assert corpus.manifest.funnel.read == arabic.manifest.funnel.read == 10


PACKERS = {".json": bytes, ".json.bz2": bz2.compress, ".json.xz": lzma.compress, ".json.zst": zstandard.compress}


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressions_and_wrappers(tmp_path: Path, suffix: str) -> None:
    made = [json.dumps(e) for e in ENTITIES[:2]] + [json.dumps({"entities": {e["id"]: e for e in ENTITIES[2:]}})]
    path = tmp_path / f"stream{suffix}"
    path.write_bytes(PACKERS[suffix]("\n".join(made).encode()))
    (corpus,) = build("wikidata", EN_HI, origin=str(path), out=tmp_path / "out")
    assert rows(corpus).keys() == {"Q1", "Q4", "Q8"}


def test_an_array_may_stand_on_one_line_and_names_may_lie(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"  # a name that says plain
    path.write_bytes(gzip.compress(json.dumps(ENTITIES).encode()))
    (corpus,) = build("wikidata", EN_HI, origin=str(path), out=tmp_path / "out")
    assert rows(corpus).keys() == {"Q1", "Q4", "Q8"}


def shuffled(value: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same entity with its keys in another order."""
    keys = list(value)
    random.Random(seed).shuffle(keys)
    return {key: value[key] for key in keys}


def test_the_order_of_keys_and_the_layout_of_lines_decide_nothing(tmp_path: Path) -> None:
    plain = [json.loads(line.strip().rstrip(b",")) for line in lines(300, share=0.3, kilobytes=(1, 2)) if len(line) > 3]
    layouts = {
        "dump": b"".join(lines(300, share=0.3, kilobytes=(1, 2))),
        "spaced": "\n".join(json.dumps(e, ensure_ascii=False) + " ,\r" for e in plain).encode() + b"\n",
        "shuffled": "\n".join(json.dumps(shuffled(e, i), separators=(",", ":")) for i, e in enumerate(plain)).encode(),
        "claims_last": "\n".join(
            json.dumps({**e, "claims": e["claims"]}, separators=(",", ":")) for e in plain
        ).encode(),
    }
    found = {}
    for name, data in layouts.items():
        (tmp_path / name).write_bytes(data)
        found[name] = read_all(tmp_path / f"{name}-segments", partition(tmp_path / name, ["en-hi", "ja-ar"]))
    frames, refused = found["dump"]
    assert frames["en-hi"].height > 50
    assert refused["en-hi"]["no_src_label"] > 3
    for other, other_refused in found.values():
        assert all(other[pair].equals(frames[pair]) for pair in frames)
        assert other_refused == refused


def test_classes_come_from_p31_wherever_it_stands(tmp_path: Path) -> None:
    made = [
        entity(f"Q{i}", {"en": f"thing {i}", "hi": f"चीज़ {i}"}, {"en": "a thing", "hi": "एक चीज़"}, ["Q5", "Q6"])
        for i in (1, 2, 3)
    ]
    snak = {"snaktype": "value", "property": "P31", "datavalue": {"value": {"id": "Q999"}}}
    made[1]["claims"] = {
        "P9": [{"mainsnak": {}, "references": [{"snaks": {"P31": [snak], "P7": [snak]}}]}],
        **made[1]["claims"],
    }
    made[2]["claims"]["P31"][0]["references"] = [{"snaks": {"P31": [snak], "P7": [snak]}}] * 5
    path = tmp_path / "dump.json"
    path.write_text("".join(json.dumps(e, separators=(",", ":"), ensure_ascii=False) + ",\n" for e in made))
    frames, _ = read_all(tmp_path / "segments", partition(path))
    assert frames["en-hi"]["instance_of"].to_list() == ["Q5 Q6"] * 3


@pytest.mark.parametrize(
    ("options", "kept", "texts", "reasons"),
    [
        ({"text": "label"}, {"Q1", "Q2", "Q4", "Q8"}, ("Earth", "पृथ्वी"), {"no_src_label": 1, "no_tgt_label": 1, "both_labels_mul": 1, "wikimedia_internal": 1}),
        ({"text": "description"}, {"Q1", "Q3", "Q4", "Q5", "Q8"}, None, {"no_src_description": 1, "no_tgt_description": 1, "wikimedia_internal": 1}),
        ({"exclude_internal": False}, {"Q1", "Q4", "Q6", "Q8"}, None, {"both_labels_mul": 1}),
        ({"classes": ["Q5", "Q7"]}, {"Q4"}, None, {"other_class": 2, "both_labels_mul": 1, "wikimedia_internal": 1}),
    ],
)  # fmt: skip
def test_settings_decide_what_a_pair_is(
    dump: Path,
    tmp_path: Path,
    options: dict[str, Any],
    kept: set[str],
    texts: tuple[str, str] | None,
    reasons: dict[str, int],
) -> None:
    frames, refused = read_all(tmp_path / "segments", partition(dump, **options))
    found = {r["source_id"]: (r["src_text"], r["tgt_text"]) for r in frames["en-hi"].to_dicts()}
    assert found.keys() == kept
    if options.get("text") == "label":
        assert found["Q2"] == texts
    if options.get("text") == "description":
        assert found["Q5"] == ("Swedish painter", "स्वीडिश चित्रकार")
        assert frames["en-hi"]["label_from_mul"].null_count() == 5
    assert reasons.items() <= refused["en-hi"].items()
    assert sum(refused["en-hi"].values()) + len(found) == 10


def test_aliases_are_pairs_of_their_own(tmp_path: Path) -> None:
    made = entity("Q1", {"en": "India", "hi": "भारत"}, {"en": "country in Asia", "hi": "एशिया में देश"}, ["Q6256"])
    made["aliases"] = {
        "en": [{"language": "en", "value": f"Bharat {i}"} for i in range(14)],
        "hi": [{"language": "hi", "value": "हिन्दुस्तान"}],
    }
    other = entity("Q2", {"en": "x", "mul": "Ghana"}, {"en": "a country", "hi": "एक देश"})
    other["aliases"] = {"hi": [{"language": "hi", "value": "घाना"}], "en": [{"language": "en", "value": "Gold Coast"}]}
    path = tmp_path / "dump.json"
    path.write_text("".join(json.dumps(e, separators=(",", ":"), ensure_ascii=False) + ",\n" for e in (made, other)))
    frames, _ = read_all(tmp_path / "segments", partition(path, aliases=True))
    found = {r["source_id"]: r for r in frames["en-hi"].to_dicts()}
    assert found.keys() == {"Q1", "Q1#tgt1", *(f"Q1#src{i}" for i in range(1, 11)), "Q2", "Q2#src1", "Q2#tgt1"}
    assert (found["Q1#src3"]["src_text"], found["Q1#src3"]["tgt_text"]) == (
        "Bharat 2 country in Asia",
        "भारत एशिया में देश",
    )
    assert (found["Q1#tgt1"]["src_text"], found["Q1#tgt1"]["tgt_text"]) == (
        "India country in Asia",
        "हिन्दुस्तान एशिया में देश",
    )
    assert {k: v["label_from_mul"] for k, v in found.items() if k.startswith("Q2")} == {
        "Q2": "tgt",
        "Q2#src1": "tgt",
        "Q2#tgt1": None,
    }
    assert found["Q1#src3"]["instance_of"] == "Q6256"
    (labels,) = read_all(tmp_path / "labels", partition(path, aliases=True, text="label"))[0].values()
    assert "हिन्दुस्तान" in labels["tgt_text"].to_list()
    with pytest.raises(UsageError, match="aliases take the place of labels"):
        load_recipe(None, wikidata={"aliases": True, "text": "description"})


def test_flags_of_the_command_are_settings_of_the_recipe() -> None:
    done = subprocess.run(
        command("build", "wikidata", "--pair", "en-hi", "--text", "label", "--aliases", "--class", "Q5", "--class", "Q6", "--dry-run"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recipe"]["wikidata"] == {
        "text": "label", "aliases": True, "exclude_internal": True, "classes": ["Q5", "Q6"],
    }  # fmt: skip
    wrong = subprocess.run(
        command("build", "wikidata", "--pair", "en-hi", "--class", "human"), capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "wikidata: classes.0" in wrong.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pretty.json", json.dumps({"type": "item", "id": "Q1"}, indent=2).encode() + b"\n", "no readable record among 4"),
        ("empty.json", b"", "no record at all"),
        ("brackets.json", b"[\n]\n", "no record at all"),
        ("one.json", b'{"type":"item","id":"Q2","labels":{"en', "no readable record among 1"),
        ("cut.json", b'{"type":"item","id":"Q1"}\n{"type":"item","id":"Q2","labels":{"en', "truncated or damaged after line 1"),
        ("cut.nt", b'<http://www.wikidata.org/entity/Q1> <http://schema.org/description> "a"@en .\n<http://www.wikidata.org/ent', "truncated or damaged after line 1"),
        ("gibberish.json", bytes(range(1, 200)) * 3 + b"\n", "no readable record"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_dump_stops_the_build(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TppcError, match=says):
        build("wikidata", EN_HI, origin=str(tmp_path / name), out=tmp_path / "out")
    assert not (tmp_path / "out" / "wikidata").exists()


@pytest.mark.parametrize("kind", ["gz", "bz2"])
@pytest.mark.parametrize("flip", [False, True])
def test_a_damaged_dump_names_the_line_and_leaves_nothing(tmp_path: Path, kind: str, flip: bool) -> None:
    path = tmp_path / f"dump.json.{kind}"
    (write_gz if kind == "gz" else write_bz2)(path, lines(400, kilobytes=(1, 3)))
    packed = bytearray(path.read_bytes())
    if flip:
        packed[len(packed) * 3 // 4] ^= 64
    else:
        del packed[len(packed) * 3 // 4 :]
    path.write_bytes(packed)
    with pytest.raises(
        TppcError, match=rf"dump\.json\.{kind}: truncated or damaged after line \d+ .*fetch the file again"
    ):
        build("wikidata", EN_HI, origin=str(path), out=tmp_path / "out")
    assert not (tmp_path / "out" / "wikidata").exists()


@pytest.mark.parametrize("segment", ["100000", ""])
def test_a_dump_that_was_cut_between_two_lines_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], segment: str
) -> None:
    monkeypatch.setenv("TPPC_SEGMENT_BYTES", segment)
    whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
    whole.write_bytes(b"".join(lines(300, kilobytes=(1, 2))))
    cut.write_bytes(b"".join(list(lines(300, kilobytes=(1, 2)))[:-40]))
    read_all(tmp_path / "one", partition(whole))
    assert "the dump was cut" not in capsys.readouterr().err
    read_all(tmp_path / "two", partition(cut))
    assert "cut.json: no ] closes the array" in capsys.readouterr().err


def test_limit_counts_entities_from_the_beginning_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPPC_SEGMENT_BYTES", "100000")
    path = tmp_path / "dump.json.gz"
    write_gz(path, lines(1_000, share=0.3, kilobytes=(1, 2)), member=200_000)
    whole, _ = read_all(tmp_path / "whole", partition(path))
    some, refused = read_all(tmp_path / "some", partition(path, limit=700))
    assert some["en-hi"].height + sum(refused["en-hi"].values()) == 700
    assert some["en-hi"].equals(whole["en-hi"].filter(pl.col("source_id").str.slice(1).cast(pl.Int64) <= 700))


@pytest.mark.parametrize("size", [30_000, 200_000, 10_000_000])
def test_segments_decide_no_byte_of_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    pairs = [Pair("en", "hi"), Pair("ja", "ar")]
    path = tmp_path / "dump.json.gz"
    write_gz(path, lines(4_000, share=0.3, kilobytes=(0, 1)), member=400_000)
    whole = build("wikidata", pairs, origin=str(path), out=tmp_path / "whole")
    assert max(len(r) for r in rejects(whole[0]).values()) == 1_000  # more than are shown
    monkeypatch.setenv("TPPC_SEGMENT_BYTES", str(size))
    cut = build("wikidata", pairs, origin=str(path), out=tmp_path / "cut")
    for one, two in zip(whole, cut, strict=True):
        assert digests(one.path) == digests(two.path)
        assert one.manifest.funnel == two.manifest.funnel
        assert one.manifest.source_counts == two.manifest.source_counts


@pytest.mark.parametrize("kind", ["gz", "bz2"])
def test_a_pass_goes_on_behind_every_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Segments from anywhere on are thrown away, as after a kill there, and are the same when they are made again."""
    monkeypatch.setenv("TPPC_SEGMENT_BYTES", "400000")
    monkeypatch.setattr(gzip_members, "_INPUT", 20_000)
    monkeypatch.setattr(gzip_members, "_PROOF", 70_000)
    path, made = tmp_path / f"dump.{kind}", tmp_path / "made"
    stream = lines(1_200, share=0.3, kilobytes=(1, 3))
    if kind == "gz":
        write_gz(path, stream)
    else:
        path.write_bytes(bz2.compress(b"".join(stream), 1))
    wanted = Wanted.of(["en-hi"], WikidataOptions().model_dump())
    made.mkdir()
    parts = extract(made, path, wanted, None)
    assert len(parts) > 4
    items = pl.concat([pl.read_parquet(p.items) for p in parts])
    total = parts[-1].read()["place"]
    for last in range(len(parts) - 1):
        for part in parts[last + 1 :]:
            part.items.unlink(missing_ok=True)
            part.notes.unlink(missing_ok=True)
        again = extract(made, path, wanted, None)
        assert pl.concat([pl.read_parquet(p.items) for p in again]).equals(items)
        assert (again[-1].read()["place"]["line"], again[-1].read()["place"]["records"]) == (
            total["line"],
            total["records"],
        )
        parts = again


@pytest.mark.chaos
@pytest.mark.timeout(max(120, KILLS * 40))
@pytest.mark.parametrize("kind", ["gz", "bz2", "nt.gz"])
def test_a_pass_that_is_killed_again_and_again_ends_in_the_same_bytes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"dump.{kind}"
    large = ENTITY_COUNT > 10_000  # `make chaos`: entities as large as those of the real dump
    stream = lines(ENTITY_COUNT, share=0.2, kilobytes=(10, 40) if large else (4, 10))
    stream = truthy(stream) if kind == "nt.gz" else stream
    if kind != "bz2":
        write_gz(path, stream, member=ENTITY_COUNT * 2_500)
    elif not large:
        path.write_bytes(bz2.compress(b"".join(stream), 1))  # one stream of many blocks, as lbzip2 makes the real one
    else:
        write_bz2(path, stream)
    pairs = ["--pair", "en-hi", "--pair", "en-ja"]
    # Several segments for each kill, since every start makes at least one.
    small = {
        **os.environ,
        "TPPC_SEGMENT_BYTES": str(max(500_000, ENTITY_COUNT * (25_000 if large else 7_000) // (2 * KILLS + 20))),
    }
    run = command("build", "wikidata", *pairs, "--from", path, "--workers", 1, "--out")
    start = time.monotonic()
    subprocess.run([*run, str(tmp_path / "whole")], env=small, check=True, capture_output=True)
    unbroken = time.monotonic() - start
    out, resumed = tmp_path / "out", 0
    draw = random.Random()
    for _ in range(KILLS):
        process = subprocess.Popen([*run, str(out)], env=small, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = len(list(out.glob(".work/wikidata/.resumable-split-*/segment-*.json")))
        deadline = time.monotonic() + unbroken * 4
        # Into the pass, which begins after the imports; then any moment. Each kill comes later in the work than the last.
        while process.poll() is None and time.monotonic() < deadline:
            there = len(list(out.glob(".work/wikidata/.resumable-split-*/segment-*.json")))
            if there > before or list(out.glob(".work/wikidata/split-*")):
                break
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.05 * unbroken))
        resumed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert resumed > 0, "the build was over before it could be killed"
    subprocess.run([*run, str(out)], env=small, check=True, capture_output=True)
    for pair in ("en-hi", "en-ja"):
        whole, after = Corpus(tmp_path / "whole" / "wikidata" / pair), Corpus(out / "wikidata" / pair)
        assert digests(whole.path) == digests(after.path)
        assert whole.digest == after.digest
        assert after.manifest.funnel.read == ENTITY_COUNT
        assert after.rows("train") > 100
    assert not (out / ".work" / "wikidata").exists()


def test_standard_input_passes_through_and_leaves_no_copy(dump: Path, tmp_path: Path) -> None:
    cache = tmp_path / "own-cache"
    done = subprocess.run(
        command("build", "wikidata", "--pair", "en-hi", "--from", "-", "--out", tmp_path / "out"),
        input=dump.read_bytes(), env={**os.environ, "TPPC_CACHE": str(cache)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    piped = Corpus(tmp_path / "out" / "wikidata" / "en-hi")
    (snapshot,) = piped.manifest.snapshots
    assert (snapshot.name, snapshot.bytes, snapshot.sha256) == ("stdin", dump.stat().st_size, sha256_of_file(dump))
    (file,) = build("wikidata", EN_HI, origin=str(dump), out=tmp_path / "file")
    assert digests(piped.path) == digests(file.path)
    assert piped.manifest.funnel == file.manifest.funnel
    kept = [p for p in cache.rglob("*") if p.is_file() and not p.name.startswith("segment-") and p.suffix != ".lid"]
    assert kept == []


@pytest.mark.parametrize("kind", ["bz2", "plain"])
def test_standard_input_in_other_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    data = b"".join(lines(300, share=0.3, kilobytes=(1, 2)))
    packed = bz2.compress(data) if kind == "bz2" else data
    path = tmp_path / "dump"
    path.write_bytes(packed)
    whole, _ = read_all(tmp_path / "whole", partition(path, limit=200))

    class Input:
        buffer = io.BytesIO(packed)

    monkeypatch.setattr(sys, "stdin", Input)
    (corpus,) = build("wikidata", EN_HI, origin="-", out=tmp_path / "out", recipe=load_recipe(None, limit=200))
    assert corpus.manifest.snapshots[0].sha256 == sha256_of_file(path)
    assert corpus.manifest.funnel.read == 200
    assert set(rows(corpus)) <= set(whole["en-hi"]["source_id"])


def test_truthy_triples_give_the_same_pairs_as_the_json_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPPC_SEGMENT_BYTES", "150000")
    stream = list(lines(800, share=0.3, kilobytes=(1, 2)))
    write_gz(tmp_path / "dump.json.gz", stream)
    write_gz(tmp_path / "truthy.nt.gz", truthy(stream), member=150_000)
    for options in ({}, {"aliases": True}):
        found = [
            read_all(tmp_path / f"{name}-{len(options)}", partition(tmp_path / name, ["en-hi", "hi-ja"], **options))
            for name in ("dump.json.gz", "truthy.nt.gz")
        ]
        (frames, refused), (nt_frames, nt_refused) = found
        assert refused == nt_refused
        for pair, expected in frames.items():
            assert expected.height > 50
            assert nt_frames[pair].equals(expected)
    assert len(list((tmp_path / "truthy.nt.gz-0").glob("*.json"))) > 3


def test_truthy_lines_with_escapes_other_tags_and_faults(tmp_path: Path) -> None:
    base = "http://www.wikidata.org/entity/"

    def facts(identifier: str, **terms: str) -> list[str]:
        names = {"l": "http://www.w3.org/2000/01/rdf-schema#label", "d": "http://schema.org/description"}
        return [f"<{base}{identifier}> <{names[k[0]]}> {v} ." for k, v in terms.items()]

    made = [
        f"<https://www.wikidata.org/wiki/Special:EntityData/Q1> <http://schema.org/about> <{base}Q1> .",
        *facts("Q1", l1='"caf\\u00E9 \\"x\\"\\n"@en', l2='"\\U0001F600"@sr-cyrl', d1='"tab\\there"@en', d2='"д"@sr-ec'),
        f"<{base}Q1> <http://www.w3.org/2004/02/skos/core#prefLabel> \"other\"@en .",
        *facts("Q2", l1='"half \\uD83D"@en', l2='"a"@sr-ec', d1='"b"@en', d2='"c"@sr-ec'),
        *facts("Q3", l1='"no such \\q"@en'),
        *facts("L4", l1='"x"@en'), *facts("L4-F1", l1='"x"@en'), *facts("P5", l1='"x"@en'),
        *facts("Q6", l1='"only"@en'),
    ]  # fmt: skip
    path = tmp_path / "part.nt"
    path.write_text("\n".join(made) + "\n")
    frames, refused = read_all(tmp_path / "segments", partition(path, ["en-sr-Cyrl"]))
    (row,) = frames["en-sr-Cyrl"].to_dicts()
    assert (row["source_id"], row["src_text"], row["tgt_text"]) == ("Q1", 'café "x"\n tab\there', "😀 д")
    assert refused["en-sr-Cyrl"] == {"unreadable": 2, "not_an_item": 2, "no_src_description": 1}
    assert unescape(r"a\\u0041\t\'") == "a\\u0041\t'"


def test_real_entities_in_all_their_wrappers(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "wikidata"
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name == "README.md":
            continue
        frames, refused = read_all(
            tmp_path / path.name, partition(path, ["en-hi", "en-ar", "en-ja"], exclude_internal=False)
        )
        found[path.name] = {pair: frame.height for pair, frame in frames.items()}
        for pair, frame in frames.items():
            assert frame["source_id"].str.contains("^Q[0-9]+$").all()
            assert frame.height + sum(refused[pair].values()) > 0, path.name
    assert found["opentapioca_Q31.json"] == {"en-hi": 1, "en-ar": 1, "en-ja": 1}
    assert found["dahlia_P434.json"] == {"en-hi": 0, "en-ar": 0, "en-ja": 0}  # a property
    assert found["wikibase-dump-filter_entities.json.xz"] == {"en-hi": 5, "en-ar": 17, "en-ja": 36}
    assert found["opentapioca_short_stream.json.xz"] == {"en-hi": 0, "en-ar": 5, "en-ja": 4}


PEAK = """
import re, sys
from pathlib import Path
from tppc.builders.sources.wikidata.dump import extract
from tppc.builders.sources.wikidata.wanted import Wanted, WikidataOptions
wanted = Wanted.of(["en-hi", "en-ja"], WikidataOptions().model_dump())
parts = extract(Path(sys.argv[1]), Path(sys.argv[2]), wanted, None)
# Not ru_maxrss: that begins with the peak of the process that started this one.
print(len(parts), re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the peak of a process")
@pytest.mark.parametrize("kind", ["gz", "bz2"])
def test_memory_does_not_grow_with_the_dump(tmp_path: Path, kind: str) -> None:
    peaks = []
    once = list(lines(1_000, kilobytes=(10, 40)))[1:-1]
    for times in (1, 4):
        path, made = tmp_path / f"{times}.{kind}", tmp_path / str(times)
        member = b"".join(once)
        path.write_bytes((gzipped(member, 1) if kind == "gz" else bz2.compress(member, 1)) * times)
        made.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(made), str(path)],
            env={**os.environ, "TPPC_SEGMENT_BYTES": str(8 << 20)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        parts, peak = map(int, re.findall(r"\d+", done.stdout))
        assert parts > times
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 40_000, "kilobytes"
    assert peaks[1] < 600_000
