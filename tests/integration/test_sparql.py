"""Wikidata by SPARQL, against a real engine behind a server that plays the public endpoint's faults."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.builders.sources import sparql
from tppc.corpora.languages import Pair
from tppc.errors import TppcError

ox = pytest.importorskip("pyoxigraph")

FACTS = """
PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX schema: <http://schema.org/>
INSERT DATA {
  wd:Q1 rdfs:label "universe"@en, "ब्रह्मांड"@hi, "宇宙"@ja ; schema:description "totality of space and time"@en, "अंतरिक्ष और समय"@hi ; wdt:P31 wd:Q36906466, wd:Q100, _:unknown .
  wd:Q2 rdfs:label "Earth"@en ; schema:description "third planet"@en, "तीसरा ग्रह"@hi .
  wd:Q4 rdfs:label "मीरा देवी"@mul, "Meera Devi"@en ; schema:description "Indian singer"@en, "भारतीय गायिका"@hi ; wdt:P31 wd:Q5 .
  wd:Q6 rdfs:label "Mercury"@en, "मर्करी"@hi ; schema:description "disambiguation page"@en, "बहुविकल्पी पृष्ठ"@hi ; wdt:P31 wd:Q4167410 .
  wd:Q12 rdfs:label "river"@en, "नदी"@hi ; schema:description "stream of \\"fresh\\" water"@en, "मीठे पानी की धारा"@hi .
}"""


class Server(ThreadingHTTPServer):
    """`faults` are played one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = ox.Store()
        self.store.update(FACTS)
        self.faults: list[str] = []
        self.agents: list[str] = []
        self.queries: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/sparql"


class Handler(BaseHTTPRequestHandler):
    """A SPARQL 1.1 endpoint (POST, form-encoded)."""

    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = urllib.parse.parse_qs(body)["query"][0]
        self.server.agents.append(self.headers["User-Agent"])
        self.server.queries.append(query)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        answer = self.server.store.query(query).serialize(format=ox.QueryResultsFormat.JSON)
        status, after = 200, None
        if fault.startswith("status"):
            status, after = int(fault.split()[1]), fault.split()[2] if len(fault.split()) > 2 else None
            answer = b"busy"
        if (
            fault == "trace"
        ):  # what a time-out looks like at the public endpoint: 200, then a Java trace inside the body
            answer = answer[: len(answer) // 2] + b"\njava.util.concurrent.TimeoutException\n\tat java.base"
        self.send_response(status)
        self.send_header("Content-Type", "application/sparql-results+json")
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 3] if fault == "cut" else answer)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ids(out: Path) -> set[str]:
    from tppc.corpora.corpus import Corpus

    return set(Corpus(out / "wikidata" / "en-hi").scan("train").collect()["source_id"])


def test_items_become_pairs_and_what_they_lack_is_counted(server: Server, tmp_path: Path) -> None:
    recipe = load_recipe(None, limit=20)
    (corpus,) = build("wikidata", [Pair("en", "hi")], endpoint=server.url, out=tmp_path, recipe=recipe)
    rows = {r["source_id"]: r for r in corpus.scan("train").collect().to_dicts()}
    assert rows.keys() == {"Q1", "Q4", "Q12"}
    assert rows["Q1"]["tgt_text"] == "ब्रह्मांड अंतरिक्ष और समय"
    assert rows["Q1"]["instance_of"] == "Q100 Q36906466"
    assert rows["Q4"]["label_from_mul"] == "tgt"
    assert rows["Q12"]["src_text"] == 'river stream of "fresh" water'
    assert corpus.manifest.funnel.rejected == {"no_tgt_label": 1, "wikimedia_internal": 1}
    assert corpus.manifest.snapshots[0].url == server.url
    assert server.agents[0].startswith("tppc/")


def test_busy_broken_and_cut_answers_are_asked_again(server: Server, tmp_path: Path) -> None:
    server.faults = ["status 429 0", "trace", "cut", "status 500"]
    build("wikidata", [Pair("en", "hi")], endpoint=server.url, out=tmp_path, recipe=load_recipe(None, limit=20))
    assert ids(tmp_path) == {"Q1", "Q4", "Q12"}
    assert len(server.queries) == 5


def test_finished_blocks_are_not_asked_for_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparql, "_BLOCK", 5)
    server.faults = ["", "", *["status 503"] * 6]
    recipe = load_recipe(None, limit=14)
    with pytest.raises(TppcError, match="HTTP 503, 6 times; finished blocks are kept"):
        build("wikidata", [Pair("en", "hi")], endpoint=server.url, out=tmp_path, recipe=recipe)
    asked = len(server.queries)
    build("wikidata", [Pair("en", "hi")], endpoint=server.url, out=tmp_path, recipe=recipe)
    assert len(server.queries) == asked + 1
    assert ids(tmp_path) == {"Q1", "Q4", "Q12"}


def test_a_refusal_says_what_to_do(server: Server, tmp_path: Path) -> None:
    server.faults = ["status 403"]
    with pytest.raises(TppcError, match=r"HTTP 403.*TPPC_CONTACT"):
        build("wikidata", [Pair("en", "hi")], endpoint=server.url, out=tmp_path)
