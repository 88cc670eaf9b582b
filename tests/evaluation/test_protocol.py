"""From encoders to results to tables, on tiny data."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tppc.encoders.load import Encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.data import load_task_data
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.results import Result, append_results, read_results
from tppc.evaluation.significance import paired_bootstrap, paired_by_seed
from tppc.evaluation.tables import build_table, render
from tppc.evaluation.tasks import task_named
from tppc.evaluation.tasks.task import ReadOptions

QUICK = FineTuning(epochs=2, lr=5e-3, batch_size=8)
TRAIN = "Anna\tB-PER\nlikes\tO\nParis\tB-LOC\n\nParis\tB-LOC\nlikes\tO\nAnna\tB-PER\n\n" * 8
TEST = "Paris\tB-LOC\nin\tO\n\u200c\tO\nZorro\tB-PROD\n\n" + "word\tO\n" * 60


@pytest.fixture
def ner_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ner"
    folder.mkdir()
    for name, text in {"en.train": TRAIN, "en.dev": TRAIN, "hi.test": TEST, "ja.test": TRAIN}.items():
        (folder / f"{name}.conll").write_text(text, "utf-8")
    return folder


def result(value: float, role: str = "trained", seed: int | None = 0, **changes: object) -> Result:
    """A result with the given fields changed."""
    fields = {
        "task": "ner", "language": "hi", "metric": "f1", "value": value, "n": 100, "seed": seed, "encoder": role,
        "role": role,
        "protocol": "zero-shot", "dataset": "d:test", "dataset_digest": "0", "source_language": "en",
    }  # fmt: skip
    return Result.model_validate(fields | changes)


def test_a_token_task_end_to_end(tiny: Encoder, ner_folder: Path) -> None:
    data = load_task_data(task_named("ner"), data=str(ner_folder))
    said: list[str] = []
    found = evaluate("ner", {"baseline": tiny, "trained": tiny}, data, seeds=(0, 1), config=QUICK, say=said.append)
    # (2 trivial + 2 encoders x 2 seeds) x (English dev, hi, ja)
    assert [sum(r.metric == metric for r in found) for metric in ("f1", "f1_strict")] == [6 * 3] * 2
    assert {(r.language, r.dataset) for r in found} == {("en", "ner:dev"), ("hi", "ner:test"), ("ja", "ner:test")}
    assert {r.n for r in found if r.language == "hi"} == {64}  # 4 + 60 tokens, though the encoder reads 24 subwords
    assert {r.protocol.split(";")[0] for r in found if r.role != "trivial"} == {"source-language dev", "zero-shot"}
    assert all("last checkpoint" in r.protocol for r in found if r.role != "trivial")
    assert {r.value for r in found if r.encoder == "all-O"} == {0.0}
    # The same encoder in two roles gives the same numbers: seeds decide everything.
    by_role = [[r.value for r in found if r.role == role] for role in ("baseline", "trained")]
    assert by_role[0] == by_role[1]
    assert any("hi test has labels that training never shows" in line and "B-PROD" in line for line in said)


def test_a_text_task_end_to_end(tiny: Encoder, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("good film\tpositive\nbad film\tnegative\nfilm\tneutral\n" * 8)
    (tmp_path / "hi.tsv").write_text("very good\tpositive\nvery bad\tnegative\nvery\tneutral\n" * 3)
    data = load_task_data(
        task_named("sentiment"),
        train=str(tmp_path / "train.tsv"),
        tests=[f"hi={tmp_path / 'hi.tsv'}", f"en={tmp_path / 'hi.tsv'}"],
        options=ReadOptions(neutral="drop"),
    )
    found = evaluate("sentiment", {"trained": tiny}, data, seeds=(0,), config=QUICK)
    assert {r.n for r in found} == {6}
    assert {r.dataset for r in found} == {"train.tsv (neutral dropped):test"}
    majority = next(r for r in found if r.role == "trivial" and r.metric == "macro_f1")
    assert (majority.encoder, majority.value) == ("majority (negative)", pytest.approx(1 / 3))
    kinds = {r.language: r.protocol.split(";")[0] for r in found if r.role == "trained"}
    assert kinds == {"en": "in-language", "hi": "zero-shot"}


def test_texts_that_may_have_been_cut_are_counted(tiny: Encoder, tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("good film\tpositive\n" + "bad " * 40 + "film\tnegative\n")
    data = load_task_data(task_named("sentiment"), train=str(file), tests=[f"hi={file}"])
    said: list[str] = []
    evaluate("sentiment", {"trained": tiny}, data, seeds=(0,), config=QUICK, say=said.append)
    assert "note: 2 texts fill the 24 tokens that tiny reads and may be cut" in said


def test_retrieval_end_to_end(tiny: Encoder) -> None:
    texts = [f"film {letters}" for letters in ("ab", "cd", "ef", "gh", "in")]
    pairs = Pairs("c:test", "0", "en", "hi", texts, texts, np.arange(5), np.arange(5))
    said: list[str] = []
    found = evaluate("retrieval", {"baseline": tiny, "trained": tiny}, pairs, say=said.append)
    values = {(r.role, r.metric): r.value for r in found}
    assert values["trained", "p@1"] == 1.0
    assert values["trivial", "p@1"] == pytest.approx(1 / 5)
    assert values["trivial", "mrr hi>en"] == pytest.approx(sum(1 / r for r in range(1, 6)) / 5)
    assert {(r.n, r.seed, r.language) for r in found} == {(5, None, "hi")}
    assert any("p@1 +0.0, 95% interval +0.0 to +0.0 over 5 pairs" in line for line in said)


def test_digests_follow_the_items_and_nothing_else(ner_folder: Path, tmp_path: Path) -> None:
    import gzip

    task = task_named("ner")
    first = load_task_data(task, data=str(ner_folder))
    packed = tmp_path / "packed"
    packed.mkdir()
    for file in ner_folder.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    same = load_task_data(task, data=str(packed))
    assert same.digest(same.tests["hi"]) == first.digest(first.tests["hi"])
    assert first.digest(first.tests["ja"]) != first.digest(first.tests["hi"])
    mapped = load_task_data(task, data=str(ner_folder), options=ReadOptions(labels="per-loc-org"))
    assert mapped.digest(mapped.tests["hi"]) != first.digest(first.tests["hi"])
    assert mapped.name == "ner (labels=per-loc-org)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "say what to train on"),
        ({"data": "x", "train": "y"}, "say what to train on"),
        ({"data": "x", "tests": ["hi=y"]}, "leave --dev and --test out"),
        ({"train": "x"}, "say what to test on"),
        ({"train": "x", "tests": ["y"]}, "say the language too"),
        ({"train": "x", "tests": ["hi=y", "hi=z"]}, "names hi twice"),
        ({"train": "x", "tests": ["xx-nope=y"]}, "language"),
        ({"train": "x", "dev": "hi=d", "tests": ["hi=y"]}, "development data must be of the training language"),
    ],
)
def test_requests_that_make_no_sense(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_task_data(task_named("ner"), **arguments)  # type: ignore[arg-type]


def test_folders_that_are_not_whole(tmp_path: Path) -> None:
    task = task_named("ner")
    with pytest.raises(TppcError, match="no such folder"):
        load_task_data(task, data=str(tmp_path / "none"))
    with pytest.raises(TppcError, match="one training file is wanted"):
        load_task_data(task, data=str(tmp_path))
    (tmp_path / "en.train.conll").write_text(TRAIN)
    with pytest.raises(TppcError, match="no test file"):
        load_task_data(task, data=str(tmp_path))


def test_roles_and_seeds_are_checked(tiny: Encoder, ner_folder: Path) -> None:
    data = load_task_data(task_named("ner"), data=str(ner_folder))
    with pytest.raises(UsageError, match="by role"):
        evaluate("ner", {}, data)
    with pytest.raises(UsageError, match="by role"):
        evaluate("ner", {"trivial": tiny}, data)
    with pytest.raises(UsageError, match="all different"):
        evaluate("ner", {"trained": tiny}, data, seeds=(0, 0))
    twice = [str(ner_folder), str(ner_folder / ".." / ner_folder.name)]  # one folder: a copy has no spread
    with pytest.raises(UsageError, match=f"{ner_folder.name} is given twice as control"):
        evaluate("ner", {"trained": tiny, "control": twice}, data)
    with pytest.raises(UsageError, match="hub/name is given twice as trained"):
        evaluate("ner", {"trained": ["hub/name", "hub/other", "hub/name"]}, data)


def test_the_sample_is_whole_for_every_task() -> None:
    for name in ("ner", "pos", "sentiment", "classification"):
        data = load_task_data(task_named(name), data="sample")
        assert (data.name, data.source_language, list(data.tests)) == (f"sample/{name}", "en", ["ar", "hi", "ja"])
        assert len(data.dev) >= 100
        assert all(len(items) >= 100 for items in data.tests.values())


# --- results


def test_results_are_appended_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "results.jsonl"
    append_results(path, [result(0.25), result(0.5, seed=None)])
    append_results(path, [result(0.75, encoder="\u2028 |")])
    assert [r.value for r in read_results([path])] == [0.25, 0.5, 0.75]
    assert read_results([path, path])[3:] == read_results([path])


@pytest.mark.parametrize(
    ("line", "fault"),
    [("{", "line 2: not a result"), ('{"task": "ner"}', r"line 2: not a result \(language: field required\)")],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "r.jsonl"
    append_results(path, [result(0.5)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(TppcError, match=rf"r\.jsonl, {fault}"):
        read_results([path])


def test_a_torn_file_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"task": "n')
    with pytest.raises(TppcError, match="last line is not complete"):
        append_results(path, [result(0.5)])
    assert path.read_text() == '{"task": "n'


def test_a_value_that_is_no_number_is_no_result() -> None:
    with pytest.raises(ValueError, match="finite"):
        result(math.nan)


@pytest.mark.parametrize("value", [-0.01, 1.01, 66.7])
def test_a_value_is_a_fraction(value: float) -> None:
    with pytest.raises(ValueError, match="than or equal to"):
        result(value)


# --- significance


def test_paired_t_test_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, sd 1, SE 1/sqrt(3); t = 3.4641 with 2 degrees of freedom, p = 0.0742 (tables).
    found = paired_by_seed({0: 0.0, 1: 1.0, 2: 2.0, 9: 5.0}, {0: 1.0, 1: 3.0, 2: 5.0, 8: 5.0})
    assert found is not None
    assert (found.n, found.difference) == (3, 2.0)
    assert found.standard_error == pytest.approx(1 / math.sqrt(3))
    assert found.p_value == pytest.approx(0.0742, abs=1e-4)


def test_one_seed_or_no_spread_gives_no_p_value() -> None:
    assert paired_by_seed({0: 1.0}, {1: 2.0}) is None
    one, same = paired_by_seed({0: 1.0}, {0: 2.0}), paired_by_seed({0: 1.0, 1: 2.0}, {0: 2.0, 1: 3.0})
    assert one is not None
    assert same is not None
    assert (one.standard_error, one.p_value, same.p_value) == (None, None, None)


def test_the_bootstrap_agrees_with_the_normal_interval() -> None:
    random = np.random.default_rng(1)
    before, after = random.random(400), random.random(400) + 0.1
    found = paired_bootstrap(before, after)
    error = (after - before).std(ddof=1) / 20
    assert found.difference == pytest.approx((after - before).mean())
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=error / 5)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=error / 5)
    assert found.p_value < 0.01
    assert paired_bootstrap(before, before).p_value == 1.0
    assert paired_bootstrap(before, after) == found


# --- tables


def several() -> list[Result]:
    """Three seeds of three roles, a trivial baseline, and a secondary metric."""
    found = [result(0.1, "trivial", None, protocol="trivial")]
    for role, values in {"baseline": (0.2, 0.3, 0.4), "control": (0.3, 0.3, 0.3), "trained": (0.5, 0.6, 0.9)}.items():
        found += [result(v, role, seed) for seed, v in enumerate(values)]
        found += [result(v / 2, role, seed, metric="f1_strict") for seed, v in enumerate(values)]
    return found


def test_a_row_holds_means_deviations_and_gains() -> None:
    [row] = build_table(several())
    assert (row.trivial, row.n) == (0.1, 100)
    assert row.baseline is not None
    assert row.trained is not None
    assert row.gain is not None
    assert (row.baseline.mean, row.baseline.sd, row.baseline.seeds) == (pytest.approx(0.3), pytest.approx(0.1), 3)
    assert row.gain.difference == pytest.approx(1.1 / 3)
    assert row.gain_over_control is not None
    assert row.gain_over_control.difference == pytest.approx(1.1 / 3)
    assert len(build_table(several(), all_metrics=True)) == 2


def test_results_on_other_data_or_under_another_protocol_share_no_row() -> None:
    other = [result(0.9, seed=0, dataset_digest="1"), result(0.8, seed=0, protocol="in-language")]
    rows = build_table([*several(), *other])
    assert [r.trained.mean for r in rows if r.trained] == [pytest.approx(2 / 3), 0.9, 0.8]
    assert [r.gain is None for r in rows] == [False, True, True]


def test_each_trained_encoder_has_a_row_and_repeats_do_not_count_twice() -> None:
    rows = build_table([*several(), result(0.1, seed=0, encoder="second"), result(0.2, seed=0, encoder="second")])
    assert [(r.trained.encoder, r.trained.seeds) for r in rows if r.trained] == [("trained", 3), ("second", 1)]
    assert rows[1].trained is not None
    assert rows[1].trained.mean == 0.2


def test_a_gain_over_shared_seeds_says_so_where_the_means_are_over_more() -> None:
    # The means rise, 0.4 to 0.5; over the seeds that both have they fall.
    before = [result(v, "baseline", seed) for seed, v in enumerate((0.5, 0.6, 0.1))]
    after = [result(v, "trained", seed) for seed, v in enumerate((0.4, 0.6))]
    [row] = build_table([*before, *after])
    assert row.gain is not None
    assert (row.gain.n, row.gain.before, row.gain.after) == (2, pytest.approx(0.55), pytest.approx(0.5))
    for how in ("text", "md"):
        table = render([row], how)  # type: ignore[arg-type]
        assert "-5.0 (SE 5.0, 2 shared seeds)" in table
        assert "2 to 3" in table
    [line] = csv.DictReader(io.StringIO(render([row], "csv")))
    assert line["gain_seeds"] == "2"
    assert "shared" not in render(build_table(several()), "text")
    apart = build_table([result(0.4, "baseline", 0), result(0.5, "trained", 1)])
    assert "no shared seed" in render(apart, "text")


def test_hidden_characters_of_names_are_written_out() -> None:
    rows = build_table([result(0.5, language="hi\u202e\x1b[31m", encoder="e\u202e\U000e0001")])
    for how in ("text", "md", "csv", "json"):
        table = render(rows, how)  # type: ignore[arg-type]
        assert not {"\u202e", "\x1b", "\U000e0001"} & set(table)
        assert "⟨U+202E⟩⟨U+001B⟩[31m" in table or how == "json"
    read = json.loads(render(rows, "json"))[0]
    assert (read["language"], read["trained"]["encoder"]) == ("hi\u202e\x1b[31m", "e\u202e\U000e0001")


def test_every_format_holds_the_numbers() -> None:
    rows = build_table(several())
    text, md = render(rows, "text"), render(rows, "md")
    for table in (text, md):
        assert "66.7 ± 20.8" in table
        assert "+36.7" in table
    assert len(md.split("\n")) == 3
    assert len({line.count("|") for line in md.split("\n")}) == 1
    [line] = csv.DictReader(io.StringIO(render(rows, "csv")))
    assert float(line["trained"]) == pytest.approx(2 / 3)
    assert json.loads(render(rows, "json"))[0]["gain"]["n"] == 3


def test_columns_that_nothing_fills_are_left_out() -> None:
    table = render(build_table([result(0.5)]), "md")
    assert table.split("\n")[0] == "| task | language | metric | trained | seeds | n |"
    assert render([], "text") is not None
