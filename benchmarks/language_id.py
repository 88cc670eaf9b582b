"""What the shortcuts of language ID cost and save, and how often it errs by the length of a text.

    python benchmarks/language_id.py fetch CATALOGUES        translation catalogues of Debian packages (apt-get, 9 MB)
    python benchmarks/language_id.py CATALOGUES [TATOEBA]    the tables of docs/cleaning.md

TATOEBA is a mirror root of the per-language exports. Own texts are Tatoeba's sentences and the catalogues in the
language; foreign ones the catalogues of a language in the same script. Texts of which half the letters are in another
script are left out on both sides: the script filter has them.
"""

from __future__ import annotations

import bz2
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from catalogues import sentences

from tppc.builders import build as builds
from tppc.builders.language_id import lid, lid_cache
from tppc.builders.language_id.identify import side_verdicts
from tppc.builders.recipe import Confidence, LanguageId, load_recipe
from tppc.corpora.languages import Language, language, parse_pair

FOREIGN = {"hi": ("mr", "ne"), "ar": ("fa", "ur"), "en": ("de", "fr", "id")}
BINS = (5, 10, 20, 30, 50, 100_000)
_PACKAGES = [
    *(f"firefox-esr-l10n-{c}" for c in ("mr", "ne-np", "hi-in", "fa", "ur", "ar", "de", "fr", "id", "en-gb")),
    *(f"libreoffice-l10n-{c}" for c in ("mr", "ne", "hi", "fa", "ar", "de", "fr", "id")),
]
_OTHER = {"en": "hi"}  # the other language of the pair: en-hi, and en beside every other


def fetch(folder: Path) -> None:
    """Download the packages and unpack them; nothing is installed."""
    packages = folder.resolve() / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *_PACKAGES], cwd=packages, check=True)
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


def _letters(texts: pl.Series, own: Language) -> pl.Series:
    return texts.str.replace_all(r"[^\p{L}\p{M}]+", "").str.len_chars() / own.length


def _in_script(texts: list[str], own: Language) -> pl.Series:
    """Distinct texts of which at least half the letters are in a script of the language."""
    series = pl.Series(texts, dtype=pl.String).unique(maintain_order=True)
    inside = "".join(rf"\p{{sc={name}}}" for name in own.scripts)
    letters = series.str.replace_all(r"[^\p{L}]+", "")
    return series.filter(letters.str.replace_all(f"[{inside}]+", "").str.len_chars() * 2 <= letters.str.len_chars())


def tatoeba(root: Path, own: Language) -> list[str]:
    """Sentences of a language in the exports."""
    path = root / "per_language" / own.tatoeba / f"{own.tatoeba}_sentences_detailed.tsv.bz2"
    if not path.is_file():
        return []
    with bz2.open(path, "rt", encoding="utf-8", errors="replace") as file:
        return [line.split("\t")[2] for line in file if line.count("\t") >= 2]


def _judge(texts: pl.Series, own: str, recipe: LanguageId) -> pl.DataFrame:
    return side_verdicts(texts, language(own), language(_OTHER.get(own, "en")), recipe, lid.Model())


def shortcuts(catalogues: Path) -> None:
    """Print what the shortcuts lose of the model's refusals, on texts that are long enough to ask."""
    alone, with_them = LanguageId(shortcuts=False), LanguageId()
    print("| text | expected | rows | model alone refuses | of these refused with shortcuts | refused in all | asked |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for own, others in FOREIGN.items():
        for code in others:
            texts = _in_script(sentences(catalogues, code, 1), language(own))
            texts = texts.filter(_letters(texts, language(own)) >= alone.min_letters)
            before, after = _judge(texts, own, alone)["wrong"], _judge(texts, own, with_them)
            asked, both = after["score"].is_not_null().sum(), (before & after["wrong"]).sum()
            shares = f"{both / before.sum():.2%} | {after['wrong'].mean():.1%} | {asked / len(texts):.1%}"
            print(f"| {code} | {own} | {len(texts):,} | {before.sum():,} | {shares} |")


def by_length(catalogues: Path, exports: Path | None) -> None:
    """Print the share that is refused by length: own texts (false refusals) and foreign ones (right refusals)."""
    titles = [f"{low}-{high - 1}" if high < BINS[-1] else f"{low}+" for low, high in pairwise(BINS)]
    print(f"\n| expected | texts | {' | '.join(titles)} |\n|---|---|{'---:|' * len(titles)}")
    for own in [*FOREIGN, "ja"]:
        named = {"Tatoeba": tatoeba(exports, language(own)) if exports else []}
        named |= {f"catalogues, {code}": sentences(catalogues, code, 1) for code in (own, *FOREIGN.get(own, ()))}
        for name, found in named.items():
            texts = _in_script(found, language(own))
            if not len(texts):
                continue
            judged = _judge(texts, own, LanguageId()).with_columns(letters=_letters(texts, language(own)))
            cells = []
            for low, high in pairwise(BINS):
                inside = judged.filter(pl.col("letters").is_between(low, high, closed="left"))["wrong"]
                cells.append(f"{inside.mean():.2%} of {len(inside):,}" if len(inside) else "")
            print(f"| {own} | {name} | {' | '.join(cells)} |")


def calls(exports: Path) -> None:
    """Print how many texts are asked about and how fast they are judged, with and without shortcuts and cache."""
    print(
        "\n| texts of Tatoeba | distinct | model alone asks | with shortcuts | alone/s | shortcuts/s | and cached/s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for own in ("en", "hi", "ar", "ja"):
        texts = pl.Series(tatoeba(exports, language(own))).unique(maintain_order=True)
        folder = lid_cache.folder_of("benchmark", own)
        cells = []
        for recipe, cached in (
            (LanguageId(shortcuts=False), False),
            (LanguageId(), False),
            (LanguageId(), True),  # fills the cache
            (LanguageId(), True),
        ):
            begun = time.process_time()
            known = lid_cache.Answers(folder, 0, 0) if cached else None
            judged = side_verdicts(texts, language(own), language(_OTHER.get(own, "en")), recipe, lid.Model(), known)
            seconds = time.process_time() - begun
            if known is not None:
                known.save()
            cells.append((judged["score"].is_not_null().sum(), len(texts) / seconds))
        alone, short, _, again = cells
        counts = f"{len(texts):,} | {alone[0]:,} | {short[0]:,}"
        print(f"| {own} | {counts} | {alone[1]:,.0f} | {short[1]:,.0f} | {again[1]:,.0f} |")


def model_alone(exports: Path) -> None:
    """Print how fast the model answers by columns and by fastText's library, and how far apart the answers are."""
    print("\n| texts of Tatoeba | microseconds a text | fastText's library | times | same label | apart at most |")
    print("|---|---:|---:|---:|---:|---:|")
    library = lid.Library(lid.Model())
    for own in ("en", "hi", "ar", "ja"):
        texts = lid.prepared(pl.Series(tatoeba(exports, language(own))).unique(maintain_order=True))
        cells = []
        for model in (lid._loaded(lid.Model()), library):
            begun = time.process_time()
            labels, scores = model.best(texts)
            cells.append((time.process_time() - begun, [model.labels[label] for label in labels], scores))
        (ours, mine, near), (theirs, expected, far) = cells
        same = [a == b for a, b in zip(mine, expected, strict=True)]
        apart = max(abs(near - far)[same])
        speed = f"{ours / len(texts) * 1e6:.1f} | {theirs / len(texts) * 1e6:.1f} | {theirs / ours:.1f}"
        print(f"| {own} | {speed} | {sum(same) / len(same):.3%} | {apart:.1e} |")


def again(exports: Path) -> None:
    """Print the CPU seconds of language ID in a first build, and in a second with another length filter."""
    print("\n| build of Tatoeba | rows | first | again, another length filter | without the cache |")
    print("|---|---:|---:|---:|---:|")
    step = builds.identify
    spent = []

    def timed(*arguments: Any, **named: Any) -> None:
        begun = time.process_time()
        step(*arguments, **named)
        spent.append(time.process_time() - begun)

    builds.identify = timed
    for pair in ("en-ja", "en-ar", "en-hi"):
        for shortcut in (True, False):
            cells = []
            for longest, fresh in ((1_000, True), (200, False), (200, True)):
                settings = {"language_id": {"shortcuts": shortcut}, "filters": {"length": {"max_chars": longest}}}
                with tempfile.TemporaryDirectory() as folder:
                    if fresh:
                        os.environ["TPPC_CACHE"] = tempfile.mkdtemp(prefix="tppc-lid-")
                    spent.clear()
                    (corpus,) = builds.build(
                        "tatoeba",
                        [parse_pair(pair)],
                        origin=str(exports),
                        out=Path(folder),
                        recipe=load_recipe(None, **settings),
                        workers=1,
                    )
                    cells.append(f"{sum(spent):.2f}")
                    rows = sum(corpus.manifest.funnel.kept.values())
            name = pair if shortcut else f"{pair}, the model alone"
            print(f"| {name} | {rows:,} | {' | '.join(cells)} |")
    builds.identify = step


def switched(exports: Path) -> None:
    """Print what becomes of Hindi sentences of which a run of words was replaced by as many English ones."""
    draw = random.Random(1)
    hindi = [words for t in tatoeba(exports, language("hi")) if len(words := t.split()) >= 6]
    english = [words for t in tatoeba(exports, language("en")) if len(words := t.rstrip(".?!").lower().split()) >= 5]
    whole = Confidence(letters=0, min_other=0.5, max_expected=0.2)
    before = LanguageId(shortcuts=False, mixed_share=0.5, confidence=(whole,))  # half and half to the letter: never
    print("\n| share of English words | texts | refused before | refused | `mixed` |\n|---|---:|---:|---:|---:|")
    for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        made = []
        for words in hindi:
            count = max(1, round(share * len(words)))
            start = draw.randrange(len(words) - count + 1)
            made.append(" ".join([*words[:start], *draw.choice(english)[-count:], *words[start + count :]]))
        texts = pl.Series(made).unique(maintain_order=True)
        old, new = _judge(texts, "hi", before)["wrong"].mean(), _judge(texts, "hi", LanguageId())
        rest = f"{old:.1%} | {new['wrong'].mean():.1%} | {(new['lid'] == 'mixed').fill_null(False).mean():.1%}"
        print(f"| {share:.0%} | {len(texts):,} | {rest} |")


def main() -> None:
    """Fetch, or print the tables."""
    if sys.argv[1:2] == ["fetch"]:
        fetch(Path(sys.argv[2]))
        return
    exports = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    shortcuts(Path(sys.argv[1]))
    by_length(Path(sys.argv[1]), exports)
    if exports:
        switched(exports)
        model_alone(exports)
        calls(exports)
        again(exports)


if __name__ == "__main__":
    main()
