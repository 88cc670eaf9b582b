"""Any number of processes trains as one: the same losses, the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cipher import cipher_pairs
from factory import write_corpus
from safetensors.torch import load_file

from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.training.tracking import read_metrics

OPTIONS = ["--encoder", "scratch:tiny", "--batch-size", 17, "--steps", 12, "--precision", "fp32", "--no-dropout",
           "--log-every", 1]  # fmt: skip


def test_two_ranks_lose_step_by_step_what_one_process_loses(cipher, tmp_path: Path, tppc) -> None:  # type: ignore[no-untyped-def]
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        result = tppc("train", "--corpus", cipher, *OPTIONS, "--out", out, "--json", ranks=ranks)
        assert json.loads(result.stdout)["steps"] == 12  # one summary, from rank 0
    one, two = (read_metrics(tmp_path / str(ranks)) for ranks in (1, 2))
    assert [line["step"] for line in two] == list(range(1, 13))
    assert max(abs(a["loss"] - b["loss"]) for a, b in zip(one, two, strict=True)) < 1e-5
    assert one[-1]["loss"] < one[0]["loss"]


def test_an_error_on_two_ranks_is_one_sentence(cipher, tmp_path: Path, tppc) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "notes.txt").write_text("mine")
    result = tppc("train", "--corpus", cipher, *OPTIONS, "--out", tmp_path, ranks=2, check=False)
    assert result.returncode != 0
    assert result.stderr.count("the folder exists and is not empty") == 1
    for wrong, message in ((["--encoder", tmp_path / "none"], "no encoder there"), (["--lr", "inf"], "finite number")):
        arguments = ["train", "--corpus", cipher, *OPTIONS, *wrong, "--out", tmp_path / "run"]
        assert tppc(*arguments, ranks=2, check=False).stderr.count(message) == 1


# One launch a number of ranks that trains every objective in turn, from the same start.
EVERY_OBJECTIVE = """
import sys
from pathlib import Path
from tppc.training.config import load_config
from tppc.training.distribution import joined
from tppc.training.trainer import train

corpus, start, out, cases = sys.argv[1], sys.argv[2], Path(sys.argv[3]), eval(sys.argv[4])
with joined():
  for name, objectives, more in cases:
    settings = {"corpora": [corpus], "encoder": start, "objectives": objectives, "batch_size": 17, "steps": 5,
                "lr": 2e-4, "warmup": 0.2, "dropout": False, "precision": "fp32", "log_every": 1, "track": []}
    train(load_config(None, settings | more), out / name)
"""

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("tpp", {"tpp": {}}, {}),
    ("one", {"tpp": {"negatives": "one"}}, {}),
    ("corpus", {"tpp": {"negatives": "corpus"}}, {"projection": "linear"}),
    ("cosine", {"cosine": {}}, {}),
    ("infonce", {"infonce": {"margin": 0.2}}, {"hard_negatives": {"every": 2, "guard": 1.0}, "micro_tokens": 60}),
    ("ntxent", {"ntxent": {}}, {}),
    ("mlm", {"mlm": {}}, {}),
    ("tlm", {"tlm": {"whole_words": True}}, {"micro_tokens": 60}),
    ("identical", {"identical": {}}, {"micro_tokens": 60}),
    ("mean-variance", {"mean-variance": {"weight": 0.1}}, {}),
    ("together", {"tpp": {}, "mlm": {"weight": 0.1}, "mean-variance": {"weight": 0.1}}, {}),
    ("control", {"infonce": {}}, {"shuffled_pairs": True}),
]


@pytest.mark.timeout(400)
def test_one_two_and_three_ranks_train_alike(tmp_path: Path) -> None:
    pairs = [(f"{i % 7} {src}", f"{i % 7} {tgt}") for i, (src, tgt) in enumerate(cipher_pairs(200, seed=1))]
    corpus = write_corpus(tmp_path / "corpus", {"train": pairs}, "cipher/en-hi")
    start = tmp_path / "start"
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), start)
    script = tmp_path / "train.py"
    script.write_text(EVERY_OBJECTIVE)
    root = Path(__file__).parents[2]
    for ranks in (1, 2, 3):
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
        arguments = [str(script), str(corpus), str(start), str(tmp_path / str(ranks)), repr(CASES)]
        result = subprocess.run(
            [sys.executable, *launcher, *arguments], capture_output=True, text=True, check=False, cwd=root, timeout=240,
            env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
    before = load_file(start / "model.safetensors")
    for name, _, _ in CASES:
        runs = {ranks: tmp_path / str(ranks) / name for ranks in (1, 2, 3)}
        losses = {ranks: [line["loss"] for line in read_metrics(run)] for ranks, run in runs.items()}
        weights = {ranks: load_file(run / "encoder" / "model.safetensors") for ranks, run in runs.items()}
        moved = max(float((w - before[k]).abs().max()) for k, w in weights[1].items())
        assert len(losses[1]) == 5
        assert moved > 1e-4
        for ranks in (2, 3):
            for one, many in zip(losses[1], losses[ranks], strict=True):
                assert abs(one - many) < 2e-6 * max(1.0, abs(one)), (name, ranks, losses)
            apart = sum(float((w - weights[ranks][k]).square().sum()) for k, w in weights[1].items()) ** 0.5
            away = sum(float((w - before[k]).square().sum()) for k, w in weights[1].items()) ** 0.5
            assert apart < 0.002 * away, (name, ranks, apart, away)
