"""Every objective that should teach translation teaches it: a cipher language, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tppc.corpora.corpus import Corpus
from tppc.encoders.embed import embed
from tppc.encoders.load import load_encoder, save_encoder
from tppc.encoders.neighbours import nearest
from tppc.encoders.scratch import make_encoder
from tppc.training.config import load_config
from tppc.training.trainer import train


@pytest.fixture(scope="module")
def start(cipher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of two layers that knows the cipher's letters and nothing else."""
    rows = Corpus(cipher).scan("train").collect()
    folder = tmp_path_factory.mktemp("start")
    save_encoder(make_encoder("scratch:tiny", [*rows["src_text"], *rows["tgt_text"]], 1), folder)
    return folder


def retrieval(encoder: Path, corpus: Path) -> float:
    """P@1 among the 500 test pairs, which no run has seen."""
    rows, loaded = Corpus(corpus).scan("test").collect(), load_encoder(str(encoder))
    src, tgt = embed(loaded, rows["src_text"].to_list()), embed(loaded, rows["tgt_text"].to_list())
    return float((nearest(src, tgt, 1)[1][:, 0] == np.arange(len(rows))).mean())


WORKING: dict[str, dict[str, Any]] = {
    "tpp": {"objectives": {"tpp": {}}},
    "cosine": {"objectives": {"cosine": {}}},
    "infonce": {"objectives": {"infonce": {}}},
    "ntxent": {"objectives": {"ntxent": {}}},
    "tpp in pieces": {"objectives": {"tpp": {}}, "micro_tokens": 500},
    "infonce with hard negatives": {"objectives": {"infonce": {}}, "hard_negatives": {"every": 20}},
}


@pytest.mark.parametrize("kind", WORKING)
def test_the_cipher_is_learned(cipher: Path, start: Path, tmp_path: Path, kind: str) -> None:
    how = {
        "corpora": [str(cipher)], "encoder": str(start), "steps": 35, "batch_size": 64, "lr": 4e-3, "warmup": 5,
        "log_every": 35, "track": [], "dropout": False, "precision": "fp32",
    }  # fmt: skip
    done = train(load_config(None, how | WORKING[kind]), tmp_path / "run")
    assert retrieval(start, cipher) < 0.05
    assert retrieval(done.encoder, cipher) >= 0.95
    assert done.last["alarms"] == []
