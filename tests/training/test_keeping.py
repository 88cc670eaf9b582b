"""Runs that keep their start: what is frozen stays, what is saved is plain, and a resumed run ends with the same bits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from cipher import cipher_pairs
from factory import write_corpus
from safetensors.torch import load_file
from torch import Tensor

from tppc.encoders.load import load_encoder
from tppc.errors import TppcError, UsageError
from tppc.training.config import load_config
from tppc.training.tracking import read_metrics
from tppc.training.trainer import train

STEPS = 6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 train and 40 dev pairs of the cipher."""
    pairs = cipher_pairs(160, seed=3)
    return write_corpus(tmp_path_factory.mktemp("cipher"), {"train": pairs[:120], "dev": pairs[120:]}, "cipher/en-hi")


def settings(corpus: Path, **more: Any) -> Any:
    """A short run with dropout, whose every second step is saved and looked at."""
    how = {"corpora": [str(corpus)], "encoder": "scratch:tiny", "steps": STEPS, "save_every": 2, "keep": 9, "batch_size": 8,
           "log_every": 2, "precision": "fp32", "track": [], "warmup": 0}  # fmt: skip
    return load_config(None, how | more)


def weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of an encoder's folder."""
    return load_file(folder / "model.safetensors")


def changed(out: Path) -> set[str]:
    """Names of the tensors in which the result differs from the untouched start."""
    start, end = weights(out / "initial"), weights(out / "encoder")
    assert start.keys() == end.keys()
    return {name for name in start if not torch.equal(start[name], end[name])}


KINDS: dict[str, dict[str, Any]] = {
    "lora": {"lora": {"rank": 4}, "ema": 0.9, "l2_start": 5.0},
    "lora, a layer frozen": {"lora": {"rank": 2, "targets": "attention"}, "freeze_layers": 1},
    "frozen": {"freeze_layers": 1, "freeze_embeddings": True, "ema": 0.5},
    "pulled": {"l2_start": 50.0, "eval_every": 2, "eval_pairs": 30},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(corpus: Path, tmp_path: Path, kind: str) -> None:
    config = settings(corpus, **KINDS[kind])
    train(config, tmp_path / "whole")
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "whole", broken)
    for name in ("encoder", "checkpoints/step-000006", "checkpoints/step-000004"):
        shutil.rmtree(broken / name)
    train(config, broken, resume=True)
    one, two = weights(tmp_path / "whole" / "encoder"), weights(broken / "encoder")
    assert all(torch.equal(one[name], two[name]) for name in one)
    for file in sorted((broken / "checkpoints" / "step-000006").glob("*.safetensors")):
        before, after = load_file(tmp_path / "whole" / "checkpoints" / "step-000006" / file.name), load_file(file)
        assert all(torch.equal(before[name], after[name]) for name in before)
    kept = [[m.get("dev") for m in read_metrics(tmp_path / run)] for run in ("whole", "broken")]
    assert kept[0] == kept[1]


def test_frozen_layers_and_embeddings_stay_and_adapters_touch_nothing_else(corpus: Path, tmp_path: Path) -> None:
    train(settings(corpus, freeze_layers=1, freeze_embeddings=True), tmp_path / "frozen")
    assert changed(tmp_path / "frozen")
    assert all(name.startswith("encoder.layer.1.") for name in changed(tmp_path / "frozen"))
    train(settings(corpus, lora={"rank": 2, "targets": "attention"}), tmp_path / "lora")
    touched = changed(tmp_path / "lora")
    assert touched
    assert all(".attention." in name and name.endswith(("query.weight", "key.weight", "value.weight", "dense.weight"))
               for name in touched)  # fmt: skip
    assert load_encoder(str(tmp_path / "lora" / "encoder")).translation is not None


def test_the_saved_encoder_is_the_average_and_the_checkpoint_the_weights(corpus: Path, tmp_path: Path) -> None:
    train(settings(corpus, ema=0.9), tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "step-000006"
    mean, end = load_file(last / "ema.safetensors"), weights(last / "encoder")
    found = weights(tmp_path / "run" / "encoder")
    name = "encoder.layer.0.output.dense.weight"
    assert torch.equal(found[name], mean[f"encoder.{name}"])
    assert not torch.equal(found[name], end[name])


def test_a_pull_keeps_a_run_near_its_start(corpus: Path, tmp_path: Path) -> None:
    far = {}
    for strength in (1.0, 100.0):
        train(settings(corpus, l2_start=strength, dropout=False), tmp_path / str(strength))
        far[strength] = read_metrics(tmp_path / str(strength))[-1]["distance"]
    assert 0 < far[100.0] < far[1.0]


def test_looking_at_held_out_pairs_changes_no_weight(corpus: Path, tmp_path: Path) -> None:
    train(settings(corpus), tmp_path / "blind")
    train(settings(corpus, eval_every=1), tmp_path / "looking")
    one, two = (weights(tmp_path / run / "encoder") for run in ("blind", "looking"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(line["dev"]["en-hi"]["n"] == 40 for line in read_metrics(tmp_path / "looking"))
    start = json.loads((tmp_path / "looking" / "held_out_at_start.json").read_text())
    assert set(start["en-hi"]) == {"p@1", "mrr", "n"}


def test_another_start_is_refused_on_resume(corpus: Path, tmp_path: Path) -> None:
    config = settings(corpus, l2_start=5.0)
    train(config, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-000006")
    shutil.copyfile(
        tmp_path / "run" / "encoder" / "model.safetensors", tmp_path / "run" / "initial" / "model.safetensors"
    )
    with pytest.raises(TppcError, match="its weights are not those that the run started from"):
        train(config, tmp_path / "run", resume=True)


def test_what_cannot_be_done_is_said_before_anything_is_trained(corpus: Path, tmp_path: Path) -> None:
    for wrong, message in (
        ({"freeze_layers": 3}, "the encoder has 2 layers"),
        ({"freeze_layers": 2, "freeze_embeddings": True}, "nothing of the encoder is left to train"),
        ({"l2_start": 1e6}, "throws every weight beyond its start"),
    ):
        with pytest.raises(UsageError, match=message):
            train(settings(corpus, **wrong), tmp_path / "run")
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
