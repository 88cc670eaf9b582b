"""A SPARQL 1.1 endpoint over Wikidata-shaped triples: a real engine behind a real server that plays the faults and the
limits of public endpoints.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyoxigraph as ox

PREFIXES = """PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX schema: <http://schema.org/>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
"""
FACTS = """
  wd:Q1 rdfs:label "universe"@en, "ब्रह्मांड"@hi, "宇宙"@ja ; schema:description "totality of space and time"@en, "अंतरिक्ष और समय"@hi ; wdt:P31 wd:Q36906466, wd:Q100, _:unknown .
  wd:Q2 rdfs:label "Earth"@en ; schema:description "third planet"@en, "तीसरा ग्रह"@hi .
  wd:Q4 rdfs:label "मीरा देवी"@mul, "Meera Devi"@en ; schema:description "Indian singer"@en, "भारतीय गायिका"@hi ; wdt:P31 wd:Q5 .
  wd:Q6 rdfs:label "Mercury"@en, "मर्करी"@hi ; schema:description "disambiguation page"@en, "बहुविकल्पी पृष्ठ"@hi ; wdt:P31 wd:Q4167410 .
  wd:Q7 rdfs:label "Anna Lind"@mul ; schema:description "Swedish painter"@en, "स्वीडिश चित्रकार"@hi ; wdt:P31 wd:Q5 .
  wd:Q8 rdfs:label "Gauri"@mul, "गौरी"@hi ; schema:description "given name"@mul, "महिला नाम"@hi ; wdt:P31 <http://www.wikidata.org/.well-known/genid/c0ffee> .
  wd:Q12 rdfs:label "river"@en, "नदी"@hi ; schema:description "stream of \\"fresh\\" water"@en, "मीठे पानी की धारा"@hi ; skos:altLabel "stream"@en, "creek"@en, "सरिता"@hi, "Fluss"@de .
  wd:P31 rdfs:label "instance of"@en, "का उदाहरण"@hi ; schema:description "kind"@en, "प्रकार"@hi ; wdt:P31 wd:Q5 .
"""


def people(numbers: Iterable[int]) -> str:
    """Humans (Q5) with labels and descriptions in English, Hindi and Japanese."""
    return "".join(
        f'wd:Q{i} rdfs:label "Asha Rao of house {i}"@en, "घर {i} की आशा राव"@hi, "{i}番地の佐藤さん"@ja ; '
        f'schema:description "teacher number {i} of the school"@en, "विद्यालय की अध्यापिका संख्या {i}"@hi, "学校の{i}番目の先生"@ja ; '
        "wdt:P31 wd:Q5 .\n"
        for i in numbers
    )


class Server(ThreadingHTTPServer):
    """The endpoint.

    Attributes:
        faults: played one a request, in order: `status CODE [RETRY-AFTER]`, `date SECONDS` (429 with a date), `trace`,
        `cut`, `refused TEXT` (403 with a text), `no sparql`, `page` (HTML).
        most: items asked for or rows answered beyond which the endpoint runs out of time; None for no limit.
        slow: items whose texts always take too long. filters: whether a filter over all members is fast enough.
        runs_out: how running out of time looks: `trace`, `500`, `504`, `429` (QLever), `hang`.
        shuffled: answers come in another order each time.
        sizes: items asked for by each query (0: none is named). busiest: most queries at the same time.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, facts: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = ox.Store()
        self.store.update(f"{PREFIXES} INSERT DATA {{ {facts} }}")
        self.faults: list[str] = []
        self.most: int | None = None
        self.slow: set[int] = set()
        self.filters = True
        self.runs_out = "trace"
        self.shuffled: random.Random | None = None
        self.pause = 0.0
        self.agents: list[str] = []
        self.queries: list[str] = []
        self.sizes: list[int] = []
        self.answered = 0
        self.now = self.busiest = 0
        self.guard = threading.Lock()
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/sparql"

    def exhausted(self, query: str, rows: int) -> bool:
        """Whether a query takes longer than the endpoint allows."""
        named = items_of(query)
        if self.most is not None and max(len(named), rows if not named else 0) > self.most:
            return True
        return bool(self.slow.intersection(named)) or not (self.filters or named)


def items_of(query: str) -> list[int]:
    """The items that a query names in its first `VALUES ?item`."""
    found = re.search(r"VALUES \?item \{([^}]*)\}", query)
    return [int(i) for i in re.findall(r"wd:Q(\d+)", found[1])] if found else []


class Handler(BaseHTTPRequestHandler):
    """One request: POST, form-encoded, as SPARQL 1.1 Protocol 2.1.2 has it."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = urllib.parse.parse_qs(body)["query"][0]
        with server.guard:
            server.now += 1
            server.busiest = max(server.busiest, server.now)
            server.agents.append(self.headers["User-Agent"])
            server.queries.append(query)
            server.sizes.append(len(items_of(query)))
            fault = server.faults.pop(0) if server.faults else ""
        try:
            time.sleep(server.pause)
            found = json.loads(server.store.query(query).serialize(format=ox.QueryResultsFormat.JSON))
            rows = found["results"]["bindings"]
            if server.shuffled:
                server.shuffled.shuffle(rows)
            ran_out = not fault and server.exhausted(query, len(rows))
            answer = json.dumps(found).encode()
        finally:
            with server.guard:
                server.now -= 1
        self._play(server.runs_out if ran_out else fault, answer)

    def _play(self, fault: str, answer: bytes) -> None:
        kind, *words = fault.split(" ", 2)
        trace = b"\njava.util.concurrent.TimeoutException\n\tat java.base/java.util.concurrent.FutureTask.get"
        if kind == "status":
            return self._send(int(words[0]), b"busy", words[1] if len(words) > 1 else None)
        if kind == "date":
            return self._send(429, b"busy", formatdate(time.time() + float(words[0]), usegmt=True))
        if kind == "refused":
            return self._send(403, " ".join(words).encode())
        if kind == "500":
            return self._send(500, b"SPARQL-QUERY: queryStr=SELECT" + trace)
        if kind == "504":
            return self._send(504, b"upstream request timeout")
        if kind == "429":
            return self._send(429, b'{"exception": "Operation timed out.", "status": "ERROR"}')
        if kind == "hang":
            self.close_connection = True
            self.server.closing.wait(30)
            return None
        if kind == "page":
            return self._send(200, b"<!doctype html><title>Query service</title>", kind="text/html")
        if kind == "no":
            return self._send(200, b'{"boolean": true}')
        if kind == "trace":
            return self._send(200, answer[: len(answer) // 2] + trace)
        if kind == "cut":
            return self._send(200, answer, sent=len(answer) // 3)
        self.server.answered += 1
        return self._send(200, answer)

    def _send(
        self, status: int, body: bytes, after: str | None = None, sent: int | None = None, kind: str = ""
    ) -> None:
        self.send_response(status)
        json_or_text = "application/sparql-results+json" if status == 200 else "text/plain"
        self.send_header("Content-Type", kind or json_or_text)
        if after is not None:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(facts: str = FACTS) -> Iterator[Server]:
    """An endpoint that answers while the block runs."""
    server = Server(facts)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
