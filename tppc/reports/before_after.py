"""Embed held-out pairs with a run's start and with its result, for the geometry section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tppc.corpora.corpus import Corpus
from tppc.errors import TppcError
from tppc.evaluation.alike import describe, differently_read, read_alike
from tppc.reports.collect import CorpusInput, RunInput
from tppc.reports.geometry import Distances, Map, Sides, distances, joint_map, non_translations

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

PAIRS = 500
MAP_PAIRS = 60
SEED = 20220614  # of the draw of partners, the bootstrap and the map; any number does, so long as it stays the same


@dataclass(frozen=True)
class HeldOut:
    """The first pairs of a held-out split; rows are in key order, so they are a random draw that stays the same."""

    corpus: str
    split: str
    pair: str
    languages: tuple[str, str]
    src: list[str]
    tgt: list[str]
    src_keys: NDArray[np.int64]
    tgt_keys: NDArray[np.int64]


@dataclass(frozen=True)
class Panel:
    """What training did to the held-out pairs of one corpus. `map` is None where no joint fit is possible."""

    held_out: HeldOut
    cosine: Distances
    l2: Distances
    map: Map | None


@dataclass(frozen=True)
class Geometry:
    """The geometry section of one run: panels, or notes that say why there are none."""

    baseline: str
    panels: list[Panel]
    notes: list[str]


def held_out(corpus: Corpus) -> HeldOut | None:
    """Up to `PAIRS` rows of the test split, else of dev, of the first pair that has some; None where none has."""
    import polars as pl

    held = [
        (split, pair) for split in ("test", "dev") for pair in corpus.pairs if corpus.manifest.rows(split, str(pair))
    ]
    for split, pair in held:
        corpus.check_shards(split)
        rows = (
            corpus.scan(split, pair)
            .filter(pl.col("src_lang") == pair.src, pl.col("tgt_lang") == pair.tgt)
            .select("src_text", "tgt_text", "src_key", "tgt_key")
            .head(PAIRS)
            .collect()
        )
        if len(rows) >= 2:
            texts = rows["src_text"].to_list(), rows["tgt_text"].to_list()
            keys = rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy()
            return HeldOut(corpus.name, split, str(pair), (pair.src, pair.tgt), *texts, *keys)
    return None


def start_of(run: RunInput, baseline: str | None) -> str | None:
    """The encoder a run started from: `baseline` where given, else the run's `initial/`, else its config's `encoder`.

    None where the config names none, or one made from scratch (`scratch:tiny`), which exists only as `initial/`.
    """
    if baseline is not None:
        return baseline
    if (run.path / "initial").is_dir():
        return str(run.path / "initial")
    named = run.config.get("encoder")
    if isinstance(named, dict):
        named = named.get("name")
    return named if isinstance(named, str) and not named.startswith("scratch:") else None


def encoder_name(name: str) -> str:
    """An encoder as people call it: a hub name whole, a folder by the run that holds it."""
    parts = [p for p in PurePath(name).parts if p not in ("encoder", "initial", ".", "/")]
    return name if name.count("/") <= 1 and not name.startswith((".", "/")) else (parts[-1] if parts else name)


def _loaded(start: str, end: str, notes: list[str], required: bool) -> tuple[Encoder, Encoder] | None:
    """Both encoders, read alike; None and a note where one cannot be loaded.

    Raises `TppcError` for a start that cannot be loaded and is `required`.
    """
    from tppc.encoders.load import load_encoder

    found: dict[str, Encoder] = {}
    for role, name in (("baseline", start), ("trained", end)):
        try:
            found[role] = load_encoder(name)
        except TppcError as error:
            if required and role == "baseline":
                raise
            notes.append(f"No distances: {error}.")
            return None
    try:
        alike = read_alike({"baseline": start, "trained": end}, found)
    except TppcError as error:
        notes.append(f"No distances: {error}.")
        return None
    if differently_read(alike):
        notes.append(f"The encoders declare different ways to be read, and keep them: {describe(alike)}.")
    return alike["baseline"], alike["trained"]


def _embedded(encoder: Encoder, shown: str, sets: Sequence[HeldOut], notes: list[str]) -> list[Sides] | None:
    """Embeddings of every set; None and a note where they are not all finite numbers."""
    from tppc.encoders.embed import embed

    found = [Sides(embed(encoder, s.src), embed(encoder, s.tgt)) for s in sets]
    if all(np.isfinite(side).all() for sides in found for side in (sides.src, sides.tgt)):
        return found
    notes.append(
        f"No distances: the vectors of {shown} are not all finite numbers; look whether its training diverged."
    )
    return None


def geometry(run: RunInput, corpora: Sequence[CorpusInput], baseline: str | None) -> Geometry:
    """Distances before and after for every corpus with a held-out split.

    An encoder that cannot be loaded, or whose vectors are not finite, makes a note. Raises `TppcError` where `baseline`
    was asked for and cannot be loaded, or a held-out shard's digest differs.
    """
    start = start_of(run, baseline)
    notes = []
    if not (run.path / "encoder").is_dir():
        notes.append("The run has no encoder/ folder yet: train it to its end to see what it did to the embeddings.")
    if start is None:
        notes.append("Nothing says what the run started from: give it with --baseline.")
    if not corpora:
        notes.append("No corpus was given: add the folder of one with a held-out split.")
    sets = []
    for one in corpora:
        found = held_out(one.corpus)
        if found is None:
            notes.append(f"{one.corpus.name} has no held-out pairs: build it with --holdout dev=N,test=N.")
        else:
            sets.append(found)
    shown = "its own start" if start == str(run.path / "initial") else encoder_name(start or "")
    if start is None or not sets or not (run.path / "encoder").is_dir():
        return Geometry(shown, [], notes)
    encoders = _loaded(start, str(run.path / "encoder"), notes, required=baseline is not None)
    if encoders is None:
        return Geometry(shown, [], notes)
    before = _embedded(encoders[0], "the encoder that the run started from", sets, notes)
    after = _embedded(encoders[1], "the trained encoder", sets, notes)
    if before is None or after is None:
        return Geometry(shown, [], notes)
    panels = []
    for pairs, old, new in zip(sets, before, after, strict=True):
        partner = non_translations(pairs.src_keys, pairs.tgt_keys, SEED)
        few = slice(0, MAP_PAIRS)
        joint = joint_map(Sides(old.src[few], old.tgt[few]), Sides(new.src[few], new.tgt[few]), SEED)
        panels.append(Panel(pairs, *distances(old, new, partner, SEED), map=joint))
        if joint is None:
            notes.append(f"{pairs.corpus}: no joint map, which needs 3 pairs and two encoders of the same width.")
    return Geometry(shown, panels, notes)
