"""Publishing into folders and pulling back: never overwritten, never half visible, never a secret."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import command
from factory import write_corpus
from hypothesis import given
from hypothesis import strategies as st
from servers import serving

from tppc.builders.build import build
from tppc.corpora.addresses import public_address, safe_name, scrub
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Manifest, Snapshot, next_version, read_manifest, write_manifest
from tppc.corpora.stores import ObjectStore
from tppc.errors import TppcError, UsageError
from tppc.manifests.publication import publish
from tppc.manifests.pull import pull
from tppc.manifests.verify import verify
from tppc.manifests.versions import check_version, least_change, newest, order

ROWS = [(f"The house number {i} is old.", f"मकान संख्या {i} पुराना है।") for i in range(60)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", {"train": ROWS[:50], "test": ROWS[50:]})


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _visible(folder: Path) -> dict[str, bytes]:
    return {n: d for n, d in _files(folder).items() if not any(part.startswith(".") for part in n.split("/"))}


def test_a_folder_becomes_the_corpus_itself(corpus: Path, tmp_path: Path) -> None:
    done = publish(corpus, str(tmp_path / "public" / "pairs"), check=True)
    assert done.new
    assert not done.catalogue
    assert _files(tmp_path / "public" / "pairs") == _files(corpus)
    assert list((tmp_path / "public").iterdir()) == [tmp_path / "public" / "pairs"]
    assert not publish(corpus, str(tmp_path / "public" / "pairs")).new


def test_a_catalogue_holds_every_version_and_gives_the_newest(corpus: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "catalogue")
    assert publish(corpus, place, catalogue=True).address == f"{place}/made/en-hi/1.0.0"
    more = write_corpus(
        tmp_path / "more", {"train": ROWS[:50], "test": ROWS[50:], "dev": [("A kite flies.", "पतंग उड़ती है।")]}
    )
    assert publish(more, place, version="1.10.0").new
    assert publish(corpus, place, version="2.0.0").new
    folder, manifest = pull("made/en-hi", place, tmp_path / "new")
    assert manifest.version == "2.0.0"
    assert folder == tmp_path / "new" / "made" / "en-hi"
    assert verify(folder) == []
    old, _ = pull("made/en-hi@1.0.0", place, tmp_path / "old")
    assert _files(old) == _files(corpus)
    found = json.loads((tmp_path / "catalogue" / "catalog.json").read_bytes())
    assert [e["version"] for e in found["corpora"]] == ["1.0.0", "1.10.0", "2.0.0"]


def test_another_version_changes_the_manifest_and_not_the_build_digest(corpus: Path, tmp_path: Path) -> None:
    done = publish(corpus, str(tmp_path / "public"), version="1.4.0", check=True)
    mine, theirs = read_manifest(corpus), read_manifest(tmp_path / "public")
    assert theirs.version == "1.4.0"
    assert theirs.build_digest == mine.build_digest == done.build_digest
    assert done.manifest_sha256 == hashlib.sha256((tmp_path / "public" / "manifest.json").read_bytes()).hexdigest()
    assert verify(tmp_path / "public") == []
    assert mine.version == "1.0.0"


def test_the_documents_of_a_built_corpus_name_the_published_version(tmp_path: Path) -> None:
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(40))
    (tmp_path / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    (made,) = build("wikimatrix", [Pair("en", "hi")], origin=str(tmp_path), out=tmp_path / "out")
    same, higher = tmp_path / "same", tmp_path / "higher"
    publish(made.path, str(same), version="1.0.0")
    assert _files(same) == _files(made.path)
    publish(made.path, str(higher), version="1.1.0", check=True)
    assert verify(higher) == []
    before, after = _files(same), _files(higher)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"CITATION.cff", "croissant.json", "manifest.json", "manifest.json.sha256"}
    assert json.loads(after["croissant.json"])["version"] == "1.1.0"
    assert b"1.1.0" in after["CITATION.cff"]
    old = json.loads(before["croissant.json"])
    assert json.loads(json.dumps(old).replace("1.0.0", "1.1.0")) == json.loads(after["croissant.json"])


def test_a_published_version_is_never_overwritten(corpus: Path, tmp_path: Path) -> None:
    place = tmp_path / "catalogue"
    publish(corpus, str(place), catalogue=True)
    before = _visible(place)
    other = write_corpus(tmp_path / "other", {"train": ROWS})
    first, second = read_manifest(corpus).build_digest, read_manifest(other).build_digest
    with pytest.raises(TppcError, match=f"build digest {first}, and this corpus has {second}.*raise the version"):
        publish(other, str(place))
    with pytest.raises(TppcError, match=r"1\.0\.0 is published already, and 0\.9\.0 .*; give --version 2\.0\.0"):
        publish(other, str(place), version="0.9.0")
    with pytest.raises(TppcError, match=r"and 1\.5\.0 lacks rows or columns that it has, so MAJOR must rise"):
        publish(other, str(place), version="1.5.0")
    plain = tmp_path / "plain"
    publish(corpus, str(plain))
    with pytest.raises(TppcError, match="a published corpus is never overwritten; choose another --to"):
        publish(other, str(plain), version="2.0.0")
    assert _visible(place) == before
    assert _files(plain) == _files(corpus)


def test_more_rows_need_a_new_minor_version(corpus: Path, tmp_path: Path) -> None:
    publish(corpus, str(tmp_path / "c"), catalogue=True)
    more = write_corpus(tmp_path / "more", {"train": [*ROWS[:50], ("One more.", "एक और।")], "test": ROWS[50:]})
    with pytest.raises(TppcError, match=r"1\.0\.1 has other rows, so MINOR must rise at least; give --version 1\.1\.0"):
        publish(more, str(tmp_path / "c"), version="1.0.1")
    assert publish(more, str(tmp_path / "c"), version="1.1.0").new
    # As many rows, but one of them another: the rows themselves are compared.
    other = write_corpus(tmp_path / "other", {"train": [*ROWS[:50], ("Another.", "दूसरा।")], "test": ROWS[50:]})
    with pytest.raises(TppcError, match=r"1\.2\.0 lacks rows .* so MAJOR must rise; give --version 2\.0\.0"):
        publish(other, str(tmp_path / "c"), version="1.2.0")
    assert publish(other, str(tmp_path / "c"), version="2.0.0").new


def test_only_sound_corpora_are_published(corpus: Path, tmp_path: Path) -> None:
    shard = next(corpus.rglob("train-*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(TppcError, match=r"train-00000.*only a sound corpus is published"):
        publish(corpus, str(tmp_path / "public"))
    assert not (tmp_path / "public").exists()


def test_folders_that_hold_something_else_are_left_alone(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(TppcError, match=r"holds files that are no published corpus.*--catalogue"):
        publish(corpus, str(tmp_path / "mine"))
    assert _files(tmp_path / "mine") == {"notes.txt": b"mine"}
    publish(corpus, str(tmp_path / "plain"))
    with pytest.raises(TppcError, match="holds a published corpus, so it cannot be a catalogue"):
        publish(corpus, str(tmp_path / "plain"), catalogue=True)
    (tmp_path / "out" / "made" / "en-hi").mkdir(parents=True)
    (tmp_path / "out" / "made" / "en-hi" / "notes.txt").write_text("mine")
    with pytest.raises(TppcError, match="holds files that are no finished corpus"):
        pull("made/en-hi", str(tmp_path / "plain"), tmp_path / "out")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TppcError, match="is a file; give a folder with --to"):
        publish(corpus, str(tmp_path / "file"))
    with pytest.raises(UsageError, match="lies in the corpus that is to be published"):
        publish(corpus, str(corpus / "public"))
    with pytest.raises(UsageError, match="can be pulled from but not published to"):
        publish(corpus, "https://localhost:1/x")


def test_a_full_disk_is_told_with_the_file_and_leaves_nothing_visible(corpus: Path, tmp_path: Path) -> None:
    place = tmp_path / "c"
    words = shlex.join(command("manifests", "publish", corpus, "--to", place, "--catalogue"))
    # No file may grow above 1,024 bytes: a write fails as on a full disk.
    full = subprocess.run(["bash", "-c", f"ulimit -f 1; {words}"], capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert re.search(rf"{place}/\S+: File too large; check .* free space", full.stderr), full.stderr
    assert not (place / "catalog.json").exists()
    assert not (place / "made" / "en-hi" / "1.0.0").exists()
    assert publish(corpus, str(place), catalogue=True).new
    assert verify(place / "made" / "en-hi" / "1.0.0") == []


def test_nothing_is_put_into_a_published_corpus(corpus: Path, tmp_path: Path) -> None:
    publish(corpus, str(tmp_path / "plain"))
    for catalogue in (False, True):
        with pytest.raises(
            TppcError, match=rf"lies inside the corpus {tmp_path}/plain, whose manifest would not list it"
        ):
            publish(corpus, str(tmp_path / "plain" / "a" / "b"), catalogue=catalogue)
    with pytest.raises(TppcError, match="lies inside the corpus"):
        pull("made/en-hi", str(tmp_path / "plain"), tmp_path / "plain" / "out")
    assert verify(tmp_path / "plain") == []


KILLED = """
import os, signal, sys
from pathlib import Path
from tppc.manifests import publication
from tppc.manifests.publication import publish
original = getattr(publication, sys.argv[3])
calls = 0
def once(*arguments, **more):
    global calls
    calls += 1
    if calls == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **more)
setattr(publication, sys.argv[3], once)
publish(Path(sys.argv[1]), sys.argv[2], catalogue=True)
"""


@pytest.mark.parametrize(("where", "call"), [("_copy", 2), ("write_bytes", 2), ("enter", 1)])
def test_a_publish_that_was_killed_shows_nothing_half_and_is_finished_by_the_next(
    corpus: Path, tmp_path: Path, where: str, call: int
) -> None:
    place = tmp_path / "catalogue"
    arguments = [sys.executable, "-c", KILLED, str(corpus), str(place), where, str(call)]
    killed = subprocess.run(arguments, capture_output=True, check=False, timeout=100)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    finished = place / "made" / "en-hi" / "1.0.0"
    assert not (place / "catalog.json").exists()
    assert finished.exists() == (where == "enter")  # killed after it was complete: there, but in no catalogue yet
    with pytest.raises(TppcError, match=r"no catalog\.json"):
        pull("made/en-hi", str(place), tmp_path / "out")
    done = publish(corpus, str(place), catalogue=True)
    assert done.new == (where != "enter")
    assert _files(finished) == _files(corpus)
    assert list(place.rglob("*.partial")) == []
    assert pull("made/en-hi", str(place), tmp_path / "out")[1] == read_manifest(corpus)


def test_another_build_of_the_same_data_finishes_what_was_begun(corpus: Path, tmp_path: Path) -> None:
    place = tmp_path / "catalogue"
    first = publish(corpus, str(place), catalogue=True)
    (place / "catalog.json").unlink()  # as if the publisher had been killed before it entered the corpus
    write_manifest(read_manifest(corpus).model_copy(update={"created": "2026-02-02T00:00:00+00:00"}), corpus)
    again = publish(corpus, str(place), catalogue=True)
    assert not again.new
    assert again.manifest_sha256 == first.manifest_sha256
    assert pull("made/en-hi", str(place), tmp_path / "out")[1].created == "2026-01-01T00:00:00Z"


def test_publishers_at_the_same_time_lose_no_entry(tmp_path: Path) -> None:
    folders = [write_corpus(tmp_path / str(i), {"train": ROWS[i:]}, name=f"made{i}/en-hi") for i in range(3)]
    same = folders[0]
    running = [
        subprocess.Popen(
            command("manifests", "publish", folder, "--to", tmp_path / "catalogue", "--catalogue", "--json"),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for folder in (*folders, same)
    ]
    answers = [p.communicate(timeout=100) for p in running]
    assert [p.returncode for p in running] == [0] * 4, answers
    new = [json.loads(out)["new"] for out, _ in answers]
    assert new[1:3] == [True, True]
    assert sorted([new[0], new[3]]) == [False, True]
    found = json.loads((tmp_path / "catalogue" / "catalog.json").read_bytes())
    assert [e["name"] for e in found["corpora"]] == ["made0/en-hi", "made1/en-hi", "made2/en-hi"]
    page = (tmp_path / "catalogue" / "index.html").read_text()
    assert all(f"made{i}/en-hi" in page for i in range(3))


def test_a_pull_by_http_survives_cuts_and_goes_on_after_a_kill(corpus: Path, tmp_path: Path) -> None:
    publish(corpus, str(tmp_path / "c"), catalogue=True)
    shard = read_manifest(corpus).shards[0]
    path = f"/c/made/en-hi/1.0.0/{shard.path}"
    with serving({f"/c/{name}": data for name, data in _visible(tmp_path / "c").items()}) as server:
        server.faults_at[path] = ["cut 700", "status 503", "cut 900"]
        pull("made/en-hi@1.0.0", server.url("/c"), tmp_path / "one")
        assert [a.start for a in server.gets(path)] == [None, 700, 700, 1600]
        # As a pull leaves it that was killed: a part of a shard, and a whole file.
        left = tmp_path / "two" / "made" / ".en-hi.partial"
        (left / shard.path).parent.mkdir(parents=True)
        (left / f"{shard.path}.part").write_bytes((corpus / shard.path).read_bytes()[:1000])
        other = read_manifest(corpus).shards[1]
        (left / other.path).write_bytes((corpus / other.path).read_bytes())
        server.asked.clear()
        folder, _ = pull("made/en-hi", server.url("/c/"), tmp_path / "two")
        assert [a.start for a in server.gets(path)] == [1000]
        assert server.gets(f"/c/made/en-hi/1.0.0/{other.path}") == []
        assert _files(folder) == _files(corpus)
        server.faults_at[path] = ["damage", "damage"]
        with pytest.raises(TppcError, match="its SHA-256 differs from the manifest's; it was changed or damaged there"):
            pull("made/en-hi", server.url("/c"), tmp_path / "three")
        assert not (tmp_path / "three" / "made" / "en-hi").exists()
        server.faults_at[path] = ["whole"]
        assert pull("made/en-hi", server.url("/c"), tmp_path / "three")[0].is_dir()


def test_a_second_pull_leaves_a_sound_corpus_and_refuses_others(corpus: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "c")
    publish(corpus, place, catalogue=True)
    folder, _ = pull("made/en-hi", place, tmp_path / "out")
    times = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert pull("made/en-hi@1.0.0", place, tmp_path / "out")[0] == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == times
    publish(corpus, place, version="1.0.1")
    with pytest.raises(TppcError, match=r"holds made/en-hi@1\.0\.0 .* not made/en-hi@1\.0\.1.*choose another --out"):
        pull("made/en-hi", place, tmp_path / "out")
    next(folder.rglob("train-*")).write_bytes(b"gone")
    with pytest.raises(TppcError, match=r"remove .* and pull it again"):
        pull("made/en-hi@1.0.0", place, tmp_path / "out")


def test_what_is_not_there_is_told_with_what_is(corpus: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "c")
    publish(corpus, place, catalogue=True)
    with pytest.raises(TppcError, match="no corpus 'wikidata/en-hi' in this catalogue; it has made/en-hi"):
        pull("wikidata/en-hi", place, tmp_path)
    with pytest.raises(TppcError, match=r"no made/en-hi@3\.0\.0 in this catalogue; its versions are 1\.0\.0"):
        pull("made/en-hi@3.0.0", place, tmp_path)
    with pytest.raises(UsageError, match="write NAME or NAME@VERSION"):
        pull("../made@1.0.0", place, tmp_path)
    (tmp_path / "c" / "made" / "en-hi" / "1.0.0" / "data" / "en-hi" / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(TppcError, match=r"parquet: the file is not there; tell whoever keeps"):
        pull("made/en-hi", place, tmp_path / "out")
    catalog = tmp_path / "c" / "catalog.json"
    good = catalog.read_text()
    for bad, said in (
        (good.replace('"made/en-hi"', '"../x"'), r"corpora\.0\.name: '\.\./x' is no name of a corpus"),
        (good.replace("1.0.0", "1.0." + "9" * 5000), r"corpora\.0\.version"),
        (good.replace("catalogue/1", "catalogue/2"), "reads 'tppc-catalogue/1'; install the one that wrote it"),
        ("[" * 200_000, "not a catalogue"),
    ):
        catalog.write_text(bad)
        with pytest.raises(TppcError, match=said):
            pull("made/en-hi", place, tmp_path / "out")


def test_a_catalogue_whose_manifest_was_exchanged_is_found_out(corpus: Path, tmp_path: Path) -> None:
    publish(corpus, str(tmp_path / "c"), catalogue=True)
    forged = tmp_path / "c" / "made" / "en-hi" / "1.0.0"
    write_manifest(read_manifest(forged).model_copy(update={"limits": ["forged"]}), forged)
    with pytest.raises(TppcError, match=r"its SHA-256 is not the one in catalog\.json"):
        pull("made/en-hi", str(tmp_path / "c"), tmp_path / "out")


def test_a_published_corpus_that_is_not_sound_is_not_taken(corpus: Path, tmp_path: Path) -> None:
    publish(corpus, str(tmp_path / "c"), catalogue=True)
    forged = tmp_path / "c" / "made" / "en-hi" / "1.0.0"
    manifest = read_manifest(forged)
    funnel = manifest.funnel.model_copy(update={"read": 999})
    write_manifest(manifest.model_copy(update={"funnel": funnel}), forged)
    digest = hashlib.sha256((forged / "manifest.json").read_bytes()).hexdigest()
    catalog = tmp_path / "c" / "catalog.json"
    catalog.write_text(re.sub(r'"manifest_sha256": "\w+"', f'"manifest_sha256": "{digest}"', catalog.read_text()))
    with pytest.raises(TppcError, match=r"funnel does not add up.*the published corpus is not sound"):
        pull("made/en-hi", str(tmp_path / "c"), tmp_path / "out")
    assert not (tmp_path / "out" / "made" / "en-hi").exists()


SECRETS = [
    "https://someone:pa55w0rd-x@example.org/a/b",
    "https://example.org/a/b?token=pa55w0rd-x",
    "https://example.org/a/b?x=1&sig=pa55w0rd-x#pa55w0rd-x",
    "ftp://pa55w0rd-x@example.org/a/b",
]


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize("place", ["snapshot", "command"])
def test_a_manifest_with_a_secret_is_not_published(corpus: Path, tmp_path: Path, url: str, place: str) -> None:
    manifest = read_manifest(corpus)
    snapshot = Snapshot(name="b", url=url, bytes=1, sha256="0" * 64)
    change = {"snapshots": [snapshot]} if place == "snapshot" else {"command": f"tppc build tatoeba --from '{url}'"}
    write_manifest(manifest.model_copy(update=change), corpus)
    with pytest.raises(
        TppcError, match=r"manifest\.json: a URL in it holds a user name, a password or a query"
    ) as said:
        publish(corpus, str(tmp_path / "public"))
    assert "pa55w0rd" not in str(said.value)
    assert not (tmp_path / "public").exists()


def test_secrets_of_an_address_are_in_no_error_log_or_catalogue(corpus: Path, tmp_path: Path) -> None:
    publish(corpus, str(tmp_path / "c"), catalogue=True)
    with serving({f"/c/{name}": data for name, data in _visible(tmp_path / "c").items()}) as server:
        server.password = "someone:pa55w0rd-x"
        address = server.url("/c").replace("http://", "http://someone:pa55w0rd-x@") + "?token=t0ken-secret"
        pulled = subprocess.run(
            command("corpora", "pull", "made/en-hi", "--from", address, "--out", tmp_path / "out"),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert pulled.returncode == 0, pulled.stderr
        assert any(a.query == "token=t0ken-secret" for a in server.asked)
        server.password = "another:one"
        failed = subprocess.run(
            command("corpora", "pull", "made/en-hi", "--from", address, "--out", tmp_path / "x", "--debug"),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert failed.returncode == 1
    assert "401" in failed.stderr
    written = b"".join(_files(tmp_path / "out").values()).decode(errors="replace")
    said = pulled.stdout + pulled.stderr + failed.stdout + failed.stderr + written
    assert "pa55w0rd" not in said
    assert "t0ken-secret" not in said
    assert "someone" not in said


def test_secrets_of_a_snapshot_are_in_nothing_that_is_published(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(40))
    with serving({"/WikiMatrix.en-hi.tsv.gz": gzip.compress(lines.encode())}) as server:
        server.password = "someone:pa55w0rd-x"
        origin = server.url("/WikiMatrix.en-hi.tsv.gz").replace("http://", "http://someone:pa55w0rd-x@")
        (made,) = build("wikimatrix", [Pair("en", "hi")], origin=f"{origin}?sig=t0ken-secret", out=tmp_path / "out")
    publish(made.path, str(tmp_path / "c"), catalogue=True)
    packed = _files(tmp_path / "c")
    unpacked = [gzip.decompress(data) for name, data in packed.items() if name.endswith(".gz")]
    everything = b"".join([*packed.values(), *unpacked]).decode(errors="replace") + "".join(capfd.readouterr())
    assert "/WikiMatrix.en-hi.tsv.gz" in everything
    for secret in ("pa55w0rd", "t0ken-secret", "someone"):
        assert secret not in everything


def test_public_addresses_and_scrubbed_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [public_address(u) for u in SECRETS] == ["https://example.org/a/b"] * 3 + ["ftp://example.org/a/b"]
    assert public_address("/a/b?c@d") == "/a/b?c@d"
    assert public_address("s3://bucket/x/") == "s3://bucket/x"
    assert public_address("simplecache::https://me:pw@example.org/a") == "simplecache::https://example.org/a"
    message = f"cannot open {SECRETS[0]} nor {SECRETS[1]!r}: pa55w0rd-x is wrong"
    assert scrub(message, SECRETS[0]) == (
        "cannot open https://example.org/a/b nor 'https://example.org/a/b': *** is wrong"
    )
    assert scrub("GET /a/b?sig=abc failed", "https://example.org/a?sig=abc") == "GET /a/b failed"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    assert scrub("signed with wJalrXUtnFEMI") == "signed with ***"


@given(
    user=st.from_regex(r"[a-zA-Z0-9%._~-]{6,20}", fullmatch=True),
    password=st.from_regex(r"[!-~]{6,20}", fullmatch=True),
)
def test_no_password_survives_in_a_public_address(user: str, password: str) -> None:
    secret = password.replace("/", "_").replace("?", "_").replace("#", "_")
    shown = public_address(f"https://{user}:{secret}@example.org/corpora?key={user}")
    assert shown == "https://example.org/corpora"


def test_names_that_leave_their_folder_are_refused(corpus: Path, tmp_path: Path) -> None:
    for name in ("../x", "/x", "a//b", "a/../b", "a/.b", "", "a b", "a\\b", "a\n", "ä"):
        assert not safe_name(name), name
    assert safe_name("wikidata/en-hi")
    write_manifest(read_manifest(corpus).model_copy(update={"name": "../../elsewhere"}), corpus)
    with pytest.raises(TppcError, match="it cannot be published"):
        publish(corpus, str(tmp_path / "c"), catalogue=True)


def test_any_fsspec_address_takes_a_catalogue(corpus: Path, tmp_path: Path) -> None:
    place = f"memory://{tmp_path.name}/catalogue"
    assert publish(corpus, place, catalogue=True, check=True).new
    assert publish(corpus, place, version="1.0.1").new
    assert not publish(corpus, place, version="1.0.1").new
    assert pull("made/en-hi", place, tmp_path / "out")[1].version == "1.0.1"
    assert sorted(ObjectStore(place).names()) == ["catalog.json", "index.html", "made"]
    with pytest.raises(UsageError, match="nosuch:// cannot be opened here"):
        publish(corpus, "nosuch://bucket/x")


versions = st.tuples(*[st.integers(0, 99)] * 3).map(lambda n: ".".join(map(str, n)))


@given(st.lists(versions, min_size=1))
def test_the_newest_version_is_the_highest_by_numbers(found: list[str]) -> None:
    top = newest(found)
    assert top is not None
    assert all(order(v) <= order(top) for v in found)
    assert check_version(top) == top


def test_versions_follow_the_rule(corpus: Path, tmp_path: Path) -> None:
    assert [next_version("1.2.3", c) for c in ("repackaged", "added", "changed")] == ["1.2.4", "1.3.0", "2.0.0"]
    for wrong in ("1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "1.0.0\n", ""):
        with pytest.raises(UsageError, match=r"write MAJOR\.MINOR\.PATCH"):
            check_version(wrong)
    one = read_manifest(corpus)
    fewer = read_manifest(write_corpus(tmp_path / "f", {"train": ROWS[:49], "test": ROWS[50:]}))
    wider: Manifest = one.model_copy(update={"extra_columns": [("topic", "string")], "shards": fewer.shards})
    assert least_change(one, one) == "repackaged"
    assert least_change(one, fewer) == "changed"
    assert least_change(fewer, one) == "added"
    assert least_change(wider, one) == "changed"
