"""Measure the spaces of several encoders on the same pairs, layer by layer and as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tppc.encoders.layers import layer_vectors
from tppc.encoders.margin import pair_margins, rowwise
from tppc.encoders.neighbours import unit
from tppc.encoders.ranking import ranks
from tppc.errors import TppcError
from tppc.evaluation.alike import describe, differently_read, load_alike
from tppc.evaluation.diagnostics.measures import (
    cka,
    language_means_off,
    language_probe,
    occurrences,
    own_language_nearest,
    skewness,
)
from tppc.evaluation.groups import groups_of_pairs
from tppc.evaluation.overlap import overlaps
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.protocol import device_for
from tppc.evaluation.results import Role
from tppc.evaluation.tasks import retrieval
from tppc.evaluation.tasks.similarity import wrong_targets
from tppc.evaluation.untrained import vectors

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

Say = Callable[[str], None]
MARGIN_NEIGHBOURS = 4
_SEED = 0  # of the draw of pairs that are no translations


class Diagnostic(BaseModel):
    """One measured number.

    Attributes:
        measure: what; see docs/diagnostics.md. A direction stands behind it, as in `hubness en>hi`.
        layer: whose states were pooled, 0 the embeddings; null for the encoder as it is read.
        src_lang, tgt_lang: the languages of the pairs.
        value: no fraction in general. n: pairs.
        encoder, role, protocol, dataset, dataset_digest: as in a task's result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    measure: str
    layer: int | None
    src_lang: str
    tgt_lang: str
    value: float
    n: int = Field(ge=1)
    encoder: str
    role: Role
    protocol: str
    dataset: str
    dataset_digest: str


@dataclass(frozen=True)
class Measured:
    """A number and, where it is a mean over pairs, the number of each, [n], in the order of the pairs."""

    diagnostic: Diagnostic
    items: np.ndarray | None


@dataclass(frozen=True)
class _Scene:
    """What every encoder is measured on: pairs, for each source a target that is no translation, groups of pairs."""

    pairs: Pairs
    rows: np.ndarray
    wrong: np.ndarray
    groups: np.ndarray


def diagnose(
    encoders: Mapping[Role, str | Encoder],
    pairs: Pairs,
    *,
    by_layer: bool = True,
    pooling: str | None = None,
    prefix: str | None = None,
    device: str | None = None,
    say: Say = lambda line: None,
) -> list[Measured]:
    """Measure encoders, given by role, on the same pairs; what needs no encoder comes first, as role `trivial`.

    Args:
        by_layer: also measure each layer. The other arguments are those of `evaluate`.

    Raises `TppcError` for fewer than two pairs that share no text, and as `evaluate` does.
    """
    rows, wrong = wrong_targets(pairs, _SEED)
    groups = groups_of_pairs(pairs.src_key, pairs.tgt_key)
    if not len(rows) or len(np.unique(groups)) < 2:
        raise TppcError(f"{pairs.name}: every text is a translation of every other; give more pairs")
    for one in overlaps(pairs, [name for name in encoders.values() if isinstance(name, str)]):
        say(str(one))
    scene = _Scene(pairs, rows, wrong, groups)
    loaded = load_alike(encoders, pooling=pooling, prefix=prefix, device=device_for(device))
    read = describe(loaded)
    if differently_read(loaded):
        say(f"note: the encoders declare different ways to be read, and keep them: {read}")
    found = [*_without_encoder(pairs)]
    for role, encoder in loaded.items():
        how = {"role": role, "encoder": encoder.name, "protocol": f"no training; seed {_SEED}; {read}"}

        def record(measure: str, value: float, items: np.ndarray | None, layer: int | None) -> None:
            made = _diagnostic(pairs, measure, value, layer=layer, **how)  # noqa: B023  (called before the next)
            found.append(Measured(made, items))

        src, tgt = vectors(encoder, pairs.src), vectors(encoder, pairs.tgt)
        for measure, value, items in [*_space(scene, src, tgt), *_of_whole(scene, src, tgt)]:
            record(measure, value, items, None)
        if by_layer:
            layers = layer_vectors(encoder, pairs.src), layer_vectors(encoder, pairs.tgt)
            for layer, (left, right) in enumerate(zip(*layers, strict=True)):
                for measure, value, items in [*_space(scene, left, right), *_alignment(scene, left, right)]:
                    record(measure, value, items, layer)
        said = {one.diagnostic.measure: one.diagnostic.value for one in found if one.diagnostic.layer is None}
        say(
            f"diagnose {role} {pairs.src_lang}-{pairs.tgt_lang}: cosine of translations "
            f"{said['cosine translations']:.3f}, of others {said['cosine others']:.3f}, p@1 {100 * said['p@1']:.1f} "
            f"({encoder.pooling} pooling, {len(pairs.src)} pairs)"
        )
    return found


_Numbers = Iterator[tuple[str, float, np.ndarray | None]]


def _space(scene: _Scene, src: np.ndarray, tgt: np.ndarray) -> _Numbers:
    """What is asked of every layer and of the encoder as it is read."""
    left, right = unit(src), unit(tgt)
    own = rowwise(left, right)
    others = rowwise(left[scene.rows], right[scene.wrong])
    yield "cosine translations", float(own.mean()), own
    yield "cosine others", float(others.mean()), others
    yield "cosine gap", float(own[scene.rows].mean() - others.mean()), own[scene.rows] - others
    hits = _hits(scene.pairs, src, tgt)
    yield "p@1", float(hits.mean()), hits
    yield "language probe", language_probe(src, tgt, scene.groups), None


def _of_whole(scene: _Scene, src: np.ndarray, tgt: np.ndarray) -> _Numbers:
    """What is asked of the encoder as it is read alone."""
    pairs = scene.pairs
    margins = pair_margins(src, tgt, pairs.src_key, pairs.tgt_key, k=MARGIN_NEIGHBOURS, centre=False)
    margins = margins[np.isfinite(margins)]
    yield "margin", float(margins.mean()), margins
    firsts = [np.unique(key, return_index=True)[1] for key in (pairs.src_key, pairs.tgt_key)]
    hubs = [
        skewness(occurrences(src[firsts[0]], tgt[firsts[1]])),
        skewness(occurrences(tgt[firsts[1]], src[firsts[0]])),
    ]
    yield "hubness", sum(hubs) / 2, None
    yield f"hubness {pairs.src_lang}>{pairs.tgt_lang}", hubs[0], None
    yield f"hubness {pairs.tgt_lang}>{pairs.src_lang}", hubs[1], None
    left, right = language_means_off(src, tgt, pairs.src_key, pairs.tgt_key)
    hits = _hits(pairs, left, right)
    yield "p@1 centred", float(hits.mean()), hits
    yield "own language nearest", own_language_nearest(src[firsts[0]], tgt[firsts[1]]), None
    yield "own language nearest centred", own_language_nearest(left[firsts[0]], right[firsts[1]]), None


def _alignment(scene: _Scene, src: np.ndarray, tgt: np.ndarray) -> _Numbers:
    """Likeness of the two sides' geometry, and what it is for rows that do not belong together."""
    yield "cka", cka(src, tgt), None
    yield "cka others", cka(src[scene.rows], tgt[scene.wrong]), None


def _hits(pairs: Pairs, src: np.ndarray, tgt: np.ndarray) -> np.ndarray:
    """For each pair the mean of both directions of whether the nearest text is a translation, [n]."""
    forth = ranks(src, tgt, pairs.src_key, pairs.tgt_key) == 1
    back = ranks(tgt, src, pairs.tgt_key, pairs.src_key) == 1
    hits: np.ndarray = (forth.astype(np.float64) + back) / 2
    return hits


def _without_encoder(pairs: Pairs) -> Iterator[Measured]:
    chance = retrieval.score_by_chance(pairs)["p@1"]
    nearest = _own_language_by_chance(pairs)
    values = (
        ("p@1", chance),
        ("p@1 centred", chance),
        ("language probe", 0.5),
        ("own language nearest", nearest),
        ("own language nearest centred", nearest),
    )
    for measure, value in values:
        how = "trivial; exact expectation"
        yield Measured(
            _diagnostic(pairs, measure, value, layer=None, role="trivial", encoder="chance", protocol=how), None
        )


def _own_language_by_chance(pairs: Pairs) -> float:
    """The share of a text's other texts that are in its own language, over all distinct texts."""
    n, m = len(np.unique(pairs.src_key)), len(np.unique(pairs.tgt_key))
    return (n * (n - 1) + m * (m - 1)) / ((n + m) * (n + m - 1))


def _diagnostic(pairs: Pairs, measure: str, value: float, **more: object) -> Diagnostic:
    return Diagnostic.model_validate(
        {
            "measure": measure,
            "src_lang": pairs.src_lang,
            "tgt_lang": pairs.tgt_lang,
            "value": value,
            "n": len(pairs.src),
            "dataset": pairs.name,
            "dataset_digest": pairs.digest,
            **more,
        }
    )
