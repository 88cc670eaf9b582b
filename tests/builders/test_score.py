"""Scores by an encoder: the margin is the paper's, the same however it is computed, and what it refuses is told."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built import rejects
from commands import command
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshots import matrix_rows

from tppc.builders import clean as clean_module
from tppc.builders.build import build
from tppc.builders.recipe import Recipe, Score, load_recipe
from tppc.builders.score import _margin, scorer_for, windows
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair
from tppc.encoders.identity import digest_of_encoder
from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError, UsageError
from tppc.manifests.verify import verify

EN_HI = [Pair("en", "hi")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder that has learned nothing."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    save_encoder(make_encoder("scratch:tiny", [t for _, *texts in matrix_rows(300) for t in texts], 1), folder)
    return folder


def asking(encoder: Path, **more: Any) -> Recipe:
    return load_recipe(None, score={"encoder": str(encoder), "window": 300, "min": 2.4, **more})


def digests(corpus: Corpus) -> dict[str, str]:
    """Digests of all files but the manifest and its seal, which hold a time."""
    paths = sorted(p for p in corpus.path.rglob("*") if p.is_file() and "manifest" not in p.name)
    return {p.relative_to(corpus.path).as_posix(): sha256_of_file(p) for p in paths}


def by_definition(src: np.ndarray, tgt: np.ndarray, s_keys: np.ndarray, t_keys: np.ndarray, k: int) -> list[float]:
    """The margin of each pair, text by text."""

    def cos(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def around(i: int, own: np.ndarray, other: np.ndarray, one: np.ndarray, many: np.ndarray) -> list[float]:
        partners = {many[j] for j in range(len(one)) if one[j] == one[i]}
        others = {key: other[list(many).index(key)] for key in many if key not in partners}
        return sorted((cos(own[list(one).index(one[i])], v) for v in others.values()), reverse=True)[:k]

    found = []
    for i in range(len(src)):
        sides = around(i, src, tgt, s_keys, t_keys), around(i, tgt, src, t_keys, s_keys)
        if not all(sides):
            found.append(float("nan"))
        else:
            found.append(cos(src[i], tgt[i]) / max(sum(float(np.mean(side)) for side in sides) / 2, 0.01))
    return found


@given(st.integers(1, 14), st.integers(1, 5), st.integers(0, 1_000))
@settings(max_examples=60, deadline=None)
def test_the_margin_is_that_of_the_definition(n: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    s_keys, t_keys = random.integers(0, 6, n), random.integers(-3, 6, n)
    table = random.normal(size=(2, 10, 5)).astype(np.float32)
    src, tgt = table[0][s_keys], table[1][t_keys]
    found = _margin(src, tgt, s_keys, t_keys, Score(k=k, centre=False))
    np.testing.assert_allclose(found, by_definition(src, tgt, s_keys, t_keys, k), rtol=1e-3, atol=1e-4)


def test_copies_and_other_translations_are_no_reason_to_doubt_a_pair() -> None:
    random = np.random.default_rng(3)
    src = random.normal(size=(60, 64)).astype(np.float32)
    tgt = src + 0.3 * random.normal(size=src.shape).astype(np.float32)
    keys = np.arange(60)
    alone = _margin(src, tgt, keys, keys, Score())
    # Six more rows pair the first source text with as many wordings of its translation.
    more = np.concatenate([src, np.repeat(src[:1], 6, 0)]), np.concatenate([tgt, tgt[:1] + np.eye(64)[:6] / 50])
    among = _margin(*more, np.concatenate([keys, np.zeros(6, int)]), np.arange(66), Score())
    assert among[0] > 0.9 * alone[0]
    assert among.min() > 1
    wrong = _margin(src, np.roll(tgt, 1, 0), keys, keys, Score())
    assert (wrong < 0.5).mean() > 0.95


@given(st.integers(0, 5_000), st.integers(2, 700))
def test_windows_hold_every_row_once_and_are_of_one_size(rows: int, size: int) -> None:
    found = list(windows(rows, size))
    assert [row for start, stop in found for row in range(start, stop)] == list(range(rows))
    assert len(found) == -(-rows // size)
    assert not found or max(b - a for a, b in found) - min(b - a for a, b in found) <= 1


def test_rows_are_scored_refused_and_accounted_for(
    wikimatrix: Callable[..., Path], encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean_module, "_ROWS_PER_BUCKET", 400)
    folder = wikimatrix(matrix_rows(800))
    moved = tmp_path / "elsewhere"
    shutil.copytree(encoder, moved)
    (moved / "README.md").write_text("a card decides nothing")
    made: list[Corpus] = []
    for workers, where, out in ((1, encoder, "one"), (2, moved, "two")):
        recipe = asking(where)
        made += build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / out, recipe=recipe, workers=workers)
        assert verify(made[-1].path) == []
    assert (
        digests(made[0])["data/en-hi/train-00000-of-00001.parquet"]
        == digests(made[1])["data/en-hi/train-00000-of-00001.parquet"]
    )
    assert made[0].digest == made[1].digest
    manifest = made[0].manifest
    refused = manifest.funnel.rejected["similarity"]
    assert 0 < refused < 800
    assert manifest.funnel.unaccounted() == 0
    values = made[0].scan("train").collect()["similarity"]
    assert values.null_count() == 0
    assert values.min() >= np.float32(2.4)  # type: ignore[operator]
    told = rejects(made[0])["similarity"]
    assert len(told) == min(refused, 1_000)
    assert all(float(row["detail"].removeprefix("margin ")) < 2.4 for row in told)
    assert manifest.encoder["sha256"] == manifest.recipe["score"]["sha256"] == digest_of_encoder(encoder)
    assert manifest.recipe["score"]["encoder"] is None
    assert str(tmp_path) not in (made[0].path / "manifest.json").read_text()


def test_a_build_killed_while_it_scores_ends_in_the_same_bytes(
    wikimatrix: Callable[..., Path], encoder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = wikimatrix(matrix_rows(1_000))
    (tmp_path / "recipe.toml").write_text("[score]\nwindow = 50\nmin = 2.4\n")
    words = ["build", "wikimatrix", "--pair", "en-hi", "--from", folder, "--score-with", encoder]
    out = tmp_path / "out"
    words += ["--recipe", tmp_path / "recipe.toml", "--out", out]
    killed = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (found := list(out.glob(".work/*/.resumable-score-*/window-*.npy"))) and time.monotonic() < deadline:
        assert killed.poll() is None, "the build was over before it could be killed"
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert found
    recipe = load_recipe(tmp_path / "recipe.toml", score={"encoder": str(encoder)})
    (one,) = build("wikimatrix", EN_HI, origin=str(folder), out=out, recipe=recipe)
    assert "score: margin by tiny on" in capfd.readouterr().err
    (other,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "whole", recipe=recipe)
    assert one.digest == other.digest
    assert digests(one)["rejects.jsonl.gz"] == digests(other)["rejects.jsonl.gz"]


def test_settings_that_do_not_fit_the_encoder_are_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say how probable"):
        scorer_for(Score(encoder=str(encoder), kind="probability"))
    with pytest.raises(UsageError, match=r"set score\.min"):
        scorer_for(Score(encoder=str(encoder), kind="cosine"))
    with pytest.raises(TppcError, match="but the recipe asks for 0000"):
        scorer_for(Score(encoder=str(encoder), sha256="0" * 64))
    with pytest.raises(UsageError, match="--score-with"):
        scorer_for(Score(sha256="0" * 64))
    with pytest.raises(TppcError, match=r"no config\.json"):
        scorer_for(Score(encoder=str(tmp_path / "none")))
    assert scorer_for(Score()) is None
    assert scorer_for(Score(encoder=str(encoder), kind="cosine", drop=False)) is not None


def test_the_plan_shows_what_is_settled(encoder: Path) -> None:
    words = command("build", "wikimatrix", "--pair", "en-hi", "--score-with", encoder, "--dry-run")
    plan = subprocess.run(words, capture_output=True, text=True, check=False)
    assert plan.returncode == 0, plan.stderr
    shown = json.loads(plan.stdout)["recipe"]["score"]
    assert (shown["kind"], shown["min"], shown["encoder"]) == ("margin", 0.53, None)
    assert shown["sha256"] == digest_of_encoder(encoder)
