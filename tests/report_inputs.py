"""Small corpora, runs and results in their real formats, with texts of an attacker among them."""

from __future__ import annotations

import base64
import gzip
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tppc.corpora.files import sha256_of_value
from tppc.corpora.keys import side_keys
from tppc.corpora.manifest import Funnel, Manifest, Snapshot, SourceFacts, write_manifest
from tppc.corpora.schema import SCHEMA
from tppc.corpora.shards import write_shards

SCRIPT = "<script>window.pwned=1</script>"
IMAGE = '"><img src=x onerror="window.pwned=2">'
STYLE = "</style><style>body{display:none}</style>"
OVERRIDE = "abc\u202egnp.exe"
TEMPLATE = "{{ 7*7 }} {% raw %}"
HOSTILE = [SCRIPT, IMAGE, STYLE, OVERRIDE, TEMPLATE]
_TARGETS = {
    "hi": "घर संख्या {} नदी के पास है।",
    "ja": "{}番の家は川の近くにあります。",
    "ar": "البيت رقم {} قريب من النهر.",
}


def texts(tgt: str, count: int, first: int = 0) -> tuple[list[str], list[str]]:
    """`count` pairs of English and `tgt`; a pair's two sides share a number."""
    numbers = range(first, first + count)
    return [f"House number {i} is near the river." for i in numbers], [_TARGETS[tgt].format(i) for i in numbers]


def _table(src: list[str], tgt: list[str], lang: str, first: int) -> pa.Table:
    count = len(src)
    columns: dict[str, list[Any]] = {
        "src_lang": ["en"] * count,
        "tgt_lang": [lang] * count,
        "src_text": src,
        "tgt_text": tgt,
        "src_key": side_keys(src).tolist(),
        "tgt_key": side_keys(tgt).tolist(),
        "source": ["wikimatrix"] * count,
        "source_id": [str(i) for i in range(first, first + count)],
        "score": [1.05 + i / 1000 for i in range(count)],
        "licence": ["CC-BY-SA-4.0"] * count,
    }
    return pa.table([pa.array(columns.get(f.name, [None] * count), f.type) for f in SCHEMA], schema=SCHEMA)


def _numbers(values: list[float]) -> dict[str, Any]:
    counts, edges = np.histogram(values, bins=20)
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": max(values),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _statistics(src: list[str], tgt: list[str], lang: str) -> dict[str, Any]:
    return {
        "rows": len(src),
        "src_chars": _numbers([len(t) for t in src]),
        "tgt_chars": _numbers([len(t) for t in tgt]),
        "ratio": _numbers([len(t) / len(s) for s, t in zip(src, tgt, strict=True)]),
        "src_lid": {"en": len(src)},
        "tgt_lid": {lang: len(src)},
    }


def make_corpus(folder: Path, lang: str = "hi", train: int = 40, test: int = 20, rejects: bool = True) -> Path:
    """A finished corpus en-`lang`; the first train rows and some rejects are hostile."""
    src, tgt = texts(lang, train)
    src[: len(HOSTILE)] = HOSTILE
    tgt[:2] = [IMAGE, SCRIPT]
    held_src, held_tgt = texts(lang, test, first=10_000)
    shards = write_shards([_table(src, tgt, lang, 1)], SCHEMA, folder, f"en-{lang}", "train", train)
    shards += write_shards([_table(held_src, held_tgt, lang, 10_001)], SCHEMA, folder, f"en-{lang}", "test", test)
    rows = [
        {"reason": "markup", "source_id": "7", "src_text": SCRIPT, "tgt_text": OVERRIDE, "raw": None, "detail": IMAGE},
        {"reason": "unreadable", "source_id": "8", "src_text": None, "tgt_text": None, "detail": "two columns",
         "raw": base64.b64encode(b"bad \xff byte\t<b>").decode()},
        *({"reason": "length", "source_id": str(i), "src_text": "a", "tgt_text": "b", "raw": None, "detail": None}
          for i in range(50)),
    ]  # fmt: skip
    if rejects:
        with gzip.open(folder / "rejects.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    kept = {"train": train, "test": test}
    funnel = Funnel(
        read=train + test + 62, rejected={"markup": 1, "length": 50, "unreadable": 1}, deduplicated=7,
        dropped={"holdout": 3}, kept=kept,
    )  # fmt: skip
    manifest = Manifest(
        name=f"wikimatrix/en-{lang}", pairs=[f"en-{lang}"],
        sources={"wikimatrix": SourceFacts(about="made", citation="None.", funnel=funnel)},
        command=f"tppc build wikimatrix --pair en-{lang} --holdout test={test}",
        snapshots=[Snapshot(name=f"WikiMatrix.en-{lang}.tsv.gz", url="https://example.org/" + IMAGE, bytes=1234,
                            sha256="ab" * 32, retrieved="2024-05-01T00:00:00Z")],
        recipe={}, recipe_digest="0" * 64, versions={"tppc": "0.1.0"}, language_id={"model": "lid.176.ftz"},
        funnel=funnel, source_counts={"rows": train + test + 62, SCRIPT: 1}, shards=shards,
        licences={"CC-BY-SA-4.0": train + test},
        statistics={
            f"en-{lang}": {"train": _statistics(src, tgt, lang), "test": _statistics(held_src, held_tgt, lang)}
        },
        limits=["Made for tests."], files={}, build_digest=sha256_of_value([src, tgt]), created="2024-05-01T00:00:00Z",
    )  # fmt: skip
    write_manifest(manifest, folder)
    return folder


def make_run(folder: Path, steps: int = 120, encoder: bool = True) -> Path:
    """A run with an alarm, a cut-off last line, and folders where its encoders would be."""
    folder.mkdir(parents=True)
    settings = 'encoder = "scratch:tiny"\nsteps = 120\nlr = 0.001\nnote = "<script>window.pwned=3</script>"\n'
    (folder / "config.toml").write_text(settings + '\n[objectives.tpp]\nscale = 1.0\n\n[[corpora]]\npath = "c"\n')
    rows = []
    for step in range(10, steps + 1, 10):
        loss = 2 * math.exp(-step / 40)
        rows.append(
            {"step": step, "loss": loss, "losses": {"tpp": 0.7 * loss, "mlm": 0.3 * loss}, "lr": 1e-3 / step,
             "pairs_per_s": 900.0 + step, "tokens_per_s": 21_000.0, "padding_share": 0.12, "masked_share": 0.01,
             "scale": 20.0, "bias": -10.0, "cos_pos": 1 - loss / 4, "cos_neg": 0.4 - 0.1 * step / steps,
             "batch_p_at_1": 1 - loss / 3, "alarms": ["collapse " + SCRIPT] if step == 30 else []}
        )  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines + '{"step": 999, "lo')
    if encoder:
        (folder / "encoder").mkdir()
        (folder / "initial").mkdir()
    return folder


def make_results(path: Path, seeds: int = 3) -> Path:
    """Results of two tasks in two target languages, baseline, control and trained, `seeds` seeds."""
    lines = []
    for t, (task, metric) in enumerate((("ner", "f1"), ("pos", "accuracy"))):
        for k, language in enumerate(("hi", "ja")):
            for role, base in (("baseline", 0.31), ("control", 0.33), ("trained", 0.52)):
                for seed in range(seeds):
                    value = base + 0.05 * t - 0.04 * k + 0.01 * seed * (1 + t * (role == "trained"))
                    lines.append(
                        {"task": task, "language": language, "metric": metric, "value": value, "n": 500, "seed": seed,
                         "encoder": f"runs/{role}/encoder", "role": role, "protocol": "fine-tune on en, last step",
                         "dataset": f"sample-{task}", "dataset_digest": "d" * 64, "source_language": "en"}
                    )  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@dataclass(frozen=True)
class StandIn:
    """What the geometry section needs of an encoder: its name and how it pools."""

    name: str
    pooling: str = "mean"
    prefix: str = ""
    max_length: int = 128


def stand_in_load(name: str, **_: Any) -> StandIn:
    """An encoder that is only a name."""
    return StandIn(str(name))


def stand_in_embed(encoder: StandIn, sentences: list[str]) -> np.ndarray:
    """Vectors [n, 16]: by the text before training; after it, near a direction that the two sides of a pair share."""
    vectors = []
    for text in sentences:
        own = np.random.default_rng(side_keys([text]).view(np.uint64)).normal(size=16)
        number = int("".join(c for c in text if c.isdigit()) or 0)
        shared = np.random.default_rng(number).normal(size=16)
        vectors.append(shared + 0.3 * own if encoder.name.endswith("encoder") else own)
    return np.array(vectors, dtype=np.float32)
