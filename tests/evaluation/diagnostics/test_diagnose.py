"""Diagnoses of tiny encoders: what is measured, how it is kept, how it is shown."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cipher import cipher_pairs

from tppc.corpora.keys import side_keys
from tppc.encoders.load import Encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.diagnostics.diagnose import Diagnostic, Measured, diagnose
from tppc.evaluation.diagnostics.table import build_rows, render_rows
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.results import append_results


def pairs(rows: list[tuple[str, str]]) -> Pairs:
    src, tgt = (list(side) for side in zip(*rows, strict=True))
    return Pairs("made:test", "0", "en", "hi", src, tgt, side_keys(src), side_keys(tgt))


@pytest.fixture(scope="module")
def measured(tiny: Encoder) -> list[Measured]:
    """The tiny encoder, and the same one with every text in one place, on pairs that are the same on both sides."""
    collapsed = replace(tiny, name="collapsed", model=copy.deepcopy(tiny.model))
    with torch.no_grad():
        for layer in collapsed.model.encoder.layer:
            layer.output.LayerNorm.weight.zero_()
            layer.output.LayerNorm.bias.fill_(1.0)
    rows = [(f"{a} {i}", f"{a}  {i}") for i, (a, _) in enumerate(cipher_pairs(25, 0))]
    return diagnose({"baseline": collapsed, "trained": tiny}, pairs(rows))


def test_a_collapse_and_perfect_translations_look_like_it(measured: list[Measured]) -> None:
    rows = {(row.measure, row.layer): row for row in build_rows(measured)}
    gap, found = rows["cosine gap", None], rows["p@1", None]
    assert gap.baseline == pytest.approx(0.0, abs=1e-6)
    assert gap.trained is not None
    assert gap.trained > 0
    assert (found.baseline, found.trained, found.trivial) == (0.0, 1.0, 1 / 25)
    assert rows["cosine translations", None].trained == pytest.approx(1.0)
    assert rows["cka", 2].trained == pytest.approx(1.0)
    assert rows["cka", 2].baseline == 0.0
    assert rows["cka", 0].baseline == rows["cka", 0].trained  # the embeddings are the same
    margin = rows["margin", None].trained
    assert margin is not None
    assert margin > 1
    assert (found.gain, found.low, found.high) == (1.0, 1.0, 1.0)
    assert rows["hubness", None].low is None


def test_every_layer_is_measured_and_each_number_can_be_kept(measured: list[Measured], tmp_path: Path) -> None:
    layers = {m.diagnostic.layer for m in measured if m.diagnostic.measure == "cka"}
    assert layers == {0, 1, 2}
    append_results(tmp_path / "d.jsonl", [m.diagnostic for m in measured])
    lines = (tmp_path / "d.jsonl").read_text().splitlines()
    assert [Diagnostic.model_validate_json(line) for line in lines] == [m.diagnostic for m in measured]
    assert {m.diagnostic.protocol.split(";")[0] for m in measured} == {"trivial", "no training"}


def test_the_table_in_every_form(measured: list[Measured]) -> None:
    rows = build_rows(measured)
    shown = json.loads(render_rows(rows, "json"))
    listed = list(csv.DictReader(io.StringIO(render_rows(rows, "csv"))))
    assert len(shown) == len(listed) == len(rows)
    assert [row["measure"] for row in shown] == [row["measure"] for row in listed]
    text = render_rows(rows, "md")
    assert "| p@1 | 4.0 | 0.0 | 100.0 | +100.0 | +100.0 to +100.0 |" in text
    assert "| layer | cka | cka others | cosine gap | p@1 | language probe |" in text
    assert "made:test, 25 pairs, as the encoders are read:" in text
    one = [m for m in measured if m.diagnostic.role in ("trivial", "trained") and m.diagnostic.layer is None]
    assert "baseline" not in render_rows(build_rows(one), "text")


def test_every_measure_is_documented(measured: list[Measured]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "diagnostics.md").read_text()
    measures = {m.diagnostic.measure for m in measured if ">" not in m.diagnostic.measure}
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(.*?)`", row)} == measures


def test_what_cannot_be_diagnosed_is_refused(tiny: Encoder) -> None:
    with pytest.raises(TppcError, match="every text is a translation of every other"):
        diagnose({"trained": tiny}, pairs([("one", "एक"), ("one", "दो")]))
    with pytest.raises(UsageError, match="--device nonsense"):
        diagnose({"trained": tiny}, pairs([("one", "एक"), ("two", "दो")]), device="nonsense")
