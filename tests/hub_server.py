"""A small Hugging Face Hub: datasets with commits and tags, in the protocol that `huggingface_hub` speaks.

Repositories, `preupload`, the git LFS batch (transfer `basic`) with its uploads, commits as lines of JSON under a parent, tags, trees,
and files by revision with `Range`. Xet is not spoken: clients need `HF_HUB_DISABLE_XET=1`. What it checks, it checks as the Hub
does: a token, the digest of an uploaded LFS file, the parent of a commit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_doubleSecretToken0123"


@dataclass
class Repository:
    """A dataset: every commit is a whole tree of (content, whether it is an LFS file)."""

    private: bool
    commits: dict[str, dict[str, tuple[bytes, bool]]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    head: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, tree: dict[str, tuple[bytes, bool]], message: str) -> str:
        """Add a commit on top of the newest one."""
        listing = sorted((path, hashlib.sha1(data).hexdigest()) for path, (data, _) in tree.items())
        self.head = hashlib.sha1(f"{self.head} {listing} {message}".encode()).hexdigest()
        self.commits[self.head] = tree
        self.messages.append(message)
        return self.head

    def tree(self, revision: str) -> dict[str, tuple[bytes, bool]] | None:
        """The files of a branch, tag or commit."""
        return self.commits.get(self.head if revision == "main" else self.tags.get(revision, revision))


class Hub(ThreadingHTTPServer):
    """The server; `requests` are the lines of all requests, `fail` answers those that match it with 500 (once each)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.fail: list[str] = []
        self.lock = threading.Lock()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers while the block runs."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _answer(self, method: str) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{method} {path}")
        for index, pattern in enumerate(self.server.fail):
            if re.search(pattern, f"{method} {path}"):
                del self.server.fail[index]
                return self._json({"error": "out of order"}, 400)
        if not path.startswith("/lfs/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json({"error": f"Invalid credentials {self.headers.get('Authorization')}"}, 401)
        for kind, pattern, function in _ROUTES:
            if kind == ("GET" if method == "HEAD" else method) and (found := re.fullmatch(pattern, path)):
                with self.server.lock:
                    return function(self, body, *found.groups())
        return self._json({"error": f"no route {method} {path}"}, 404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, value: Any, status: int = 200, **headers: str) -> None:
        self._send(json.dumps(value).encode(), status, Content_Type="application/json", **headers)

    def _missing(self, what: str) -> None:
        self._json({"error": f"{what} not found"}, 404, X_Error_Code=what, X_Error_Message=f"{what} not found")

    def create(self, body: bytes) -> None:
        """POST /api/repos/create."""
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.server.repositories:
            return self._json({"error": "You already created this dataset repo"}, 409)
        private = asked.get("private") is True or asked.get("visibility") == "private"
        made = self.server.repositories[name] = Repository(private)
        made.commit({".gitattributes": (b"*.parquet filter=lfs diff=lfs merge=lfs -text\n", False)}, "initial commit")
        return self._json({"url": f"{self.server.url}/datasets/{name}"})

    def info(self, body: bytes, name: str, revision: str | None = None) -> None:
        """GET /api/datasets/ID[/revision/REVISION]."""
        if (found := self.server.repositories.get(name)) is None:
            return self._missing("RepoNotFound")
        if (tree := found.tree(revision or "main")) is None:
            return self._missing("RevisionNotFound")
        sha = found.head if revision in (None, "main") else found.tags.get(revision, revision)
        files = [{"rfilename": path} for path in sorted(tree)]
        return self._json({"id": name, "sha": sha, "siblings": files, "private": found.private, "tags": []})

    def refs(self, body: bytes, name: str) -> None:
        """GET /api/datasets/ID/refs."""
        found = self.server.repositories[name]

        def ref(kind: str, name: str, commit: str) -> dict[str, str]:
            return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}

        tags = [ref("tags", tag, commit) for tag, commit in found.tags.items()]
        self._json({"branches": [ref("heads", "main", found.head)], "tags": tags, "converts": []})

    def validate(self, body: bytes) -> None:
        """POST /api/validate-yaml."""
        self._json({"errors": [], "warnings": []})

    def preupload(self, body: bytes, name: str, revision: str) -> None:
        """POST /api/datasets/ID/preupload/REVISION: Parquet and gzip go by LFS."""
        files = [
            {
                "path": f["path"],
                "uploadMode": "lfs" if f["path"].endswith((".parquet", ".gz")) else "regular",
                "shouldIgnore": False,
            }
            for f in json.loads(body)["files"]
        ]
        self._json({"files": files})

    def batch(self, body: bytes, name: str) -> None:
        """POST /datasets/ID.git/info/lfs/objects/batch."""
        objects = []
        for wanted in json.loads(body)["objects"]:
            there = wanted["oid"] in self.server.objects
            upload = {"upload": {"href": f"{self.server.url}/lfs/{wanted['oid']}", "header": {}}}
            objects.append({**wanted, **({} if there else {"actions": upload})})
        self._json({"transfer": "basic", "objects": objects})

    def upload(self, body: bytes, oid: str) -> None:
        """PUT of an LFS object, as the storage behind the Hub takes it."""
        if hashlib.sha256(body).hexdigest() != oid:
            return self._json({"error": "digest"}, 400)
        self.server.objects[oid] = body
        return self._send(b"")

    def commit(self, body: bytes, name: str, revision: str) -> None:
        """POST /api/datasets/ID/commit/main: one JSON object a line."""
        found = self.server.repositories[name]
        tree, header = dict(found.commits[found.head]), {}
        for line in body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                header = value
            elif item["key"] == "file":
                tree[value["path"]] = (base64.b64decode(value["content"]), False)
            elif item["key"] == "lfsFile":
                tree[value["path"]] = (self.server.objects[value["oid"]], True)
            elif item["key"] == "deletedFile":
                del tree[value["path"]]
        if header.get("parentCommit", found.head) != found.head:
            return self._json({"error": "A commit has happened since. Please refresh and try again."}, 412)
        oid = found.commit(tree, header["summary"])
        return self._json(
            {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/datasets/{name}/commit/{oid}"}
        )

    def tag(self, body: bytes, name: str, revision: str) -> None:
        """POST /api/datasets/ID/tag/REVISION."""
        found, tag = self.server.repositories[name], json.loads(body)["tag"]
        if tag in found.tags:
            return self._json({"error": "Tag exists"}, 409)
        found.tags[tag] = found.head if revision == "main" else revision
        return self._json({})

    def _file(self, path: str, data: bytes, lfs: bool) -> dict[str, Any]:
        value: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        if lfs:
            value["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return value

    def paths_info(self, body: bytes, name: str, revision: str) -> None:
        """POST /api/datasets/ID/paths-info/REVISION, as a form."""
        tree = self.server.repositories[name].tree(revision)
        if tree is None:
            return self._missing("RevisionNotFound")
        wanted = parse_qs(body.decode())["paths"]
        found = [self._file(path, *tree[path]) for path in wanted if path in tree]
        folders = [p for p in wanted if any(path.startswith(f"{p}/") for path in tree)]
        return self._json(found + [{"type": "directory", "path": p, "oid": "0" * 40} for p in folders])

    def tree(self, body: bytes, name: str, revision: str, below: str | None = None) -> None:
        """GET /api/datasets/ID/tree/REVISION[/PATH], always with all levels."""
        tree = self.server.repositories[name].tree(revision)
        if tree is None:
            return self._missing("RevisionNotFound")
        prefix = f"{below}/" if below else ""
        recursive = "recursive" in urlsplit(self.path).query.lower()
        rest = {path: file for path, file in sorted(tree.items()) if path.startswith(prefix)}
        files = [self._file(p, *f) for p, f in rest.items() if recursive or "/" not in p.removeprefix(prefix)]
        folders = {prefix + p.removeprefix(prefix).split("/")[0] for p in rest if "/" in p.removeprefix(prefix)}
        return self._json(files + [{"type": "directory", "path": p, "oid": "0" * 40} for p in sorted(folders)])

    def resolve(self, body: bytes, name: str, revision: str, path: str) -> None:
        """GET /datasets/ID/resolve/REVISION/PATH."""
        tree = self.server.repositories[name].tree(revision)
        if tree is None or path not in tree:
            return self._missing("EntryNotFound")
        data, _ = tree[path]
        etag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X_Repo_Commit": revision, "Accept_Ranges": "bytes"}
        if ranged := self.headers.get("Range"):
            first, _, last = ranged.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else len(data), len(data))
            return self._send(data[start:stop], 206, Content_Range=f"bytes {start}-{stop - 1}/{len(data)}", **etag)
        return self._send(data, **etag)


_ID = r"([\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/repos/create", _Handler.create),
    ("GET", f"/api/datasets/{_ID}", _Handler.info),
    ("GET", f"/api/datasets/{_ID}/revision/([^/]+)", _Handler.info),
    ("GET", f"/api/datasets/{_ID}/refs", _Handler.refs),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("POST", f"/api/datasets/{_ID}/preupload/([^/]+)", _Handler.preupload),
    ("POST", rf"/datasets/{_ID}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/lfs/([0-9a-f]{64})", _Handler.upload),
    ("POST", f"/api/datasets/{_ID}/commit/([^/]+)", _Handler.commit),
    ("POST", f"/api/datasets/{_ID}/tag/([^/]+)", _Handler.tag),
    ("POST", f"/api/datasets/{_ID}/paths-info/([^/]+)", _Handler.paths_info),
    ("GET", f"/api/datasets/{_ID}/tree/([^/]+)(?:/(.+))?", _Handler.tree),
    ("GET", f"/datasets/{_ID}/resolve/([^/]+)/(.+)", _Handler.resolve),
]
