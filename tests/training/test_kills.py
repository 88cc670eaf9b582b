"""kill -9 wherever it hits, also in the middle of a save: the resumed run ends with the bits of an unbroken one."""

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

from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.training.checkpoints import checkpoints
from tppc.training.tracking import read_metrics

KILLS = int(os.environ.get("TPPC_CHAOS_KILLS", "3"))

# Each run is a process of its own, forked from one that has the libraries and no threads. The unbroken run counts its
# calls of some functions; each other one is killed, by itself, at the start of one of those calls, drawn at random.
SCRIPT = """
import json, os, random, signal, sys, traceback
from pathlib import Path
import faiss, peft, torch, transformers.models.bert.modeling_bert
from tppc.training import checkpoints, tracking, trained, trainer
from tppc.training.config import load_config

PLACES = [(trainer, "forward_backward"), (trained.Trained, "update"), (checkpoints, "_sync"), (tracking.Tracker, "log"),
          (trainer, "finish")]
cases, folder, kills = eval(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])


def run(config, out, resume=False, kill=None, count=None):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        calls = 0

        def counted(function):
            def call(*arguments, **named):
                nonlocal calls
                calls += 1
                if calls == kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)
            return call

        for owner, name in PLACES:
            setattr(owner, name, counted(getattr(owner, name)))
        trainer.train(config, out, resume)
        if count:
            count.write_text(str(calls))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


for kill in range(kills):
    name = sorted(cases)[kill % len(cases)]
    config, whole, out = load_config(None, cases[name]), folder / f"{name}-whole", folder / f"{name}-{kill}"
    if not whole.exists():
        assert run(config, whole, count=folder / f"{name}-calls") == 0
    at = random.Random(kill).randint(1, int((folder / f"{name}-calls").read_text()))
    killed = run(config, out, kill=at)
    print(json.dumps({"name": name, "at": at, "killed": killed, "resumed": run(config, out, resume=True)}), flush=True)
"""


def kept(out: Path) -> dict[str, Any]:
    """All weights and all state of a finished run, and what it saw at each step."""
    last = checkpoints(out)[-1]
    files = {f.relative_to(last): f.read_bytes() for f in last.rglob("*.safetensors")}
    files[Path("result")] = (out / "encoder" / "model.safetensors").read_bytes()
    return {"files": files, "losses": [(line["step"], line["losses"]) for line in read_metrics(out)]}


@pytest.mark.chaos
@pytest.mark.timeout(60 + 60 * KILLS)
def test_a_run_killed_anywhere_ends_with_the_bits_of_an_unbroken_one(tmp_path: Path) -> None:
    pairs = cipher_pairs(160, seed=3)
    first = write_corpus(tmp_path / "tt", {"train": pairs[:70]}, "tatoeba/en-hi")
    second = write_corpus(tmp_path / "wd", {"train": pairs[70:]}, "wikidata/en-hi")
    start = tmp_path / "start"
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), start)
    unpaired = []
    for side, code in enumerate(("en", "hi")):
        (tmp_path / code).write_text("\n".join(pair[side] for pair in pairs), "utf-8")
        unpaired.append({"language": code, "path": str(tmp_path / code)})
    common = {"encoder": str(start), "batch_size": 12, "save_every": 3, "keep": 99, "log_every": 1, "track": [],
              "precision": "fp32", "lr": 1e-3, "warmup": 2}  # fmt: skip
    corpora = {"corpora": [str(first), str(second)]}
    cases: dict[str, dict[str, Any]] = {
        "everything": {
            "objectives": {"infonce": {}, "mlm": {"weight": 0.1}}, "curriculum": "tatoeba,wikidata", "steps": 4,
            "hard_negatives": {"every": 3, "guard": 1.0}, "ema": 0.9, "micro_tokens": 150,
            "activation_checkpointing": True,
        },
        "lora": {"objectives": {"tpp": {"negatives": "corpus"}}, "lora": {"rank": 2}, "l2_start": 5.0, "steps": 7,
                 "freeze_layers": 1},
        "unpaired": {"objectives": {"mlm": {}, "mean-variance": {}, "average-linkage": {}}, "monolingual": unpaired,
                     "freeze_embeddings": True, "l2_start": 5.0, "steps": 7},
    }  # fmt: skip
    cases = {name: common | ({} if name == "unpaired" else corpora) | more for name, more in cases.items()}
    script = tmp_path / "kills.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, str(script), repr(cases), str(tmp_path), str(KILLS)], capture_output=True, text=True,
        check=False, cwd=root, env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    done = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(done) == KILLS
    whole = {name: kept(tmp_path / f"{name}-whole") for name in {one["name"] for one in done}}
    for number, one in enumerate(done):
        assert (one["killed"], one["resumed"]) == (-9, 0), (one, result.stderr)
        found = kept(tmp_path / f"{one['name']}-{number}")
        assert found["losses"] == whole[one["name"]]["losses"], one
        assert found["files"].keys() == whole[one["name"]]["files"].keys(), one
        assert found["files"] == whole[one["name"]]["files"], one
        assert not list((tmp_path / f"{one['name']}-{number}").rglob(".*.part")), one
