"""Pairs a second of training: tppc beside sentence-transformers' trainer and the way of the published notebooks.

    python benchmarks/train_speed.py --corpus corpora/tatoeba/en-hi --encoder path/to/encoder [--batch-size 64]
        [--steps 20] [--precision fp32] [--threads 1] [--rounds 3] [--levers]

Same encoder, same pairs with their real lengths, same batch size in pairs, precision, maximum length and threads; every
run is a process of its own, and the ways take turns. Each trains `steps` batches after a warm-up of three; loading and
tokenising what a loader does ahead count, as they do in a training. Printed: pairs a second of wall time, CPU seconds
for 1,000 pairs (which a busy machine changes less), and retrieval (P@1, both directions) on the corpus's test split.

- tppc: `infonce`, scale 20 not learned, length buckets, no padding.
- sentence-transformers: `SentenceTransformerTrainer`, `MultipleNegativesRankingLoss` in both directions with scale 20.
- notebook: one negative a pair, positives and negatives as rows of two texts each, all padded to the batch's longest;
  binary cross-entropy on the dot product of a projection; AdamW. Written from the description of the released code.

`--levers` switches one part of tppc off at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

WARM_UP = 3
WAYS = ("tppc", "sentence-transformers", "notebook")
LEVERS = ("no length buckets", "padded", "sides apart", "MKL's products", "AdamW in a loop", "no loader thread")


def main() -> None:
    """Run the ways in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--test-pairs", type=int, default=500)
    parser.add_argument("--levers", action="store_true")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measured(arguments)))
        return
    ways = ["tppc", *LEVERS] if arguments.levers else list(WAYS)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way in ways:
            result = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--way", way], stdout=subprocess.PIPE, text=True, check=True,
                env=environment(arguments.threads),
            )  # fmt: skip
            found[way].append(json.loads(result.stdout.splitlines()[-1]))
    print(f"| way | pairs/s | tppc is faster | CPU s / 1,000 pairs | ratio | P@1 |\n|---|{'---:|' * 5}")
    mine = {key: median(run[key] for run in found["tppc"]) for key in ("pairs_per_s", "cpu_per_1000")}
    for way in ways:
        row = {key: median(run[key] for run in found[way]) for key in found[way][0]}
        print(
            f"| {way} | {row['pairs_per_s']:.1f} | {mine['pairs_per_s'] / row['pairs_per_s']:.2f} x | "
            f"{row['cpu_per_1000']:.1f} | {row['cpu_per_1000'] / mine['cpu_per_1000']:.2f} x | {100 * row['p@1']:.1f} |"
        )


def environment(threads: int) -> dict[str, str]:
    """The environment of a run."""
    import os

    return {
        **os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
        "WANDB_DISABLED": "true",
    }  # fmt: skip


class Clock:
    """Wall and CPU time from the end of the warm-up on."""

    def begin(self) -> None:
        """The warm-up is over."""
        self.wall, self.cpu = time.perf_counter(), _cpu()

    def end(self, pairs: int) -> dict[str, float]:
        """All steps are done."""
        wall, cpu = time.perf_counter() - self.wall, _cpu() - self.cpu
        return {"pairs_per_s": pairs / wall, "cpu_per_1000": 1_000 * cpu / pairs}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(arguments: argparse.Namespace) -> dict[str, float]:
    """One way, in this process."""
    import torch

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.way == "sentence-transformers":
            found, encoder = sentence_transformers(arguments, Path(folder))
        elif arguments.way == "notebook":
            found, encoder = notebook(arguments)
        else:
            found, encoder = tppc(arguments, Path(folder))
        return {**found, "p@1": retrieval(arguments, encoder)}


def tppc(arguments: argparse.Namespace, folder: Path) -> tuple[dict[str, float], Any]:
    """`tppc.train`, with one part switched off where `way` names it."""
    import torch

    from tppc.training import trainer
    from tppc.training.config import load_config

    way, clock = arguments.way, Clock()
    config = load_config(
        None,
        {
            "corpora": [arguments.corpus], "encoder": arguments.encoder, "batch_size": arguments.batch_size,
            "steps": arguments.steps + WARM_UP, "warmup": 0.0, "schedule": "constant", "precision": arguments.precision,
            "objectives": {"infonce": {"learn_temperature": False}}, "log_every": 10, "save_every": 1_000_000,
            "track": [], "window": 1 if way == "no length buckets" else 32,
        },
    )  # fmt: skip
    kept: dict[str, Any] = {}
    update = trainer.Trained.update

    def counted(self: Any, step: int, rate: float) -> None:
        update(self, step, rate)
        if step == WARM_UP:
            clock.begin()
        if step == arguments.steps + WARM_UP:
            kept.update(found=clock.end(arguments.steps * arguments.batch_size), encoder=self.encoder)

    trainer.Trained.update = counted  # type: ignore[method-assign]
    if way == "MKL's products":
        plain_products()
    if way == "padded":
        from tppc.encoders import flat

        flat.runs_flat = lambda *_: False  # type: ignore[assignment]
    elif way == "sides apart":
        from tppc.training import batching, pieces

        whole = pieces.texts_in_pieces
        # Two pieces run as two batches, but for the gradients' sake with cached vectors: so half of the texts each.
        batching.texts_in_pieces = lambda ids, micro, *rest: whole(ids, sum(map(len, ids)) // 2 + 64, *rest)  # type: ignore[assignment]
    elif way == "AdamW in a loop":
        from tppc.training import optim

        fused = torch.optim.AdamW
        optim.torch.optim.AdamW = lambda *a, **k: fused(*a, **{**k, "fused": False, "foreach": False})  # type: ignore[assignment,misc]
    elif way == "no loader thread":
        trainer.ahead = lambda make, start, stop, **_: map(make, range(start, stop))  # type: ignore[assignment,misc]
    trainer.train(config, folder / "run")
    kept["encoder"].model.eval()
    return kept["found"], kept["encoder"]


def plain_products() -> None:
    """Let linear layers be PyTorch's own, also in encoders that tppc loads."""
    from tppc.encoders import products

    products.prefers_onednn = lambda: False  # type: ignore[assignment]


def sentence_transformers(arguments: argparse.Namespace, folder: Path) -> tuple[dict[str, float], Any]:
    """Its trainer with its own defaults, but for what must be equal."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import Pooling, Transformer
    from transformers import TrainerCallback

    from tppc.encoders.load import load_encoder

    like = load_encoder(arguments.encoder)
    # Weights may be stored in half precision; all ways train float32 ones.
    body = Transformer(arguments.encoder, max_seq_length=128, model_kwargs={"dtype": "float32"})
    model = SentenceTransformer(modules=[body, Pooling(like.hidden_size, like.pooling)], device="cpu")
    rows = train_rows(arguments.corpus, (arguments.steps + WARM_UP) * arguments.batch_size)
    data = Dataset.from_dict(
        {
            side: [like.prefix + text for text in rows[f"{name}_text"]]
            for side, name in (("anchor", "src"), ("positive", "tgt"))
        }
    )
    clock, found = Clock(), {}

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == WARM_UP:
                clock.begin()
            if state.global_step == arguments.steps + WARM_UP:
                found.update(clock.end(arguments.steps * arguments.batch_size))

    settings = SentenceTransformerTrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=arguments.batch_size, num_train_epochs=1,
        max_steps=arguments.steps + WARM_UP, learning_rate=2e-5, weight_decay=0.01, lr_scheduler_type="constant",
        bf16=arguments.precision == "bf16", use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True,
        logging_steps=10, seed=1,
    )  # fmt: skip
    loss = MultipleNegativesRankingLoss(
        model, scale=20.0, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    SentenceTransformerTrainer(model=model, args=settings, train_dataset=data, loss=loss, callbacks=[Watch()]).train()
    like.model.load_state_dict(body.auto_model.state_dict())
    return found, like


def notebook(arguments: argparse.Namespace) -> tuple[dict[str, float], Any]:
    """Rows of two texts: each pair, and each pair with one side replaced; everything padded to the longest text."""
    import numpy as np
    import torch

    from tppc.encoders.load import load_encoder

    plain_products()
    encoder = load_encoder(arguments.encoder, max_length=128)
    model, size = encoder.model, encoder.hidden_size
    projection = torch.nn.Linear(size, size)
    parameters = [*model.parameters(), *projection.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-5, weight_decay=0.01)
    rows = train_rows(arguments.corpus, (arguments.steps + WARM_UP) * arguments.batch_size)
    texts = list(zip(rows["src_text"], rows["tgt_text"], strict=True))
    random, clock = np.random.default_rng(0), Clock()
    model.train()
    for step in range(arguments.steps + WARM_UP):
        batch: list[str] = []
        for src, tgt in texts[step * arguments.batch_size : (step + 1) * arguments.batch_size]:
            other = texts[int(random.integers(len(texts)))][int(random.integers(2))]
            negative = (other, tgt) if random.random() < 0.5 else (src, other)
            batch += [src, tgt, *negative]
        encoded = encoder.tokenizer(
            [encoder.prefix + t for t in batch], padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.precision == "bf16"):
            states = model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]).last_hidden_state
            left, right = projection(states[:, 0]).float().view(-1, 2, size).unbind(1)
        wanted = torch.tensor([1.0, 0.0]).repeat(len(left) // 2)
        loss = torch.nn.functional.binary_cross_entropy_with_logits((left * right).sum(-1), wanted)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step + 1 == WARM_UP:
            clock.begin()
    found = clock.end(arguments.steps * arguments.batch_size)
    model.eval()
    return found, encoder


def train_rows(corpus: str, count: int) -> Any:
    """The first pairs of a corpus, which are in the order of a hash."""
    from tppc.corpora.corpus import Corpus

    rows = Corpus(corpus).scan("train").select("src_text", "tgt_text").head(count).collect()
    if rows.height < count:
        sys.exit(f"{corpus}: {rows.height} pairs, but {count} are needed; lower --steps or --batch-size")
    return rows


def retrieval(arguments: argparse.Namespace, encoder: Any) -> float:
    """P@1 of both directions on the test split; no worse may be the faster one."""
    from tppc.corpora.corpus import Corpus
    from tppc.encoders.embed import embed
    from tppc.encoders.ranking import both_ways

    rows = Corpus(arguments.corpus).scan("test").head(arguments.test_pairs).collect()
    src, tgt = (embed(encoder, rows[f"{side}_text"].to_list()) for side in ("src", "tgt"))
    return both_ways(src, tgt, rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy())["p@1"]


if __name__ == "__main__":
    main()
