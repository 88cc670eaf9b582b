"""An encoder that was trained on the test is found out."""

from __future__ import annotations

from pathlib import Path

from factory import write_corpus

from tppc.corpora.corpus import Corpus
from tppc.evaluation.overlap import overlap_notes


def test_pairs_that_were_trained_on_are_counted(tmp_path: Path) -> None:
    pairs = [(f"text {i}", f"पाठ {i}") for i in range(30)]
    trained = write_corpus(tmp_path / "trained", {"train": pairs[:20]})
    tested = Corpus(write_corpus(tmp_path / "tested", {"train": pairs[:5], "test": pairs[17:]}))
    run = tmp_path / "run"
    (run / "encoder").mkdir(parents=True)
    assert overlap_notes(str(run / "encoder"), tested, "test") == []
    (run / "config.toml").write_text(f'[[corpora]]\npath = "{trained}"\n')
    (note,) = overlap_notes(str(run / "encoder"), tested, "test")
    assert note.startswith("LEAK: 3 of 13 tested pairs")
    clean = Corpus(write_corpus(tmp_path / "clean", {"test": pairs[20:]}))
    assert overlap_notes(str(run / "encoder"), clean, "test") == []
    (trained / "manifest.json").unlink()
    assert "overlap with the test is not known" in overlap_notes(str(run / "encoder"), clean, "test")[0]
