"""Two processes train as one: the same losses, the same gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

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


GRADIENTS = """
import sys, json, torch
from tppc.training import objectives
from tppc.training.distribution import joined, gather_rows
from tppc.training.objectives import GlobalPairs, false_negatives

N, H = 7, 6
torch.manual_seed(0)
texts = torch.randn(N, 3, 5)
src_key = torch.tensor([1, 2, 3, 1, 5, 6, 7]); tgt_key = torch.tensor([11, 12, 13, 14, 12, 16, 7])
CASES = [("tpp", {}), ("tpp", {"negatives": "one"}), ("tpp", {"negatives": "corpus"}), ("infonce", {})]

class Model(torch.nn.Module):
    def __init__(self, ranks, name, settings):
        super().__init__()
        self.ranks, self.layer = ranks, torch.nn.Linear(5, H)
        self.objective = objectives.build(name, objectives.parse_settings(name, settings), H)

    def forward(self, local):
        everything = gather_rows(self.ranks, self.layer(local), N)
        rows = torch.arange(self.ranks.rank, N, self.ranks.world)
        usable = torch.tensor([True] * 6 + [False])
        masked = false_negatives(src_key, tgt_key)
        pairs = GlobalPairs(everything[:, 0], everything[:, 1], rows, masked, 9, everything[:, 2], usable)
        return self.objective(pairs).loss

def gradients(ranks, name, settings):
    torch.manual_seed(1)
    model = Model(ranks, name, settings).double()
    replica = torch.nn.parallel.DistributedDataParallel(model) if ranks.world > 1 else model
    (replica(texts[ranks.rank :: ranks.world].double()) * ranks.world).backward()
    return [p.grad.flatten().tolist() for p in model.parameters()]

with joined("cpu") as ranks:
    results = {str(case): gradients(ranks, *case) for case in CASES}
    if ranks.main:
        print(json.dumps(results))
"""


def test_gradients_of_three_ranks_are_those_of_one_process(tmp_path: Path) -> None:
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    root = Path(__file__).parents[2]
    found = []
    for start in ([], launcher):
        result = subprocess.run(
            [sys.executable, *start, str(script)], capture_output=True, text=True, check=False, cwd=root, timeout=120,
            env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        found.append(json.loads(result.stdout.splitlines()[-1]))
    for case in found[0]:
        for one, many in zip(found[0][case], found[1][case], strict=True):
            torch.testing.assert_close(torch.tensor(one), torch.tensor(many), rtol=1e-6, atol=1e-9)
            assert torch.tensor(one).abs().sum() > 0
