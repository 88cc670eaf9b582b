"""The Hub's real client against a server that speaks the Hub's protocol, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import command
from factory import write_corpus
from hub_server import TOKEN, Hub, running_hub

from tppc.corpora.manifest import read_manifest
from tppc.errors import UsageError
from tppc.manifests.publication import publish
from tppc.manifests.verify import verify

ROWS = [(f"The house number {i} is old.", f"मकान संख्या {i} पुराना है।") for i in range(40)]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        yield server


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", {"train": ROWS[:30], "test": ROWS[30:]})


def run(hub: Hub, tmp_path: Path, *arguments: object, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """The command line, with this hub in place of the real one and nothing of the user's own settings."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": token,
    }
    return subprocess.run(
        command(*arguments), env=environment, capture_output=True, text=True, check=False, timeout=100
    )


def test_a_corpus_becomes_one_commit_and_a_tag_and_comes_back(hub: Hub, corpus: Path, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "manifests", "publish", corpus, "--to", "hf://datasets/me/pairs", "--check", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] is True
    repository = hub.repositories["me/pairs"]
    assert repository.messages == ["initial commit", "made/en-hi 1.0.0"]
    assert repository.tags == {"1.0.0": repository.head}
    assert not repository.private
    files = {p.relative_to(corpus).as_posix(): p.read_bytes() for p in corpus.rglob("*") if p.is_file()}
    tree = repository.commits[repository.head]
    assert {path: data for path, (data, _) in tree.items() if path != ".gitattributes"} == files
    assert {path for path, (_, lfs) in tree.items() if lfs} == {p for p in files if p.endswith(".parquet")}
    pulled = run(
        hub,
        tmp_path,
        "corpora",
        "pull",
        "made/en-hi@1.0.0",
        "--from",
        "hf://datasets/me/pairs",
        "--out",
        tmp_path / "o",
    )
    assert pulled.returncode == 0, pulled.stderr
    assert verify(tmp_path / "o" / "made" / "en-hi") == []
    remote = run(hub, tmp_path, "manifests", "verify", "hf://datasets/me/pairs")
    assert remote.returncode == 0, remote.stdout + remote.stderr
    assert TOKEN not in done.stdout + done.stderr + pulled.stdout + pulled.stderr + json.dumps(
        [data.decode(errors="replace") for data, _ in tree.values()]
    )


def test_the_same_again_commits_nothing_and_another_corpus_is_refused(hub: Hub, corpus: Path, tmp_path: Path) -> None:
    target = ("--to", "hf://datasets/me/pairs")
    assert run(hub, tmp_path, "manifests", "publish", corpus, *target, "--private").returncode == 0
    repository = hub.repositories["me/pairs"]
    assert repository.private
    again = run(hub, tmp_path, "manifests", "publish", corpus, *target)
    assert again.returncode == 0, again.stderr
    assert "published already, nothing was done" in again.stdout
    assert len(repository.messages) == 2
    other = write_corpus(tmp_path / "other", {"train": ROWS})
    refused = run(hub, tmp_path, "manifests", "publish", other, *target)
    assert refused.returncode == 1
    assert read_manifest(corpus).build_digest in refused.stderr
    assert read_manifest(other).build_digest in refused.stderr
    assert "raise it with --version" in refused.stderr
    assert len(repository.messages) == 2
    higher = run(hub, tmp_path, "manifests", "publish", other, *target, "--version", "2.0.0")
    assert higher.returncode == 0, higher.stderr
    head = repository.commits[repository.head]
    assert sorted(p for p in head if p.startswith("data/")) == ["data/en-hi/train-00000-of-00001.parquet"]
    assert list(repository.tags) == ["1.0.0", "2.0.0"]
    assert "data/en-hi/test-00000-of-00001.parquet" in repository.commits[repository.tags["1.0.0"]]


def test_a_publish_that_failed_on_the_way_shows_nothing_and_goes_on(hub: Hub, corpus: Path, tmp_path: Path) -> None:
    target = ("--to", "hf://datasets/me/pairs")
    hub.fail = ["POST .*/commit/main"]
    failed = run(hub, tmp_path, "manifests", "publish", corpus, *target)
    assert failed.returncode == 1
    assert "hf://datasets/me/pairs: cannot be published to" in failed.stderr
    repository = hub.repositories["me/pairs"]
    assert list(repository.commits[repository.head]) == [".gitattributes"]
    hub.fail = ["POST .*/tag/"]
    assert run(hub, tmp_path, "manifests", "publish", corpus, *target).returncode == 1
    assert repository.tags == {}
    assert run(hub, tmp_path, "manifests", "publish", corpus, *target).returncode == 0
    assert repository.tags == {"1.0.0": repository.head}
    assert len(repository.messages) == 2
    uploads = [line for line in hub.requests if line.startswith("PUT /lfs/")]
    assert len(uploads) == len(set(uploads)) == 2  # what had arrived before the failure was not sent again


def test_a_refused_token_is_not_printed(hub: Hub, corpus: Path, tmp_path: Path) -> None:
    wrong = "hf_wrongSecretToken9876"
    for flag in ([], ["--debug"]):
        target = ("--to", "hf://datasets/me/pairs")
        refused = run(hub, tmp_path, "manifests", "publish", corpus, *target, *flag, token=wrong)
        assert refused.returncode == 1
        assert wrong not in refused.stdout + refused.stderr
        assert "401" in refused.stderr


@pytest.mark.parametrize("address", ["hf://me/pairs", "hf://datasets/pairs", "hf://user:pw123456@datasets/me/pairs"])
def test_other_addresses_are_refused(corpus: Path, address: str) -> None:
    with pytest.raises(UsageError, match="write hf://datasets/USER/NAME") as refused:
        publish(corpus, address)
    assert "pw123456" not in str(refused.value)


def test_a_dataset_is_no_catalogue(corpus: Path) -> None:
    with pytest.raises(UsageError, match="a dataset of the Hub holds one corpus"):
        publish(corpus, "hf://datasets/me/pairs", catalogue=True)
