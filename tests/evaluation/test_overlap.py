"""Training on the test is found out: pairs, labelled texts, and treebanks that are translations of each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from factory import write_corpus

from tppc.corpora.corpus import Corpus
from tppc.encoders.load import Encoder, save_encoder
from tppc.evaluation.data import TaskData, load_task_data
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.overlap import corpus_overlaps, overlaps, task_overlaps
from tppc.evaluation.pairs import load_pairs
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.tasks import task_named
from tppc.evaluation.tasks.bitext import sides_of

Write = Callable[[str, str], Path]


def run_of(folder: Path, *corpora: Path, start: str = "") -> str:
    """The encoder folder of a run that was trained on these corpora."""
    (folder / "encoder").mkdir(parents=True)
    entries = "".join(f'[[corpora]]\npath = "{path}"\n' for path in corpora)
    (folder / "config.toml").write_text(f'encoder = "{start}"\n{entries}')
    return str(folder / "encoder")


def conllu(sentences: dict[str, str]) -> str:
    """Sentences by their id, one word tagged NOUN after another."""
    blocks = [
        f"# sent_id = {identity}\n"
        + "".join(f"{i}\t{word}\t_\tNOUN" + "\t_" * 6 + "\n" for i, word in enumerate(text.split(), 1))
        for identity, text in sentences.items()
    ]
    return "\n".join(blocks) + "\n"


def pos(write: Write, train: tuple[str, dict[str, str]], test: tuple[str, dict[str, str]]) -> TaskData:
    files = [write(name, conllu(sentences)) for name, sentences in (train, test)]
    return load_task_data(task_named("pos"), train=str(files[0]), tests=[f"hi={files[1]}"])


def test_pairs_that_were_trained_on_are_counted(tmp_path: Path) -> None:
    rows = [(f"text {i}", f"पाठ {i}") for i in range(30)]
    trained = write_corpus(tmp_path / "trained", {"train": rows[:20]})
    tested = load_pairs(Corpus(write_corpus(tmp_path / "tested", {"train": rows[:5], "test": rows[17:]})))
    assert overlaps(tested, ["some/encoder"]) == []
    encoder = run_of(tmp_path / "run", trained)
    (found,) = overlaps(tested, [encoder, encoder])
    assert (found.shared, found.of) == (3, 13)
    assert str(found).startswith("LEAK: 3 of 13 tested pairs of made/en-hi:test are in ")
    assert overlaps(sides_of(tested), [encoder]) == [found]
    clean = load_pairs(Corpus(write_corpus(tmp_path / "clean", {"test": rows[20:]})))
    assert overlaps(clean, [encoder]) == []
    later = run_of(tmp_path / "later", start=encoder)  # trained further, on nothing of the kind
    assert [one.shared for one in overlaps(tested, [later])] == [3]
    untouched = str(tmp_path / "run" / "initial")  # the start that a run keeps saw nothing, nor did what starts there
    assert overlaps(tested, [untouched, run_of(tmp_path / "other", start=untouched)]) == []
    (trained / "manifest.json").unlink()
    (unknown,) = overlaps(clean, [encoder])
    assert "is not known" in str(unknown)


def test_tokens_are_compared_with_texts_that_have_other_spaces(write: Write, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "c", {"train": [("Anna, come here!", "अन्ना, यहाँ आओ!"), ("other", "अन्य")]})
    encoder = run_of(tmp_path / "run", corpus)
    data = pos(write, ("train.conllu", {"a": "something else"}), ("t.conllu", {"b": "अन्ना , यहाँ आओ !", "c": "नया"}))
    (found,) = corpus_overlaps(encoder, data)
    assert (found.tested, found.shared, found.of) == ("hi test texts", 1, 2)
    assert task_overlaps(data) == []


def test_test_texts_that_were_learnt_from_are_counted(write: Write) -> None:
    lines = "good film\tpositive\nbad film\tnegative\n"
    train, dev = write("train.tsv", lines), write("dev.tsv", "a new film\tpositive\n")
    test = write("test.tsv", "Good  film\tpositive\na new film\tpositive\nother\tnegative\n")
    data = load_task_data(task_named("sentiment"), train=str(train), dev=str(dev), tests=[f"hi={test}"])
    assert [(o.tested, o.trained, o.shared, o.of) for o in task_overlaps(data)] == [
        ("hi test texts", "the training set", 1, 3),
        ("hi test texts", "the development set", 1, 3),
    ]


PUD = {"n01001011": "one two", "w01001013": "three"}


@pytest.mark.parametrize(
    ("train", "test", "flagged"),
    [
        (("en_pud-ud-test.conllu", PUD), ("hi_pud-ud-test.conllu", {i: f"{t} hi" for i, t in PUD.items()}), 2),
        (("en.conllu", PUD), ("hi.conllu", {"n01001011": "एक दो", "n99999999": "तीन"}), 1),
        (("en_pud.conllu", {"1": "one"}), ("hi_pud.conllu", {"1": "एक"}), 1),  # no ids: by name
        (("en_pud.conllu", PUD), ("hi_pud.conllu", {"n99999999": "एक"}), 0),  # the ids say that they are others
        (("en_gum.conllu", {"dev-s1": "one"}), ("hi_hdtb.conllu", {"dev-s1": "एक"}), 0),  # everybody's id
        (("en_gum.conllu", {"1": "one"}), ("hi_pud.conllu", PUD), 0),
        (("pudding.conllu", {"1": "one"}), ("impudent.conllu", {"1": "एक"}), 0),
    ],
)
def test_parallel_treebanks_are_flagged(
    write: Write, train: tuple[str, dict[str, str]], test: tuple[str, dict[str, str]], flagged: int
) -> None:
    found = task_overlaps(pos(write, train, test))
    assert [one.shared for one in found if one.parallel] == [flagged] * (flagged > 0)


def test_a_leak_is_said_and_stands_in_every_result(write: Write, tiny: Encoder, tmp_path: Path) -> None:
    data = pos(write, ("en_pud.conllu", PUD), ("hi_pud.conllu", {i: f"{t} hi" for i, t in PUD.items()}))
    corpus = write_corpus(tmp_path / "c", {"train": [("onetwo hi", "x")]})
    save_encoder(tiny, Path(run_of(tmp_path / "run", corpus)))
    said: list[str] = []
    config = FineTuning(epochs=1, batch_size=2)
    found = evaluate("pos", {"trained": str(tmp_path / "run/encoder")}, data, (0,), config, say=said.append)
    assert {"LEAK: parallel" in r.dataset for r in found} == {True}
    leaks = [line for line in said if line.startswith("LEAK: ")]
    assert len(leaks) == 2
    assert "2 of 2 hi test sentences are in the training set, in another language" in leaks[0]
    assert "1 of 2 hi test texts are in " in leaks[1]
