"""What a run with adapters leaves is a plain encoder: it loads where peft is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from cipher import cipher_pairs
from factory import write_corpus

from tppc.encoders.embed import embed
from tppc.encoders.load import load_encoder, save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.training.checkpoints import checkpoints
from tppc.training.config import load_config
from tppc.training.trainer import train

WITHOUT_PEFT = """
import json, sys
sys.modules["peft"] = None  # any import of it is an ImportError
from transformers import AutoModel, AutoTokenizer
found = []
for folder in sys.argv[1:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, loaded = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not loaded["missing_keys"] and not loaded["unexpected_keys"], loaded
    states = model.eval()(**tokenizer("abc cab", return_tensors="pt")).last_hidden_state
    found.append(states.mean(1)[0].tolist())
print(json.dumps(found))
"""


def test_adapters_are_multiplied_out_in_the_result_and_in_checkpoints(tmp_path: Path) -> None:
    pairs = cipher_pairs(60, seed=3)
    start, out = tmp_path / "start", tmp_path / "run"
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), start)
    corpus = write_corpus(tmp_path / "corpus", {"train": pairs}, "cipher/en-hi")
    how = {"corpora": [str(corpus)], "encoder": str(start), "steps": 3, "batch_size": 12, "lr": 1e-2, "warmup": 0,
           "track": [], "lora": {"rank": 2}, "ema": 0.5, "precision": "fp32"}  # fmt: skip
    train(load_config(None, how), out)
    folders = [out / "encoder", checkpoints(out)[-1] / "encoder", start]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_PEFT, *map(str, folders)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    average, last, before = (torch.tensor(vector) for vector in json.loads(result.stdout))
    assert torch.linalg.vector_norm(average - before) > 1e-3
    assert torch.linalg.vector_norm(last - average) > 1e-4  # the average of the weights, and the weights
    ours = torch.from_numpy(embed(load_encoder(str(out / "encoder")), ["abc cab"]))[0]
    torch.testing.assert_close(ours, average, rtol=1e-4, atol=1e-5)
