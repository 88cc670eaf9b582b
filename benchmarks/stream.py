"""What the stream costs: pairs/s of stream and tokeniser together against the tokeniser alone, and memory by rows.

    python benchmarks/stream.py [--corpus PATH ...] [--tokenizer FOLDER] [--rows N ...]

Without `--corpus` the sample corpora are built; without `--tokenizer` (a folder with `vocab.txt` or `tokenizer.json`) a
small vocabulary is made of them. The tokeniser alone gets the same texts in the same batches, as lists that are there
already. Both take turns, with their CPU time beside the wall time: a shared machine disturbs one less than the other.
`--rows 0` leaves out the second part: peak memory (VmHWM) of a process that streams and tokenises, and of `tppc train`,
over made corpora of 1 and 10 million rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one thread a worker, so that workers can be compared

import numpy as np
from made_corpora import random_texts, write_made_corpus

BATCH, STEPS, REPEATS = 256, 80, 11
LENGTH = 128
_STREAM = """
import sys
from tppc.corpora.ahead import ahead
from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
from tppc.encoders.embed import tokenise
from tppc.encoders.load import load_encoder
stream = PairStream([Corpus(sys.argv[1])], batch_size=512, seed=1)
encoder = load_encoder(sys.argv[2])
def make(step):
    batch = stream.batch(step)
    return tokenise(encoder, batch.src_text + batch.tgt_text)
for step, ids in enumerate(ahead(make, 0, 1_000, workers=2), 1):
    assert len(ids) == 1024
    if step in (200, 1_000):
        print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def sample_corpora(folder: Path) -> list[Path]:
    """The sample corpora, built."""
    from tppc.builders.build import build
    from tppc.corpora.languages import parse_pair

    pairs = [parse_pair(pair) for pair in ("en-hi", "en-ja")]
    return [c.path for source in ("tatoeba", "wikimatrix") for c in build(source, pairs, origin="sample", out=folder)]


def load_tokenizer(folder: Path | None, texts: list[str]) -> Any:
    """The tokeniser of a folder, or one made of some texts."""
    from transformers import AutoTokenizer, BertTokenizerFast

    from tppc.encoders.scratch import make_encoder

    if folder is None:
        return make_encoder("scratch:small", texts, 1).tokenizer
    vocabulary = folder / "vocab.txt"
    return (
        BertTokenizerFast(str(vocabulary), do_lower_case=False)
        if vocabulary.is_file()
        else AutoTokenizer.from_pretrained(folder)
    )


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds (of all threads) of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def speed(paths: list[Path], folder: Path | None) -> None:
    """Print the table of the first part."""
    from tppc.corpora.ahead import ahead
    from tppc.corpora.corpus import Corpus
    from tppc.corpora.stream import PairStream
    from tppc.encoders.tokens import token_ids

    corpora = [Corpus(p) for p in paths]
    stream = PairStream(corpora, batch_size=BATCH, seed=1)
    pairs = STEPS * BATCH
    texts = [b.src_text + b.tgt_text for b in map(stream.batch, range(STEPS))]
    tokenizer = load_tokenizer(folder, [t for batch in texts for t in batch])
    tokens = sum(len(i) for batch in texts for i in token_ids(tokenizer, batch, LENGTH))
    print(
        f"{stream.rows:,} pairs in {len(corpora)} corpora, {tokens / pairs:.1f} tokens a pair, {pairs:,} pairs a turn"
    )

    def each(tokenise: Callable[[list[str]], object]) -> None:
        for batch in texts:
            tokenise(batch)

    def streamed(workers: int) -> None:
        fresh = PairStream(corpora, batch_size=BATCH, seed=1)

        def make(step: int) -> list[list[int]]:
            batch = fresh.batch(step)
            return token_ids(tokenizer, batch.src_text + batch.tgt_text, LENGTH)

        for _ in ahead(make, 0, STEPS, workers=workers):
            pass

    def fresh_stream() -> None:
        again = PairStream(corpora, batch_size=BATCH, seed=1)
        for step in range(STEPS):
            again.batch(step)

    ways: dict[str, Callable[[], object]] = {
        "tokeniser alone": lambda: each(lambda t: token_ids(tokenizer, t, LENGTH)),
        "the same, called as transformers has it": lambda: each(
            lambda t: tokenizer(t, truncation=True, max_length=LENGTH)["input_ids"]
        ),
        "stream alone, no tokeniser": fresh_stream,
        "stream and tokeniser, 1 worker": lambda: streamed(1),
        "stream and tokeniser, 2 workers": lambda: streamed(2),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, work in ways.items():
            times[name].append(timed(work))
    best = {name: [min(t[i] for t in found) for i in (0, 1)] for name, found in times.items()}
    print(f"{'best of ' + str(REPEATS) + ' turns':<42}{'pairs/s':>10}{'a CPU-s':>10}{'of alone':>10}{'by CPU':>9}")
    for name, found in best.items():
        of = [alone / own for alone, own in zip(best["tokeniser alone"], found, strict=True)]
        print(f"{name:<42}{pairs / found[0]:>10,.0f}{pairs / found[1]:>10,.0f}{of[0]:>10.0%}{of[1]:>9.0%}")


def write_made(folder: Path, encoder: Path, rows: int) -> None:
    """A corpus of random texts, `rows` rows, and a small encoder."""
    from tppc.encoders.load import save_encoder
    from tppc.encoders.scratch import make_encoder

    src, tgt = (random_texts(rows, 60, seed) for seed in (1, 2))
    write_made_corpus(folder, src, tgt, np.zeros(rows))
    save_encoder(make_encoder("scratch:tiny", src.slice(0, 2_000).to_pylist(), 1), encoder)


def memory(rows: int) -> None:
    """Print what streaming and training take over a corpus of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        path, encoder = Path(folder) / "corpus", Path(folder) / "encoder"
        # In a process of its own: a child begins with the peak of the process that starts it.
        writer = multiprocessing.get_context("spawn").Process(target=write_made, args=(path, encoder, rows))
        writer.start()
        writer.join()
        told = subprocess.run(
            [sys.executable, "-c", _STREAM, str(path), str(encoder)], capture_output=True, text=True, check=True
        )
        early, late = (int(line) / 1024 for line in told.stdout.splitlines())
        options = ["--corpus", str(path), "--encoder", str(encoder), "--steps", "100", "--out", f"{folder}/run"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tppc", "train", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, "the training failed"
        size = sum(p.stat().st_size for p in path.rglob("*.parquet"))
        print(
            f"{rows:>11,} rows, {size / 1e6:,.0f} MB: stream {early:,.0f} MiB after 200 steps of 512, {late:,.0f} MiB "
            f"after 1,000; `tppc train`, 100 steps of 64: {usage.ru_maxrss / 1024:,.0f} MiB",
            flush=True,
        )


def main() -> None:
    """Print both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--corpus", type=Path, nargs="*", default=[])
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speed(options.corpus or sample_corpora(Path(folder)), options.tokenizer)
    for rows in filter(None, options.rows):
        memory(rows)


if __name__ == "__main__":
    main()
