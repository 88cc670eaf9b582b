"""A report reads corpora, runs and results; anything else is one clear sentence."""

import gzip
import json
from pathlib import Path

import pytest
from report_inputs import make_corpus, make_results, make_run

from tppc.errors import TppcError, UsageError
from tppc.reports.collect import collect, flat, series


def test_each_kind_of_path_is_told_by_what_it_holds(tmp_path: Path) -> None:
    corpus, run = make_corpus(tmp_path / "c"), make_run(tmp_path / "r")
    results = make_results(tmp_path / "results.jsonl")
    inputs = collect([corpus, run, results])
    assert (len(inputs.corpora), len(inputs.runs), len(inputs.results)) == (1, 1, 36)


def test_results_of_a_run_are_read_with_it_and_count_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    results = make_results(run / "results.jsonl")
    assert len(collect([run]).results) == 36
    assert len(collect([run, results, results]).results) == 36


def test_the_rejects_are_capped_and_unreadable_bytes_are_shown(tmp_path: Path) -> None:
    rejects = collect([make_corpus(tmp_path / "c")]).corpora[0].rejects
    assert {k: len(v) for k, v in rejects.items()} == {"length": 20, "markup": 1, "unreadable": 1}
    assert rejects["unreadable"][0].raw == "bad \\xff byte\t<b>"


def _wrong(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def test_what_is_none_of_the_three_is_a_clear_error(tmp_path: Path) -> None:
    empty = _wrong(tmp_path, "empty")
    half_run, half_corpus = _wrong(tmp_path, "half-run"), _wrong(tmp_path, "half-corpus")
    (half_run / "config.toml").write_text("")
    (half_corpus / "data").mkdir()
    text = tmp_path / "notes.txt"
    text.write_text("x")
    metrics = make_run(tmp_path / "r") / "metrics.jsonl"
    for path, words in (
        (empty, "neither a corpus nor a run"),
        (half_run, "without metrics.jsonl"),
        (half_corpus, "unfinished"),
        (text, "neither a corpus, a run nor results"),
        (metrics, "give the run folder"),
        (tmp_path / "nowhere", "no such file or folder"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            collect([path])
        assert str(path) in str(caught.value)
    with pytest.raises(UsageError, match="nothing to report on"):
        collect([])


def test_damaged_files_are_named_with_their_line(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c")
    with gzip.open(corpus / "rejects.jsonl.gz", "wt") as file:
        file.write('{"reason": "a", "source_id": "1"}\nnot json\n')
    with pytest.raises(TppcError, match=r"rejects.jsonl.gz, line 2: not a reject"):
        collect([corpus])
    whole = gzip.compress(json.dumps({"reason": "a"}).encode() * 1000)
    (corpus / "rejects.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(TppcError, match=r"rejects.jsonl.gz"):
        collect([corpus])
    run = make_run(tmp_path / "r")
    (run / "config.toml").write_text("a = ")
    with pytest.raises(TppcError, match="not TOML"):
        collect([run])


def test_a_damaged_shard_is_one_sentence(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c")
    next(corpus.glob("data/*/train-*")).write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(TppcError, match="train shards cannot be read"):
        collect([corpus])


def test_series_takes_finite_numbers_only() -> None:
    rows = [{"step": 1, "losses": {"tpp": 2.0}}, {"step": 2, "losses": {"tpp": float("nan")}}, {"step": 3, "losses": 4}]
    assert series(rows, "losses", "tpp") == ([1.0], [2.0])


def test_a_config_tree_becomes_dotted_names() -> None:
    tree = {"b": {"c": 1, "d": {"e": [1, 2]}}, "a": "x", "t": [{"p": True}]}
    assert list(flat(tree)) == [("a", "x"), ("b.c", "1"), ("b.d.e", "[1, 2]"), ("t[0].p", "true")]
