"""Mined negatives: near, but no translation, never of a pair that shares a text; kept, so that a resumed run has them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from cipher import cipher_pairs
from factory import write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError, UsageError
from tppc.training import trainer
from tppc.training.config import load_config
from tppc.training.mining import HardNegatives, choose, load_mined, mined_file
from tppc.training.trainer import train

ALIKE = HardNegatives(every=1, guard=0.95, neighbours=16)


def angles(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane."""
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1).astype(np.float32)


def test_the_nearest_target_of_another_pair_is_taken() -> None:
    src, tgt = angles(0, 100, 200), angles(10, 60, 230)
    keys = np.arange(3)
    # Source 0 (0 degrees) is nearest to target 1 (60), source 1 (100) to 1 itself, then 0 (10, 90 degrees away).
    assert choose(src, tgt, keys, keys + 10, ALIKE).tolist() == [1, 0, 1]


def test_a_target_as_near_as_the_own_one_is_likely_a_translation() -> None:
    src, tgt = angles(0, 90, 180), angles(20, 12, 50)
    keys = np.arange(3)
    # For source 0, target 1 (12 degrees) is nearer than its own (20): passed over for target 2 (50 degrees).
    assert choose(src, tgt, keys, keys + 10, ALIKE)[0] == 2
    # cos 50 = 0.64 against 0.7 cos 20 = 0.66 passes, against 0.65 cos 20 = 0.61 it does not.
    for guard, taken in ((0.7, 2), (0.65, -1)):
        how = HardNegatives(every=1, guard=guard)
        assert choose(src, tgt, keys, keys + 10, how)[0] == taken


@pytest.mark.parametrize("side", ["source", "target", "crossed", "crossed back"])
def test_a_pair_that_shares_a_text_gives_no_negative(side: str) -> None:
    src, tgt = angles(0, 90, 180), angles(5, 40, 80)
    src_key, tgt_key = np.array([1, 2, 3]), np.array([11, 12, 13])
    assert choose(src, tgt, src_key, tgt_key, ALIKE)[0] == 1
    if side == "source":
        src_key[1] = src_key[0]
    elif side == "target":
        tgt_key[1] = tgt_key[0]
    elif side == "crossed":
        tgt_key[1] = src_key[0]
    else:
        src_key[1] = tgt_key[0]
    assert choose(src, tgt, src_key, tgt_key, ALIKE)[0] == 2


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 40), texts=st.integers(1, 30), seed=st.integers(0, 999), guard=st.sampled_from([0.5, 1.0]))
def test_the_guards_hold_whatever_the_vectors(count: int, texts: int, seed: int, guard: float) -> None:
    random = np.random.default_rng(seed)
    src, tgt = (random.normal(size=(count, 3)).astype(np.float32) for _ in range(2))
    src_key, tgt_key = random.integers(0, texts, (2, count))
    how = HardNegatives(every=1, guard=guard, neighbours=count)
    chosen = choose(src, tgt, src_key, tgt_key, how)
    left, right = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (src, tgt))
    cosines = left @ right.T
    for i, j in enumerate(chosen):
        free = [
            k for k in range(count)
            if not {src_key[i], tgt_key[i]} & {src_key[k], tgt_key[k]} and cosines[i, k] < guard * cosines[i, i] - 1e-6
        ]  # fmt: skip
        if j < 0:
            assert not free
        else:
            assert not {src_key[i], tgt_key[i]} & {src_key[j], tgt_key[j]}
            assert cosines[i, j] < guard * cosines[i, i] + 1e-6
            assert cosines[i, j] >= max((cosines[i, k] for k in free), default=-1.0) - 1e-6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus of 120 pairs and an encoder to start with."""
    folder = tmp_path_factory.mktemp("mining")
    pairs = cipher_pairs(120, seed=3)
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), folder / "start")
    return write_corpus(folder / "corpus", {"train": pairs}, "cipher/en-hi"), folder / "start"


def config(made: tuple[Path, Path], **more: Any) -> Any:
    how = {
        "corpora": [str(made[0])], "encoder": str(made[1]), "objectives": {"infonce": {}}, "steps": 7, "batch_size": 16,
        "warmup": 0, "lr": 1e-3, "save_every": 3, "keep": 9, "log_every": 1, "track": [], "precision": "fp32",
        "hard_negatives": {"every": 4, "guard": 1.0},
    }  # fmt: skip
    return load_config(None, how | more)


def test_a_resumed_run_reads_what_was_mined_and_ends_with_the_same_bits(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "forget_mined", lambda out: None)  # what a killed run leaves
    train(config(made), tmp_path / "whole")
    mined = {mined_file(tmp_path / "whole", first) for first in (0, 4)}
    assert set((tmp_path / "whole" / "mined").iterdir()) == mined
    later = load_mined(tmp_path / "whole", 4, 16)
    assert [len(batch.text) for batch in later] == [16, 16, 16]
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    for name in ("encoder", "checkpoints/step-000006", "checkpoints/step-000007"):
        shutil.rmtree(tmp_path / "broken" / name)
    before = mined_file(tmp_path / "broken", 0).stat().st_mtime_ns
    mined_file(tmp_path / "broken", 4).unlink()  # mined again, at step 4, with the same weights
    monkeypatch.undo()
    seen = []
    forget = trainer.forget_mined

    def watched(out: Path) -> None:
        seen.append((mined_file(out, 0).stat().st_mtime_ns, mined_file(out, 4).read_bytes()))
        forget(out)

    monkeypatch.setattr(trainer, "forget_mined", watched)
    train(config(made), tmp_path / "broken", resume=True)
    assert seen == [(before, mined_file(tmp_path / "whole", 4).read_bytes())]
    assert not (tmp_path / "broken" / "mined").exists()
    one, two = ((tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "broken"))
    assert one == two


def test_what_was_mined_decides_the_weights_and_a_damaged_file_is_named(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "forget_mined", lambda out: None)
    train(config(made), tmp_path / "run")
    end = (tmp_path / "run" / "encoder" / "model.safetensors").read_bytes()
    for name in ("encoder", "checkpoints/step-000006", "checkpoints/step-000007"):
        shutil.rmtree(tmp_path / "run" / name)
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    file = mined_file(tmp_path / "other", 4)
    table = pq.read_table(file)
    order = np.roll(np.arange(table.num_rows), 1)
    pq.write_table(table.take(order), file)
    train(config(made), tmp_path / "other", resume=True)
    assert (tmp_path / "other" / "encoder" / "model.safetensors").read_bytes() != end
    file = mined_file(tmp_path / "run", 0)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(TppcError, match=r"mined/step-000000\.parquet: unreadable .*delete it"):
        train(config(made), tmp_path / "run", resume=True)


def test_no_mined_target_shares_a_text_with_its_source(tmp_path: Path) -> None:
    # Six sources with five translations each: most neighbours are translations.
    pairs = [(f"text {i % 6}", f"ट{i}") for i in range(30)]
    corpus = write_corpus(tmp_path / "corpus", {"train": pairs}, "cipher/en-hi")
    how = {"encoder": "scratch:tiny", "hard_negatives": {"every": 3, "guard": 1.0, "neighbours": 30}, "steps": 3}
    seen = []
    original = trainer.forward_backward

    def watched(model: Any, batch: Any, seed: int) -> Any:
        seen.append(batch)
        return original(model, batch, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "forward_backward", watched)
        train(config((corpus, tmp_path), **how), tmp_path / "run")
    assert len(seen) == 3
    for batch in seen:
        assert batch.sides == ("src", "tgt", "hard")
        usable = batch.hard_usable
        assert not bool((usable & (batch.src_key == batch.hard_src_key)).any())
        assert not bool((usable & (batch.tgt_key == batch.hard_tgt_key)).any())
    assert bool(torch.cat([batch.hard_usable for batch in seen]).any())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"shuffled_pairs": True}, "hard_negatives: a control has no translations"),
        ({"objectives": {"ntxent": {}}}, "hard_negatives are for cosine, infonce, tpp with all negatives"),
        ({"objectives": {"tpp": {"negatives": "one"}}}, "hard_negatives are for"),
        ({"hard_negatives": {"every": 0}}, r"hard_negatives\.every: .*greater than or equal to 1"),
        ({"hard_negatives": {"every": 2, "guard": 1.5}}, r"hard_negatives\.guard"),
    ],
)
def test_settings_that_do_not_fit_are_refused(made: tuple[Path, Path], more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config(made, **more)


def test_a_pool_that_does_not_fit_into_memory_is_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    much = config(made, hard_negatives={"every": 50_000}, batch_size=64)
    with pytest.raises(UsageError, match=r"searched among 3,200,000 pairs at once; mine at least every 7812 steps"):
        train(much, tmp_path / "run")
    assert not (tmp_path / "run").exists()
