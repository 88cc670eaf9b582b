"""Wikidata by SPARQL, against a real engine behind a server that plays the public endpoints' faults and limits."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import command
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyoxigraph")
from sparql_server import FACTS, PREFIXES, Server, items_of, people, serving

from tppc.builders.build import build
from tppc.builders.download import Fetched, check_pins
from tppc.builders.recipe import load_recipe
from tppc.builders.sources.base import Request
from tppc.builders.sources.sparql import endpoint, harvest, members, queries
from tppc.builders.sources.sparql.endpoint import Endpoint, TooMuch
from tppc.builders.sources.sparql.slices import Journal, Slices
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair, language
from tppc.errors import TppcError, UsageError

EN_HI = Pair("en", "hi")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def town() -> Iterator[Server]:
    """An endpoint with 300 people, Q1 to Q300."""
    with serving(people(range(1, 301))) as server:
        yield server


def ask(server: Server, *, limit: int | None = 20, pair: Pair = EN_HI, **options: Any) -> Fetched:
    return harvest(Request((pair,), None, server.url, limit, options))


def entities(file: Fetched) -> dict[str, dict[str, Any]]:
    return {e["id"]: e for e in map(json.loads, file.path.read_text().splitlines())}


def ids(file: Fetched) -> list[int]:
    return [int(name[1:]) for name in entities(file)]


def forget(file: Fetched) -> bytes:
    """The answers; then remove them, so that the next harvest asks again."""
    data = file.path.read_bytes()
    (file.path.parent / "snapshot.json").unlink()
    file.path.unlink()
    return data


# What comes out


def test_items_become_pairs_and_what_they_lack_is_counted(server: Server, tmp_path: Path) -> None:
    recipe = load_recipe(None, limit=20)
    (corpus,) = build("wikidata", [EN_HI], endpoint=server.url, out=tmp_path, recipe=recipe)
    rows = {r["source_id"]: r for r in corpus.scan("train").collect().to_dicts()}
    assert rows.keys() == {"Q1", "Q4", "Q12"}
    assert rows["Q1"]["tgt_text"] == "ब्रह्मांड अंतरिक्ष और समय"
    assert rows["Q1"]["instance_of"] == "Q100 Q36906466"
    assert rows["Q4"]["label_from_mul"] == "tgt"
    assert rows["Q12"]["src_text"] == 'river stream of "fresh" water'
    # Q8 has a description in `mul` only, which stands in for none; both labels of Q7 are the one in `mul`.
    assert corpus.manifest.funnel.rejected == {
        "no_tgt_label": 1,
        "no_src_description": 1,
        "both_labels_mul": 1,
        "wikimedia_internal": 1,
    }
    assert corpus.manifest.snapshots[0].url == server.url
    assert server.agents[0].startswith("tppc/")


def test_blank_nodes_and_their_stand_ins_are_no_classes(server: Server) -> None:
    found = entities(ask(server))
    assert [c["mainsnak"]["datavalue"]["value"]["id"] for c in found["Q1"]["claims"]["P31"]] == ["Q100", "Q36906466"]
    assert found["Q8"]["claims"]["P31"] == []


def test_aliases_come_when_asked_for_and_only_in_the_languages_of_the_pair(server: Server) -> None:
    plain, full = ask(server), ask(server, aliases=True)
    assert "aliases" not in entities(plain)["Q12"]
    assert {k: [a["value"] for a in v] for k, v in entities(full)["Q12"]["aliases"].items()} == {
        "en": ["creek", "stream"],
        "hi": ["सरिता"],
    }


def test_aliases_and_classes_reach_the_corpus(server: Server, tmp_path: Path) -> None:
    recipe = load_recipe(None, limit=20, wikidata={"aliases": True})
    (corpus,) = build("wikidata", [EN_HI], endpoint=server.url, out=tmp_path / "aliases", recipe=recipe)
    found = dict(corpus.scan("train").select("source_id", "src_text").collect().iter_rows())
    assert found["Q12#src1"] == 'creek stream of "fresh" water'
    recipe = load_recipe(None, limit=20, wikidata={"classes": ["Q5", "Q36906466"]})
    (corpus,) = build("wikidata", [EN_HI], endpoint=server.url, out=tmp_path / "classes", recipe=recipe)
    assert set(corpus.scan("train").collect()["source_id"]) == {"Q1", "Q4"}
    assert corpus.manifest.funnel.rejected == {"both_labels_mul": 1}  # Q7; nothing else was asked for


def test_a_language_is_found_under_the_dumps_code_and_under_the_bcp_47_tag() -> None:
    facts = 'wd:Q1 rdfs:label "река"@sr-Cyrl, "reka"@sr-el, "river"@en, "rio"@pt-BR .'
    with serving(facts) as server:
        pairs = (Pair("sr-Cyrl", "sr-Latn"), Pair("en", "pt-BR"))
        file = harvest(Request(pairs, None, server.url, 5, {}))
    labels = {code: label["value"] for code, label in entities(file)["Q1"]["labels"].items()}
    assert labels == {"sr-ec": "река", "sr-el": "reka", "en": "river", "pt-br": "rio"}


@pytest.mark.parametrize("name", ["5", "q5", "Q05", "Q5 . ?s ?p ?o", "Q5\n", "P31", ""])
def test_a_class_that_is_no_item_is_a_usage_error_and_never_asked_for(server: Server, name: str) -> None:
    with pytest.raises(UsageError, match="--class"):
        ask(server, classes=[name])
    assert server.queries == []


@pytest.mark.parametrize("where", ["wdq", "ftp://127.0.0.1/sparql", "http://me:secret@127.0.0.1/sparql"])
def test_an_endpoint_that_is_none_is_a_usage_error(where: str) -> None:
    with pytest.raises(UsageError, match="wdqs, qlever or the URL") as raised:
        harvest(Request((EN_HI,), None, where, 5, {}))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("where", ["http://[::1/sparql?key=secret", "http://127.0.0.1:port/sparql?key=secret"])
def test_an_address_that_is_none_is_a_usage_error_without_its_secrets(where: str) -> None:
    with pytest.raises(UsageError, match="not a URL that can be asked") as raised:
        harvest(Request((EN_HI,), None, where, 5, {}))
    assert "secret" not in str(raised.value)


ROWS = [
    {
        "item": {"type": "uri", "value": f"http://www.wikidata.org/entity/{item}"},
        "what": {"value": what},
        "value": value,
    }
    for item in ("Q1", "Q2", "Q3", "L4", "P5")
    for what, value in [
        ("labels", {"type": "literal", "xml:lang": "en", "value": f"name of {item}"}),
        ("labels", {"type": "literal", "xml:lang": "en", "value": f"other name of {item}"}),  # an index out of step
        ("descriptions", {"type": "literal", "xml:lang": "hi", "value": f"{item} का वर्णन"}),
        ("aliases", {"type": "literal", "xml:lang": "mul", "value": f"alias of {item}"}),
        ("P31", {"type": "uri", "value": "http://www.wikidata.org/entity/Q5"}),
        ("P31", {"type": "bnode", "value": "b0"}),
    ]
]


@given(st.permutations(ROWS), st.integers(min_value=1, max_value=3))
def test_the_bytes_depend_neither_on_the_order_of_rows_nor_on_the_slices(rows: list[Any], size: int) -> None:
    asked = queries.tags([language("en"), language("hi")])
    whole = queries.entity_lines(ROWS, range(1, 4), asked, True)
    parts = [range(i, min(i + size, 4)) for i in range(1, 4, size)]
    assert b"".join(queries.entity_lines(rows, part, asked, True) for part in parts) == whole
    assert [json.loads(line)["id"] for line in whole.splitlines()] == ["Q1", "Q2", "Q3"]


# Slices


def test_sizes_halve_where_the_endpoint_runs_out_of_time_and_grow_again(town: Server) -> None:
    whole = forget(ask(town, limit=300))
    assert town.sizes == [300]
    town.sizes.clear()
    town.most, town.shuffled = 40, random.Random(1)
    assert forget(ask(town, limit=300)) == whole
    assert town.sizes[:5] == [300, 150, 75, 37, 41]  # 37 was answered: a little more is tried, then half of that
    assert town.sizes[5:8] == [20, 22, 24]
    assert max(town.sizes[5:]) > 30


def test_a_size_comes_back_quickly_after_a_busy_time() -> None:
    slices = Slices(5_000, 5_000, 5_000)
    slices.shrink(5_000)
    for _ in range(8):
        slices.shrink(slices.size)
    low = slices.size
    for _ in range(60):
        slices.adapt(0.5)
    assert low == 9
    assert slices.size == 5_000
    slices.adapt(50.0)
    assert slices.size == 3_750
    for _ in range(20):
        slices.shrink(slices.size)
    assert slices.size == 1


@pytest.mark.parametrize("how", ["trace", "500", "504", "429"])
def test_every_way_of_running_out_of_time_makes_the_slices_smaller(town: Server, how: str) -> None:
    whole = forget(ask(town, limit=60))
    town.most, town.runs_out = 20, how
    assert forget(ask(town, limit=60)) == whole


def test_silence_makes_the_slices_smaller(town: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forget(ask(town, limit=60))
    monkeypatch.setattr(endpoint, "_SILENCE", 1)
    town.most, town.runs_out = 30, "hang"
    town.sizes.clear()
    assert forget(ask(town, limit=60)) == whole
    assert town.sizes[:2] == [60, 30]


def test_one_item_that_is_too_much_is_named_and_what_came_before_is_kept(town: Server) -> None:
    town.slow = {120}
    with pytest.raises(TppcError, match=r"Q120: .*6 times; finished slices are kept"):
        ask(town, limit=300)
    town.slow = set()
    town.queries.clear()
    assert ids(ask(town, limit=300)) == list(range(1, 301))
    assert items_of(town.queries[0])[0] == 120


# Faults


def test_busy_broken_and_cut_answers_are_asked_again(server: Server, tmp_path: Path) -> None:
    whole = forget(ask(server))
    server.queries.clear()
    server.faults = ["status 429 0", "trace", "cut", "status 500", "no sparql", "status 502", "status 503 0"]
    assert forget(ask(server)) == whole
    assert len(server.queries) > len(server.faults)


def test_the_wait_that_a_server_asks_for_is_kept_to(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults = ["status 429 1", "date 2"]
    start = time.monotonic()
    ask(server)
    assert time.monotonic() - start >= 1.9  # a date has whole seconds
    assert "HTTP 429: trying again in 1.0 s" in capsys.readouterr().err


def test_a_long_wait_ends_the_harvest_at_once_and_keeps_what_is_finished(town: Server, tmp_path: Path) -> None:
    town.most = 100
    town.faults = ["trace", "trace", "", "status 429 3600"]
    with pytest.raises(TppcError, match="asks to wait 3600 s"):
        ask(town, limit=300)
    asked = len(town.queries)
    assert asked == 4
    with pytest.raises(TppcError, match="left alone"):
        ask(town, limit=300)
    assert len(town.queries) == asked  # nobody asks before the time
    (until,) = (tmp_path / "cache" / "slots").glob("*.until")
    until.unlink()
    assert ids(ask(town, limit=300)) == list(range(1, 301))
    assert items_of(town.queries[asked])[0] == 76  # 300, 150, then 75 items were finished


@pytest.mark.parametrize("fault", ["status 403", "refused You have been banned until tomorrow"])
def test_a_refusal_ends_it_at_once_and_says_what_to_do(server: Server, fault: str) -> None:
    server.faults = [fault]
    with pytest.raises(TppcError, match=r"HTTP 403.*TPPC_CONTACT") as raised:
        ask(server)
    assert len(server.queries) == 1
    assert ("banned until tomorrow" in str(raised.value)) == ("banned" in fault)


def test_what_an_endpoint_says_does_not_steer_the_terminal(server: Server) -> None:
    server.faults = ["refused go\x1b[2J away"]
    with pytest.raises(TppcError, match=r"HTTP 403 \(go\[2J away\)"):
        ask(server)


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_an_address_that_is_no_endpoint_is_asked_once(server: Server, status: int) -> None:
    server.faults = [f"status {status}"]
    with pytest.raises(TppcError, match=rf"HTTP {status} \(busy\); check that --endpoint"):
        ask(server)
    assert len(server.queries) == 1


def test_a_page_for_people_is_no_answer(server: Server) -> None:
    server.faults = ["page"] * 6
    with pytest.raises(TppcError, match="text/html, not JSON; check --endpoint, 6 times"):
        ask(server)
    assert len(server.queries) == 6


def test_an_endpoint_without_wikidata_is_an_error() -> None:
    with serving('<http://dbpedia.org/resource/River> rdfs:label "river"@en .') as other:
        for _ in range(2):
            with pytest.raises(TppcError, match="knows none of these items"):
                ask(other)
        assert len(other.queries) == 2


def test_a_server_that_stays_broken_ends_it_and_finished_slices_are_not_asked_for_again(town: Server) -> None:
    town.faults = ["trace", "", *["status 503"] * 6]
    with pytest.raises(TppcError, match="HTTP 503, 6 times; finished slices are kept"):
        ask(town, limit=300)
    town.queries.clear()
    assert ids(ask(town, limit=300)) == list(range(1, 301))
    assert items_of(town.queries[0])[0] == 151


class Clock:
    """Time that passes only when someone sleeps or works."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000.0, 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(endpoint, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.sleep))
    monkeypatch.setenv("TPPC_BACKOFF", "1")
    return clock


def test_no_minute_holds_more_errors_than_an_endpoint_allows(server: Server, clock: Clock) -> None:
    server.most = 0
    one, times = Endpoint(server.url), []
    for _ in range(50):
        with pytest.raises(TooMuch):
            one.ask(queries.texts_query([1, 2], {"en": "en"}, False), queries.TEXTS, "Q1 to Q2", divisible=True)
        times.append(clock.now)
    assert all(late - early >= 60 for early, late in zip(times, times[15:], strict=False))


def test_after_each_query_comes_a_rest(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(self: Endpoint, query: str) -> bytes:
        clock.now += 40
        return b'{"results": {"bindings": []}}'

    monkeypatch.setattr(Endpoint, "_answer", answer)
    _, seconds = Endpoint("http://127.0.0.1:1/sparql").ask("", queries.TEXTS, "", divisible=True)
    assert (seconds, clock.slept) == (40, 10)


# Classes


@pytest.fixture
def land() -> Iterator[Server]:
    """An endpoint with 400 people, thinly spread over the ids, two rivers, and what is no item."""
    rivers = "".join(f'wd:Q{i} rdfs:label "river {i}"@en ; wdt:P31 wd:Q4022 .\n' for i in (7, 99_999_999))
    with serving(FACTS + rivers + people(range(50_000, 400 * 50_000 + 1, 50_000))) as server:
        yield server


PEOPLE = [4, 7, *range(50_000, 400 * 50_000 + 1, 50_000)]


def test_the_members_of_a_class_are_listed_by_one_query_where_that_serves(land: Server) -> None:
    file = ask(land, classes=["Q5"], limit=None)
    assert ids(file) == PEOPLE
    assert land.sizes == [0, len(PEOPLE)]
    known = json.loads((file.path.parent / "snapshot.json").read_bytes())
    assert known["question"]["classes"] == ["Q5"]


def test_several_classes_and_a_limit_take_the_lowest_numbers(land: Server) -> None:
    assert ids(ask(land, classes=["Q4022", "Q5"], limit=None)) == [*PEOPLE, 99_999_999]
    assert ids(ask(land, classes=["Q5", "Q4022"], limit=3)) == [4, 7, 50_000]


def test_a_class_without_members_is_an_error(land: Server) -> None:
    with pytest.raises(TppcError, match=r"no item is an instance of Q987654.*--class"):
        ask(land, classes=["Q987654"])
    land.store.update(f"{PREFIXES} INSERT DATA {{ wd:Q3 wdt:P31 wd:Q987654 }}")
    assert ids(ask(land, classes=["Q987654"])) == [3]


def test_a_listing_that_is_too_much_is_cut_into_slices_of_the_id_axis(land: Server) -> None:
    whole = forget(ask(land, classes=["Q5"], limit=None))
    land.queries.clear()
    land.most, land.shuffled = 150, random.Random(2)
    assert forget(ask(land, classes=["Q5"], limit=None)) == whole
    filtered = [q for q in land.queries if "FILTER(xsd:integer" in q]
    assert len(filtered) >= 4
    assert all(items_of(q) for q in land.queries[1:] if q not in filtered)


def test_an_answer_that_reaches_the_bound_is_too_much(land: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forget(ask(land, classes=["Q5"], limit=None))
    monkeypatch.setattr(members, "_MOST_ROWS", 20)
    monkeypatch.setattr(members, "_IN_USE", 1 << 25)
    land.queries.clear()
    assert forget(ask(land, classes=["Q5"], limit=None)) == whole
    listing = [q for q in land.queries if "LIMIT" in q]
    assert len(listing) > 400 // 20
    assert not any(map(items_of, listing))  # the scan is fast enough, so no ids are told one by one


def test_where_the_scan_takes_too_long_ids_are_told_one_by_one(land: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forget(ask(land, classes=["Q5"], limit=None))
    land.filters = False
    land.queries.clear()
    assert ids(ask(land, classes=["Q5"], limit=3)) == [4, 7, 50_000]
    listing = [q for q in land.queries if "LIMIT" in q]
    assert [bool(items_of(q)) for q in listing] == [False] * 4 + [True] * 2  # all, three slices, two blocks of ids
    assert whole.startswith(b'{"type":"item","id":"Q4"')


def test_the_walk_along_the_axis_ends_where_no_members_are_left(town: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_IN_USE", 250)
    monkeypatch.setattr(members, "_GAP", 100)
    monkeypatch.setattr(members, "_LISTED", 64)
    town.filters = False
    assert ids(ask(town, classes=["Q5"], limit=None)) == list(range(1, 301))


def test_texts_start_over_where_the_list_of_members_is_another(land: Server, tmp_path: Path) -> None:
    land.faults = ["", "trace", "", "status 403"]  # the list, a block, its half, the rest
    with pytest.raises(TppcError, match="HTTP 403"):
        ask(land, classes=["Q5"], limit=None)
    (listing,) = (tmp_path / "cache").glob("sparql-*/members")
    listing.unlink()
    land.store.update(f"{PREFIXES} INSERT DATA {{ wd:Q2 wdt:P31 wd:Q5 }}")
    assert ids(ask(land, classes=["Q5"], limit=None)) == [2, *PEOPLE]


def test_a_listing_goes_on_where_it_broke_off(land: Server) -> None:
    whole = forget(ask(land, classes=["Q5"], limit=None))
    land.most = 150
    land.faults = ["", "", "", "", "status 403"]  # all, three widths of slices, the last of which is answered
    with pytest.raises(TppcError, match="HTTP 403"):
        ask(land, classes=["Q5"], limit=None)
    land.queries.clear()
    assert forget(ask(land, classes=["Q5"], limit=None)) == whole
    assert "FILTER" in land.queries[0]
    assert ">= 1 " not in land.queries[0]


# The cache


def test_answers_are_kept_and_asked_for_again_when_removed_or_damaged(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ask(server)
    asked = len(server.queries)
    again = ask(server)
    assert again == first
    assert len(server.queries) == asked
    assert "to ask again, remove" in capsys.readouterr().err
    data = first.path.read_bytes()
    first.path.write_bytes(data[:-10])
    assert ask(server).path.read_bytes() == data
    assert len(server.queries) == asked + 1
    assert ask(server, limit=19).path != first.path  # another question has answers of its own
    assert ask(server, aliases=True).path != first.path


def test_answers_that_differ_from_the_pinned_ones_are_an_error(server: Server) -> None:
    file = ask(server)
    pins = {file.snapshot.name: file.snapshot.sha256}
    check_pins([file], pins)
    server.store.update(f'{PREFIXES} INSERT DATA {{ wd:Q3 rdfs:label "life"@en }}')
    forget(file)
    with pytest.raises(TppcError, match="SHA-256"):
        check_pins([ask(server)], pins)


@given(kept=st.binary(), slice_=st.binary(), lost=st.binary())
def test_a_journal_forgets_what_its_state_does_not_count(
    tmp_path_factory: pytest.TempPathFactory, kept: bytes, slice_: bytes, lost: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "entities"
    Journal(path).add(kept, position=1)
    with path.open("ab") as file:  # killed between the bytes and the state
        file.write(lost)
    journal = Journal(path)
    assert journal.state == {"position": 1, "bytes": len(kept)}
    journal.add(slice_, position=2)
    assert path.read_bytes() == kept + slice_


# Processes


def start(server: Server, out: Path, *options: object, cache: Path, pair: str = "en-hi") -> subprocess.Popen[bytes]:
    words = command("build", "wikidata", "--pair", pair, "--endpoint", server.url, "--out", out, *options)
    return subprocess.Popen(words, env={**os.environ, "TPPC_CACHE": str(cache)}, stderr=subprocess.PIPE)


def shards(out: Path) -> dict[str, bytes]:
    (corpus,) = out.glob("wikidata/*")
    assert Corpus(corpus).manifest.funnel.kept
    return {p.name: p.read_bytes() for p in corpus.rglob("*.parquet")}


def answers(cache: Path) -> bytes:
    (found,) = cache.glob("sparql-*/sparql-*.jsonl")
    return found.read_bytes()


def wait_for(server: Server, goal: int, process: subprocess.Popen[bytes]) -> None:
    """Until the server has got `goal` queries, or the process is done."""
    end = time.monotonic() + 60
    while len(server.queries) < goal and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.chaos
def test_killed_at_any_moment_it_loses_the_slice_in_flight_and_nothing_else(tmp_path: Path) -> None:
    kills = int(os.environ.get("TPPC_CHAOS_KILLS", "3"))
    chance, numbers = random.Random(kills), range(400_000, 300 * 400_000 + 1, 400_000)
    question = ("--class", "Q5", "--limit", 300)
    with serving(people(numbers)) as land:
        unbroken = start(land, tmp_path / "whole", *question, cache=tmp_path / "whole-cache")
        errors = unbroken.communicate()[1]
        assert unbroken.returncode == 0, errors
        land.most, land.pause = 24, 0.01  # some 35 queries: half of them list the members, half bring their texts
        for first in range(0, kills, 3):  # a harvest is broken three times
            out, cache = tmp_path / f"{first}", tmp_path / f"{first}-cache"
            land.queries.clear()
            for _ in range(min(3, kills - first)):
                process = start(land, out, *question, cache=cache)
                try:
                    wait_for(land, len(land.queries) + chance.randint(1, 12), process)
                    time.sleep(chance.uniform(0, 0.02))
                    assert process.poll() is None  # there was something left to kill
                finally:
                    process.kill()
                    process.communicate()
            last = start(land, out, *question, cache=cache)
            errors = last.communicate()[1]
            assert last.returncode == 0, errors
            assert answers(cache) == answers(tmp_path / "whole-cache")
            assert shards(out) == shards(tmp_path / "whole")
            texts = [items_of(query) for query in land.queries if "?what" in query]
            served = [i for items in texts if len(items) <= land.most for i in items]
            assert set(served) == set(numbers)
            assert len(served) - len(numbers) <= 3 * land.most
            slices = [query for query in land.queries if "FILTER(xsd:integer" in query]
            assert len(slices) - len(set(slices)) <= 3


def test_two_processes_never_ask_at_the_same_time(town: Server, tmp_path: Path) -> None:
    town.most, town.pause = 60, 0.05
    both = [
        start(town, tmp_path / pair, "--limit", 300, cache=tmp_path / "shared", pair=pair)
        for pair in ("en-hi", "en-ja")
    ]
    for process in both:
        errors = process.communicate()[1]
        assert process.returncode == 0, errors
    assert town.busiest == 1
    assert len(town.queries) >= 10


def test_two_processes_with_one_question_ask_it_once(town: Server, tmp_path: Path) -> None:
    found: list[Fetched] = []
    town.pause = 0.2
    threads = [threading.Thread(target=lambda: found.append(ask(town, limit=300))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert len(town.queries) == 1
