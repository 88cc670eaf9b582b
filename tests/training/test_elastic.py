"""A run goes on with another number of processes: the pairs, and without dropout the losses, are those to come."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cipher import cipher_pairs
from factory import write_corpus

from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.training import trainer
from tppc.training.batching import TokenBatch
from tppc.training.checkpoints import checkpoints
from tppc.training.config import load_config
from tppc.training.distribution import joined
from tppc.training.step import Seen
from tppc.training.tracking import read_metrics

STEPS, KEPT = 10, 7


def run_all(config: dict[str, Any], outs: list[Path]) -> None:
    """Go on with the runs that are there and begin the others; `<run>.json` says which pairs each step was made of."""
    inner, ids = trainer.forward_backward, {}

    def watched(model: Any, batch: TokenBatch, seed: int) -> Seen:
        ids[batch.step] = batch.ids
        return inner(model, batch, seed)

    with pytest.MonkeyPatch.context() as patch, joined() as ranks:
        patch.setattr(trainer, "forward_backward", watched)
        for out in outs:
            ids.clear()
            trainer.train(load_config(None, config), out, resume=out.exists())
            if ranks.main:
                Path(f"{out}.json").write_text(json.dumps(ids))


def read(out: Path) -> dict[str, Any]:
    """Pairs by step, losses by step, and the weights of a run that has just ended."""
    return {
        "ids": {int(step): ids for step, ids in json.loads(Path(f"{out}.json").read_text()).items()},
        "losses": [line["loss"] for line in read_metrics(out)],
        "weights": (out / "encoder" / "model.safetensors").read_bytes(),
    }


def cut_back(run: Path, out: Path) -> Path:
    """A copy of a run as it would be had it been killed after step 7, which is in the second stage."""
    shutil.copytree(run, out)
    shutil.rmtree(out / "encoder")
    for folder in checkpoints(out):
        if folder.name != f"step-{KEPT:06d}":
            shutil.rmtree(folder)
    return out


@pytest.mark.timeout(300)
def test_a_curriculum_goes_on_in_its_second_stage_on_another_number_of_processes(tmp_path: Path) -> None:
    pairs = cipher_pairs(160, seed=3)
    corpora = [
        write_corpus(tmp_path / name, {"train": rows}, f"{name}/en-hi")
        for name, rows in (("tatoeba", pairs[:60]), ("wikidata", pairs[60:]))
    ]
    start = tmp_path / "start"
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), start)
    for side, code in enumerate(("en", "hi")):
        (tmp_path / code).write_text("\n".join(pair[side] for pair in pairs), "utf-8")
    config = {
        "corpora": [str(c) for c in corpora], "curriculum": "tatoeba,wikidata", "encoder": str(start), "steps": 5,
        "batch_size": 17, "lr": 1e-3, "warmup": 2, "save_every": KEPT, "keep": 99, "log_every": 1, "track": [],
        "precision": "fp32", "dropout": False, "monolingual_batch": 11,
        "monolingual": [{"language": code, "path": str(tmp_path / code)} for code in ("en", "hi")],
        "objectives": {"tpp": {}, "mlm": {"weight": 0.1}, "mean-variance": {"weight": 0.1}},
    }  # fmt: skip
    run_all(config, [tmp_path / "one"])
    root = Path(__file__).parents[2]
    outs = [tmp_path / "two", cut_back(tmp_path / "one", tmp_path / "one-two")]
    two_of_this = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    result = subprocess.run(
        [*two_of_this, json.dumps(config), *map(str, outs)], capture_output=True, text=True, check=False, timeout=250,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    run_all(
        config, [cut_back(tmp_path / "one", tmp_path / "one-one"), cut_back(tmp_path / "two", tmp_path / "two-one")]
    )
    whole, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert [sorted({one.split(":")[0] for one in whole["ids"][step]}) for step in (4, 5)] == [["tatoeba"], ["wikidata"]]
    assert two["ids"] == whole["ids"]
    assert two["losses"] == pytest.approx(whole["losses"], rel=1e-5)
    for name in ("one-one", "one-two", "two-one"):
        found = read(tmp_path / name)
        assert found["ids"] == {step: whole["ids"][step] for step in range(KEPT, STEPS)}, name
        assert found["losses"] == pytest.approx(whole["losses"], rel=1e-5), name
    assert read(tmp_path / "one-one")["losses"] == whole["losses"]
    assert read(tmp_path / "one-one")["weights"] == whole["weights"]


if __name__ == "__main__":  # under torchrun
    run_all(json.loads(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
