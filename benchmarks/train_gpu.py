"""What a GPU makes of a training: pairs a second, MFU on real tokens, peak memory, and where the time goes.

    python benchmarks/train_gpu.py --corpus corpora/tatoeba/en-hi [--vocab vocab.txt] [--tokens 32768] [--compile]

An encoder of mBERT's size (12 layers x 768, the vocabulary given or 119,547 made pieces) with random weights, pairs of
the corpus with their real lengths, bf16, batches of about `--tokens` tokens. Speed does not depend on the weights'
values. One run of warm-up and measured steps, then one under the profiler; a table and one line of JSON. Ends with 2
where there is no GPU; `--device cpu --tiny` shows that the script works.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM_UP = 10


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--vocab", type=Path, help="vocab.txt of a WordPiece tokeniser, cased")
    parser.add_argument("--tokens", type=int, default=32_768, help="tokens of a step, about")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="2 layers x 64: to try the script")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here: nothing is measured (try --device cpu --tiny)", file=sys.stderr)
        return 2
    found = measured(arguments)
    print("| | |\n|---|---:|")
    for name, value in found.items():
        print(f"| {name} | {f'{value:,.3g}' if isinstance(value, float) else value} |")
    print(json.dumps(found))
    return 0


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """One run, then one under the profiler."""
    import torch

    from tppc.corpora.corpus import Corpus
    from tppc.encoders.embed import tokenise
    from tppc.encoders.load import load_encoder
    from tppc.training.config import load_config
    from tppc.training.distribution import Ranks
    from tppc.training.flops import peak_flops, training_work, utilisation
    from tppc.training.model import choose_precision
    from tppc.training.optim import trained_parameters
    from tppc.training.setup import Sources, make_batches, resolved
    from tppc.training.step import forward_backward
    from tppc.training.trained import prepare

    device = torch.device(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        save_made_encoder(arguments, Path(folder))
        encoder = load_encoder(folder, pooling="mean", max_length=128, device=device)
    corpus = Corpus(arguments.corpus)
    rows = corpus.head("train", 4_096, ["src_text", "tgt_text"])
    lengths = [len(i) for i in tokenise(encoder, [*rows["src_text"], *rows["tgt_text"]])]
    batch_size = max(2, round(arguments.tokens / (2 * sum(lengths) / len(lengths))))
    steps = WARM_UP + arguments.steps
    config = load_config(
        None,
        {
            "corpora": [arguments.corpus], "encoder": "made", "batch_size": batch_size, "steps": steps,
            "precision": "auto" if arguments.device == "cpu" else "bf16", "compile": arguments.compile,
        },
    )  # fmt: skip
    ranks = Ranks(0, 1, device)
    sources, config = resolved(config, Sources([corpus], {}), 1)
    autocast, precision = choose_precision(config, device, encoder.hidden_size)
    trained = prepare(config, encoder, ranks, autocast, sources.languages)
    batches = make_batches(config, sources, encoder, ranks, trained.model)
    parameters = list(trained_parameters(trained.model).values())

    def step(batch: Any) -> None:
        forward_backward(trained.model, batch.to(device), config.seed)
        torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        trained.optimizer.step()
        trained.optimizer.zero_grad(set_to_none=True)

    def wait() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    from tppc.corpora.ahead import ahead

    tokens = squares = pairs = 0
    began = wait()
    for batch in ahead(batches.batch, 0, steps, depth=8, workers=2):
        step(batch)
        if batch.step + 1 == WARM_UP:
            began, tokens, squares, pairs = wait(), 0, 0, 0
        else:
            sizes = [n for piece in batch.pieces() for n in piece.lengths]
            tokens, squares, pairs = tokens + sum(sizes), squares + sum(n * n for n in sizes), pairs + batch.total
    seconds = wait() - began
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    work, peak = training_work(encoder.model), peak_flops(name, autocast is not None)
    share = None
    if work is not None:
        share = utilisation(work, tokens=tokens, squares=squares, seconds=seconds, peak=peak)
    found: dict[str, Any] = {
        "device": name, "precision": precision, "compile": str(arguments.compile), "pairs a step": batch_size,
        "tokens a step": tokens / arguments.steps, "pairs a second": pairs / seconds,
        "tokens a second": tokens / seconds, "MFU on real tokens": "unknown" if share is None else share,
    }  # fmt: skip
    if device.type == "cuda":
        found["peak memory, GiB"] = torch.cuda.max_memory_allocated(device) / 2**30
    for place, (what, cost) in enumerate(profiled(step, [batches.batch(i) for i in range(3)], device), 1):
        found[f"cost {place}"] = f"{what}: {cost:.0%}"
    return found


def profiled(step: Any, batches: list[Any], device: Any) -> list[tuple[str, float]]:
    """The three operations that take most of the device's time, with their shares."""
    from torch.profiler import ProfilerActivity, profile

    cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiler:
        for batch in batches:
            step(batch)
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, key))
    total = sum(getattr(event, key) for event in events)
    return [(event.key[:70], getattr(event, key) / total) for event in events[:3]]


def save_made_encoder(arguments: argparse.Namespace, folder: Path) -> None:
    """A BERT with random weights and a WordPiece vocabulary."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = arguments.vocab or made_vocabulary(folder / "pieces.txt", 119_547 if not arguments.tiny else 2_000)
    tokenizer = BertTokenizerFast(vocab=str(vocabulary), do_lower_case=False, strip_accents=False)
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256}
    model = BertModel(BertConfig(vocab_size=len(tokenizer), **(size if arguments.tiny else {})))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def made_vocabulary(file: Path, size: int) -> Path:
    """Special tokens, single characters of the scripts of the four languages, and pieces of two or three of them."""
    letters = [
        chr(c)
        for first, last in ((33, 127), (0x600, 0x6FF), (0x900, 0x97F), (0x3040, 0x30FF))
        for c in range(first, last)
    ]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    pairs = (f"##{a}{b}" for a in letters for b in letters)
    while len(pieces) < size:
        pieces.append(next(pairs))
    file.write_text("\n".join(pieces), "utf-8")
    return file


if __name__ == "__main__":
    sys.exit(main())
