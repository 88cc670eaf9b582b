"""The page as a whole: what it shows, what it escapes, and that its bytes follow from its inputs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from factory import described_mixture
from report_inputs import (
    IMAGE,
    SCRIPT,
    StandIn,
    make_corpus,
    make_results,
    make_run,
    stand_in_embed,
    stand_in_load,
    texts,
)
from typer.testing import CliRunner

from tppc.cli.report import register
from tppc.corpora.corpus import Corpus
from tppc.corpora.manifest import Funnel
from tppc.errors import TppcError, UsageError
from tppc.reports.before_after import encoder_name, geometry, held_out
from tppc.reports.collect import collect
from tppc.reports.report import write_report
from tppc.reports.sections import Alarm, alarms_of, funnel_steps


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders without a model."""
    monkeypatch.setattr("tppc.encoders.load.load_encoder", stand_in_load)
    monkeypatch.setattr("tppc.encoders.embed.embed", stand_in_embed)


def _page(tmp_path: Path, *paths: Path, **more: str) -> str:
    return write_report(paths, tmp_path / "report.html", **more).read_text("utf-8")


def test_funnel_steps_lead_from_all_rows_to_the_kept_ones() -> None:
    kept = {"train": 50, "dev": 10}
    funnel = Funnel(read=100, rejected={"a": 5, "b": 20}, deduplicated=10, dropped={"holdout": 5}, kept=kept)
    steps = funnel_steps(funnel)
    assert [(s.label, s.rows, s.left) for s in steps] == [
        ("rows read", 100, 100), ("b", 20, 80), ("a", 5, 75), ("exact duplicates", 10, 65), ("holdout", 5, 60),
        ("kept: train", 50, 50), ("kept: dev", 10, 10),
    ]  # fmt: skip
    assert funnel_steps(Funnel())[0].share == 0.0


@pytest.mark.usefixtures("stand_ins")
def test_the_page_has_every_section_and_its_bytes_follow_from_its_inputs(tmp_path: Path) -> None:
    paths = [make_corpus(tmp_path / "c"), make_run(tmp_path / "run"), make_results(tmp_path / "results.jsonl")]
    page = _page(tmp_path, *paths)
    for section in ("summary", "corpora", "training", "geometry", "results"):
        assert f'<section id="{section}"' in page
    assert page == _page(tmp_path, *paths)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert not re.search(r'(?:src|href)="(?!#|data:,)', page.replace("src=x", ""))
    assert str(tmp_path) not in page


def test_hostile_text_is_escaped_everywhere(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c")
    run = make_run(tmp_path / "run", encoder=False)
    page = _page(tmp_path, corpus, run)
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("</style>") == 1
    assert "\u202e" not in page
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in page
    assert "&lt;img src=x onerror=" in page
    assert "{{ 7*7 }} {% raw %}" in page
    assert [c for c in page if not c.isprintable() and c != "\n"] == []


def test_the_gains_are_those_of_the_results(tmp_path: Path) -> None:
    page = _page(tmp_path, make_results(tmp_path / "results.jsonl"))
    assert "+21.0" in page  # NER: .52 - .31, in both languages
    assert "Trained − control" in page
    assert "Fewer than three seeds" not in page
    assert "Fewer than three seeds" in _page(tmp_path, make_results(tmp_path / "one.jsonl", seeds=1))


def test_a_funnel_that_does_not_add_up_is_called_out(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c")
    manifest = json.loads((corpus / "manifest.json").read_bytes())
    assert "do not add up" not in _page(tmp_path, corpus)
    manifest["funnel"]["read"] += 5
    (corpus / "manifest.json").write_text(json.dumps(manifest))
    assert "do not add up: 5 rows" in _page(tmp_path, corpus)


@pytest.mark.usefixtures("stand_ins")
def test_geometry_measures_the_held_out_pairs_of_each_corpus(tmp_path: Path) -> None:
    corpora = [make_corpus(tmp_path / "hi"), make_corpus(tmp_path / "ja", "ja", test=30)]
    inputs = collect([*corpora, make_run(tmp_path / "r")])
    found = geometry(inputs.runs[0], inputs.corpora, None)
    assert [(p.held_out.pair, p.held_out.split, p.cosine.pairs.n) for p in found.panels] == [
        ("en-hi", "test", 20), ("en-ja", "test", 30),
    ]  # fmt: skip
    assert all(p.cosine.pairs.high < 0 for p in found.panels)
    assert found.baseline == "its own start"
    assert geometry(inputs.runs[0], inputs.corpora, "org/some-encoder").baseline == "org/some-encoder"


def test_what_geometry_lacks_is_said(tmp_path: Path) -> None:
    no_test = make_corpus(tmp_path / "c", test=1)
    inputs = collect([no_test, make_run(tmp_path / "r", encoder=False)])
    found = geometry(inputs.runs[0], inputs.corpora, None)
    assert found.panels == []
    assert [n.split(":")[0] for n in found.notes] == [
        "The run has no encoder/ folder yet", "Nothing says what the run started from",
        "wikimatrix/en-hi has no held-out pairs",
    ]  # fmt: skip


def test_an_encoder_that_cannot_be_loaded_is_a_note_and_the_page_is_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")  # its encoder folders are empty
    page = _page(tmp_path, make_corpus(tmp_path / "c"), run)
    assert "No distances: " in page
    assert "no encoder there" in page
    with pytest.raises(TppcError, match="no encoder there"):
        _page(tmp_path, tmp_path / "c", run, baseline=str(run / "nowhere"))


def test_vectors_that_are_not_finite_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def embed(encoder: StandIn, sentences: list[str]) -> np.ndarray:
        return stand_in_embed(encoder, sentences) * (np.nan if encoder.name.endswith("encoder") else 1.0)

    monkeypatch.setattr("tppc.encoders.load.load_encoder", stand_in_load)
    monkeypatch.setattr("tppc.encoders.embed.embed", embed)
    page = _page(tmp_path, make_corpus(tmp_path / "c"), make_run(tmp_path / "r"))
    assert "No distances: the vectors of the trained encoder are not all finite numbers" in page


def test_alarms_of_consecutive_lines_are_one(tmp_path: Path) -> None:
    rows = [{"step": s, "alarms": a} for s, a in ((10, ["x"]), (20, ["x", "y"]), (30, ["x"]), (40, []), (50, ["x"]))]
    assert alarms_of(rows) == [Alarm(10, 30, "x"), Alarm(20, 20, "y"), Alarm(50, 50, "x")]
    run = make_run(tmp_path / "r", encoder=False)
    lines = [{"step": s, "loss": 1.0, "cos_pos": 0.5, "alarms": ["collapse"]} for s in range(1, 3_001)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = _page(tmp_path, run)
    assert len(page) < 100_000
    assert "steps 1 to 3,000: " in page
    assert "3,000 alarms" in page


def test_a_change_over_shared_seeds_says_so(tmp_path: Path) -> None:
    results = make_results(tmp_path / "results.jsonl")
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    kept = [one for one in lines if (one["role"], one["seed"]) != ("trained", 2)]
    results.write_text("".join(json.dumps(one) + "\n" for one in kept))
    page = _page(tmp_path, results)
    assert "(2 shared seeds)" in page
    assert "f1 29.5 → 50.5 over the baseline" in page


def test_held_out_pairs_of_a_changed_shard_are_refused(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c")
    shard = next(corpus.glob("data/*/test-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"X")
    with pytest.raises(TppcError, match="SHA-256 differs"):
        held_out(Corpus(corpus))


def test_an_encoder_that_was_not_trained_changes_no_distance(tmp_path: Path) -> None:
    from tppc.encoders.load import save_encoder
    from tppc.encoders.scratch import make_encoder

    run = make_run(tmp_path / "r")
    encoder = make_encoder("scratch:tiny", [t for side in texts("hi", 20) for t in side], seed=0)
    for name in ("initial", "encoder"):
        save_encoder(encoder, run / name)
    inputs = collect([make_corpus(tmp_path / "c"), run])
    panel = geometry(inputs.runs[0], inputs.corpora, None).panels[0]
    assert panel.cosine.pairs.mean == 0.0
    assert panel.l2.pairs.mean == 0.0
    assert panel.cosine.separation_before == panel.cosine.separation_after


def test_encoders_are_called_by_the_name_people_use() -> None:
    assert encoder_name("bert-base-multilingual-cased") == "bert-base-multilingual-cased"
    assert encoder_name("org/model") == "org/model"
    assert encoder_name("runs/en-hi-tpp/encoder") == "en-hi-tpp"
    assert encoder_name("/somewhere/runs/en-hi-tpp/initial") == "en-hi-tpp"


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    results = make_results(tmp_path / "results.jsonl")
    with pytest.raises(UsageError, match="a folder"):
        write_report([results], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TppcError, match="cannot be written"):
        write_report([results], tmp_path / "file" / "report.html")
    with pytest.raises(UsageError, match="without a run"):
        write_report([results], tmp_path / "r.html", baseline="x")
    assert not (tmp_path / "r.html").exists()


def test_the_command_writes_the_page_and_says_where(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    out = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["report", str(make_corpus(tmp_path / "c")), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    assert SCRIPT not in out.read_text("utf-8")
    assert IMAGE not in out.read_text("utf-8")


def test_the_command_imports_nothing_heavy_until_it_runs() -> None:
    heavy = "{'matplotlib', 'polars', 'torch', 'jinja2', 'numpy', 'sklearn'}"
    code = f"import sys, tppc.cli.report; sys.exit(bool({heavy} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0


def test_a_mixture_of_several_pairs_is_shown_whole(tmp_path: Path) -> None:
    corpus = described_mixture(tmp_path / "mixture")
    page = _page(tmp_path, corpus.path)
    assert "2 pairs: English and Hindi; English and Japanese" in page
    assert "<td>en-hi, en-ja</td><td>one, two</td>" in page
    found = held_out(corpus)
    assert found is None  # a single held-out row is too few to measure anything
