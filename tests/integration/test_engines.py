"""The same bytes whatever runs the tasks, wherever the corpus goes, and whoever is killed in the middle."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import command
from s3_server import new_bucket, s3_server, s3_variables
from snapshots import matrix_rows

from tppc.corpora.files import sha256_of_file
from tppc.corpora.manifest import read_manifest
from tppc.corpora.stores import ObjectStore

KILLS = int(os.environ.get("TPPC_CHAOS_KILLS", "3"))
PAIRS = ("en-hi", "en-mr", "en-ne")  # one alphabet, so that the same rows do for all
HOLDOUT = ("--holdout", "dev=20,test=20")


def digests(corpus: Path) -> dict[str, str]:
    """Digests of all files but the manifest and its seal, which hold a time."""
    files = {p.relative_to(corpus).as_posix(): p for p in sorted(corpus.rglob("*")) if p.is_file()}
    return {name: sha256_of_file(path) for name, path in files.items() if "manifest" not in name}


def digests_there(address: str) -> dict[str, str]:
    """The same of a corpus on a store."""
    import hashlib

    store = ObjectStore(address)
    names = [name for name in store.sizes() if "manifest" not in name]
    return {name: hashlib.sha256(b"".join(store.stream(name))).hexdigest() for name in sorted(names)}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with a file for each pair: rows with duplicates and rejects, each file a little different."""
    folder = tmp_path_factory.mktemp("mirror")
    for number, pair in enumerate(PAIRS):
        rows = matrix_rows(2_500 + 100 * number)
        rows += [(1.0, src.upper(), f" {tgt}") for _, src, tgt in rows[:: 7 + number]]
        rows += [(1.0, src, src) for _, src, _ in rows[::11]]
        lines = "".join(f"{score}\t{src}\t{tgt}\n" for score, src, tgt in rows)
        (folder / f"WikiMatrix.{pair}.tsv.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    # The rows are Hindi in every file.
    (folder / "recipe.toml").write_text("[language_id]\nenabled = false\n")
    return folder


def build_command(snapshots: Path, out: object, *more: object) -> list[str]:
    pairs = [word for pair in PAIRS for word in ("--pair", pair)]
    return command(
        "build",
        "wikimatrix",
        *pairs,
        "--from",
        snapshots,
        "--recipe",
        snapshots / "recipe.toml",
        "--out",
        out,
        *HOLDOUT,
        *more,
    )


def finished(*arguments: Any, **options: Any) -> None:
    """Run a command to its end, which must be a good one."""
    done = subprocess.run(build_command(*arguments), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr[-4_000:]


@pytest.fixture(scope="module")
def expected(snapshots: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What one worker makes, by pair."""
    out = tmp_path_factory.mktemp("one")
    finished(snapshots, out, "--workers", 1)
    made = {pair: digests(out / "wikimatrix" / pair) for pair in PAIRS}
    assert all(
        sum(name.endswith(".parquet") for name in files) == 4 for files in made.values()
    )  # and the held-out keys
    return made


def same_as(expected: dict[str, dict[str, str]], out: Path) -> None:
    for pair in PAIRS:
        assert digests(out / "wikimatrix" / pair) == expected[pair]
    assert {path.name for path in (out / ".work").iterdir()} <= {"wikimatrix.lock"}


def test_two_workers_make_the_same_bytes(snapshots: Path, expected: dict[str, dict[str, str]], tmp_path: Path) -> None:
    finished(snapshots, tmp_path, "--workers", 2)
    same_as(expected, tmp_path)


@pytest.mark.chaos
@pytest.mark.timeout(max(120, KILLS * 30))
def test_a_build_that_is_killed_again_and_again_ends_in_the_same_bytes(
    snapshots: Path, expected: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    run = build_command(snapshots, tmp_path, "--workers", 2)
    draw = random.Random()
    cut = 0
    for _ in range(KILLS):
        killed = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = set(tmp_path.glob(".work/wikimatrix/*"))
        # Into the tasks, which begin after the imports: until one more is begun or done, then any moment.
        while killed.poll() is None and set(tmp_path.glob(".work/wikimatrix/*")) <= before:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.5))
        cut += killed.poll() is None
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert cut > 0, "the build was over before it could be killed"
    finished(snapshots, tmp_path, "--workers", 2)
    same_as(expected, tmp_path)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """An S3 server; the variables by which it is found."""
    with s3_server() as url:
        yield s3_variables(url)


@pytest.fixture
def bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return new_bucket(s3["AWS_ENDPOINT_URL"], f"e{abs(hash(request.node.name)) % 10**12}")


@pytest.mark.chaos
def test_a_build_into_a_bucket_makes_the_same_bytes_also_after_a_kill(
    snapshots: Path, expected: dict[str, dict[str, str]], bucket: str, tmp_path: Path
) -> None:
    here = {**os.environ, "TMPDIR": str(tmp_path)}
    out = f"{bucket}/made"
    store = ObjectStore(bucket)
    killed = subprocess.Popen(
        build_command(snapshots, out, "--workers", 1), env=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while killed.poll() is None and not any("/clean-" in name and ".done" in name for name in store.sizes()):
        time.sleep(0.02)
    assert killed.poll() is None, "the build was over before it could be killed"
    killed.kill()
    killed.wait()
    there = {name for name in store.sizes() if name.endswith(".done.json")}
    assert not any(name.endswith("manifest.json") for name in store.sizes())
    # On another machine, which has nothing of what this one left in its folder of temporary files.
    other = tmp_path / "other"
    other.mkdir()
    finished(snapshots, out, "--workers", 1, env={**here, "TMPDIR": str(other)})
    assert there
    for pair in PAIRS:
        assert digests_there(f"{out}/wikimatrix/{pair}") == expected[pair]
    assert not any("/.work/" in name for name in store.sizes())
    assert not list(other.glob("tppc-work-*/*"))
    again = subprocess.run(
        build_command(snapshots, out, "--json"), env=here, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0
    assert "built already" in again.stderr
    assert f"{out}/wikimatrix/en-hi" in again.stdout


def test_a_place_in_a_bucket_that_holds_something_else_is_refused(snapshots: Path, bucket: str) -> None:
    ObjectStore(bucket).put("wikimatrix/en-hi/notes.txt", b"mine")
    done = subprocess.run(build_command(snapshots, bucket), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{bucket}/wikimatrix/en-hi: holds files that are no finished corpus" in done.stderr
    assert list(ObjectStore(bucket).sizes()) == ["wikimatrix/en-hi/notes.txt"]


@pytest.fixture(scope="module")
def cluster(s3: dict[str, str]) -> Iterator[Any]:
    """A Ray cluster of two node processes of this machine, with a core each."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    patch = pytest.MonkeyPatch()
    for name, value in s3.items():
        patch.setenv(name, value)
    patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    found = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20},
    )
    found.add_node(num_cpus=1, object_store_memory=80 << 20)
    try:
        yield found
    finally:
        found.shutdown()
        patch.undo()


def test_a_ray_cluster_makes_the_same_bytes_through_a_bucket(
    snapshots: Path, expected: dict[str, dict[str, str]], cluster: Any, bucket: str, tmp_path: Path
) -> None:
    # The nodes read no file of the driver: snapshots and outputs travel through the bucket.
    more = ("--engine", "ray", "--ray-address", cluster.address, "--work", f"{bucket}/work")
    finished(snapshots, f"{bucket}/made", *more)
    for pair in PAIRS:
        assert digests_there(f"{bucket}/made/wikimatrix/{pair}") == expected[pair]


@pytest.mark.chaos
def test_a_node_of_the_cluster_is_killed_and_the_build_ends_right(
    snapshots: Path, expected: dict[str, dict[str, str]], cluster: Any, tmp_path: Path
) -> None:
    doomed = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
    run = subprocess.Popen(
        build_command(snapshots, tmp_path, "--engine", "ray"),
        env={**os.environ, "RAY_ADDRESS": cluster.address},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while run.poll() is None and len(list(tmp_path.glob(".work/wikimatrix/clean-*"))) < 2:
        time.sleep(0.005)
    assert run.poll() is None, "the build was over before a node could be killed"
    cluster.remove_node(doomed, allow_graceful=False)
    _, told = run.communicate(timeout=100)
    assert run.returncode == 0, told[-4_000:]
    same_as(expected, tmp_path)
    assert read_manifest(tmp_path / "wikimatrix" / "en-hi").funnel.unaccounted() == 0
