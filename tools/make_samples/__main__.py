"""Make the sample data of tppc: `python tools/make_samples [--out DIR] [--truth DIR]`.

The same bytes come out of every run: fixed seeds, no clock, no set order, gzip without a time stamp.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tasks
import tatoeba
import topics
import wikidata
import wikimatrix
from grammar import Grammar
from lexicon import load_lexicon
from sampling import Sampler

REPO = Path(__file__).resolve().parents[2]


def make(out: Path, truth: Path) -> None:
    """Write every file. Labelled sets come first, so that pairs can never repeat one of their sentences."""
    lexicon = load_lexicon()
    sampler = Sampler(lexicon, Grammar(), "tppc-samples-1")
    tasks.build(sampler, out)
    sampler.decks.clear()
    tatoeba.build(sampler, out, truth)
    for lang in ("hi", "ja", "ar"):
        wikimatrix.build(sampler, lang, out, truth)
    wikidata.build(lexicon, out)
    sampler.decks.clear()
    topics.build(sampler, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=REPO / "tppc" / "samples")
    parser.add_argument("--truth", type=Path, default=REPO / "tests" / "samples" / "truth")
    args = parser.parse_args()
    make(args.out, args.truth)


if __name__ == "__main__":
    main()
