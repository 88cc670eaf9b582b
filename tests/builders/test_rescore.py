"""A corpus is cleaned by the model that it trained."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from built import rejects
from cipher import cipher_pairs
from commands import command
from factory import write_corpus

from tppc.builders.recipe import Score, load_recipe
from tppc.builders.rescore import rescore
from tppc.corpora.corpus import Corpus
from tppc.encoders.load import load_encoder
from tppc.errors import TppcError, UsageError
from tppc.manifests.verify import verify
from tppc.training.config import load_config
from tppc.training.trainer import train

WRONG = 200


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """1,800 right pairs, 200 whose target texts went to the next source text, and 100 that are held out."""
    pairs = cipher_pairs(2_100, seed=1)
    wrong = [(pairs[i][0], pairs[(i + 1) % WRONG][1]) for i in range(WRONG)]
    folder = tmp_path_factory.mktemp("noisy") / "noisy"
    return Corpus(write_corpus(folder, {"train": wrong + pairs[WRONG:2_000], "test": pairs[2_000:]}))


@pytest.fixture(scope="module")
def trained(noisy: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder that Translation Pair Prediction makes of that corpus."""
    settings = {"corpora": [str(noisy.path)], "encoder": "scratch:tiny", "steps": 160, "batch_size": 64}
    return train(load_config(None, settings), tmp_path_factory.mktemp("runs") / "run").encoder


def kept(corpus: Corpus) -> tuple[int, int]:
    """Right and wrong pairs in train."""
    numbers = corpus.scan("train").collect()["source_id"].cast(int)
    return int((numbers >= WRONG).sum()), int((numbers < WRONG).sum())


def test_the_model_finds_the_wrong_pairs_of_the_corpus_that_trained_it(
    noisy: Corpus, trained: Path, tmp_path: Path
) -> None:
    head = load_encoder(str(trained)).translation
    assert head is not None
    assert head.scale > 0
    found = rescore(noisy, tmp_path / "clean", Score(encoder=str(trained)), name="clean/en-hi")
    assert verify(found.path) == []
    manifest = found.manifest
    assert manifest.recipe["score"]["kind"] == "probability"
    assert [p.build_digest for p in manifest.parents] == [noisy.digest]
    right, wrong = kept(found)
    assert right > 0.95 * 1_800
    assert wrong < 0.3 * WRONG  # it has been told that they are translations, and believes the likeliest
    assert manifest.funnel.read == 2_100
    assert manifest.funnel.rejected == {"similarity": 2_000 - right - wrong}
    assert manifest.funnel.kept == {"train": right + wrong, "test": 100}
    rows = found.scan("train").collect()
    assert 0.5 <= rows["similarity"].min() <= rows["similarity"].max() <= 1  # type: ignore[operator]
    assert found.scan("test").collect()["similarity"].null_count() == 0
    assert all(float(r["detail"].removeprefix("probability ")) < 0.5 for r in rejects(found)["similarity"])
    before = {r["source_id"]: r for r in noisy.scan("train").collect().drop("similarity").to_dicts()}
    assert all(before[r.pop("source_id")].items() >= r.items() for r in rows.drop("similarity").to_dicts())


def test_the_margin_of_the_same_encoder_finds_them_too(noisy: Corpus, trained: Path, tmp_path: Path) -> None:
    found = rescore(noisy, tmp_path / "clean", Score(encoder=str(trained), kind="margin", min=1.2))
    right, wrong = kept(found)
    assert right > 0.95 * 1_800
    assert wrong < 0.1 * WRONG


def test_every_row_can_be_kept_and_a_corpus_that_stands_is_left(
    noisy: Corpus, trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Score(encoder=str(trained), drop=False, window=150)
    found = rescore(noisy, tmp_path / "all", settings)
    assert kept(found) == (1_800, WRONG)
    numbers = found.scan("train").collect()
    low = numbers.filter(numbers["source_id"].cast(int) < WRONG)["similarity"].median()
    assert low < numbers["similarity"].median()  # type: ignore[operator]
    capfd.readouterr()
    rescore(noisy, tmp_path / "all", settings)
    assert "left as it is" in capfd.readouterr().err
    with pytest.raises(TppcError, match="holds another corpus"):
        rescore(noisy, tmp_path / "all", Score(encoder=str(trained), min=0.9))
    with pytest.raises(UsageError, match="name one with --with"):
        rescore(noisy, tmp_path / "none", Score())


def test_workers_and_kills_change_no_byte(noisy: Corpus, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("[score]\nwindow = 40\nkind = 'margin'\nmin = 1.5\n")
    words = ["corpora", "score", noisy.path, "--with", trained, "--recipe", tmp_path / "recipe.toml", "--name", "a/b"]
    killed = subprocess.Popen(
        command(*words, "--out", tmp_path / "one"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".one.work/.resumable-*/window-*")) and time.monotonic() < deadline:
        assert killed.poll() is None, "it was over before it could be killed"
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = subprocess.run(command(*words, "--out", tmp_path / "one"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "- similarity" in done.stdout
    settings = load_recipe(tmp_path / "recipe.toml", score={"encoder": str(trained)}).score
    one, two = Corpus(tmp_path / "one"), rescore(noisy, tmp_path / "two", settings, name="a/b", workers=2)
    assert one.digest == two.digest
    for name in ("rejects.jsonl.gz", one.shards("train")[0].path):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert np.isfinite(one.scan("train").collect()["similarity"].to_numpy()).all()
    assert [p.name for p in tmp_path.glob(".*.work")] == []
