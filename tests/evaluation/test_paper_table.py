"""Tables: runs and seeds, starts and recipes, Holm's correction, the paper's layout, LaTeX."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tppc.encoders.load import Encoder
from tppc.errors import UsageError
from tppc.evaluation.compared import by_model, incomplete
from tppc.evaluation.drawing import draw, latex_text
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.paper_table import paper_table, render_paper
from tppc.evaluation.predictions import Predictions, results_of
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.results import Result
from tppc.evaluation.tables import build_table, render


def result(value: float, role: str = "trained", seed: int | None = 0, **changes: object) -> Result:
    """A result with the given fields changed."""
    fields = {
        "task": "ner", "language": "hi", "metric": "f1", "value": value, "n": 100, "seed": seed, "encoder": role,
        "role": role, "protocol": "zero-shot", "dataset": "d:test", "dataset_digest": "0", "source_language": "en",
    }  # fmt: skip
    return Result.model_validate(fields | changes)


def test_runs_are_what_is_paired_where_there_are_several() -> None:
    base = [result(v, "baseline", seed) for seed, v in enumerate((0.2, 0.4))]
    runs = {0: (0.3, 0.5), 1: (0.5, 0.7), 2: (0.4, 0.6)}
    trained = [result(v, seed=seed, run=run) for run, values in runs.items() for seed, v in enumerate(values)]
    [row] = build_table([*base, *trained])
    assert row.trained is not None
    assert row.gain is not None
    assert (row.trained.mean, row.trained.seeds, row.trained.runs) == (pytest.approx(0.5), 2, 3)
    # Run means over the baseline's mean of 0.3: +0.1, +0.3, +0.2; the standard error is 0.1 / sqrt(3), not over six.
    assert (row.gain.unit, row.gain.n, row.gain.difference) == ("run", 3, pytest.approx(0.2))
    assert row.gain.standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert "| runs | seeds |" in render([row], "md")


def test_only_encoders_of_one_start_and_recipe_are_compared() -> None:
    found = []
    for start, shift in (("a", 0.0), ("b", 0.3)):
        found.append(result(0.1 + shift, "baseline", encoder=start, start=start))
        for recipe, gain in (("tt", 0.1), ("wd", 0.2)):
            name = f"{start} + {recipe}"
            found.append(result(0.1 + shift + gain, encoder=name, start=start, recipe=recipe))
            found.append(result(0.1 + shift, "control", encoder=f"{name}, shuffled", start=start, recipe=recipe))
    rows = build_table(found)
    assert len(rows) == 4
    for row in rows:
        assert row.trained is not None
        assert row.baseline is not None
        assert row.control is not None
        assert row.trained.start == row.baseline.encoder
        assert row.control.encoder == f"{row.trained.encoder}, shuffled"
    lines = [line.name for line in paper_table(rows).lines]
    assert lines == [
        "a", "a + tt, shuffled", "a + tt", "a + wd, shuffled", "a + wd",
        "b", "b + tt, shuffled", "b + tt", "b + wd, shuffled", "b + wd",
    ]  # fmt: skip


def paper_rows() -> list[Result]:
    """The paper's Japanese and Hindi NER of mBERT and TPP(TT), each seed a tenth of a point apart."""
    found = [result(0.0, "trivial", None, language=code, encoder="all-O") for code in ("hi", "ja")]
    for seed in range(3):
        for role, values in {"baseline": (0.211, 0.165), "control": (0.212, 0.166), "trained": (0.231, 0.278)}.items():
            for code, value in zip(("hi", "ja"), values, strict=True):
                found.append(result(value + (seed - 1) / 1000, role, seed, language=code))
    return found


def test_the_papers_layout_has_relative_changes() -> None:
    table = render_paper(paper_table(build_table(paper_rows())), "md")
    header, _, trivial, baseline, control, trained = table.split("\n")[:6]
    assert header == "| encoder | ner f1 hi | ner f1 ja | ner Δ |"
    assert trivial == "| trivial (best) | 0.0 | 0.0 |  |"
    assert baseline == "| baseline | 21.1 ± 0.1 | 16.5 ± 0.1 |  |"
    assert control.startswith("| control | 21.2 ± 0.1 (+0.5%) |")
    # The paper prints +9.5 and +68.5 for these.
    assert trained == "| trained | 23.1 ± 0.1 (+9.5%) | 27.8 ± 0.1 (+68.5%) | +39.0% |"
    assert "relative to it in per cent" in table
    assert "One pretraining run of each kind" in table


def test_marks_are_of_corrected_p_values() -> None:
    found = []
    for number in range(10):
        for seed in range(3):
            code = f"d{number}"
            found.append(result(0.5 + seed / 100, "baseline", seed, dataset_digest=code, dataset=f"{code}:test"))
            better = 0.52 + seed / 100 + (seed - 1) / 400
            found.append(result(better, "trained", seed, dataset_digest=code, dataset=f"{code}:test"))
    rows = build_table(found)
    assert all(row.gain is not None and row.gain.p_value is not None and row.gain.p_value < 0.05 for row in rows)
    assert all(row.holm is not None and row.holm > 0.05 for row in rows)  # ten times as much
    assert "*" not in render_paper(paper_table(rows), "md").split("\n\n")[0]
    [alone] = build_table(found[:6])
    assert render_paper(paper_table([alone]), "md").split("\n")[3].split(" | ")[1].endswith("%)*")


def test_development_data_is_no_member_of_the_family() -> None:
    found = [
        result(value, role, seed, dataset=f"d:{split}", dataset_digest=split)
        for split in ("dev", "test")
        for role, values in {"baseline": (0.2, 0.3, 0.4), "trained": (0.4, 0.55, 0.58)}.items()
        for seed, value in enumerate(values)
    ]
    dev, test = build_table(found)
    assert dev.gain is not None
    assert test.gain is not None
    assert (dev.holm, test.holm) == (None, test.gain.p_value)  # of one alone: nothing to correct
    assert dev.gain.p_value is not None
    assert [column.dataset for column in paper_table([dev, test]).columns] == ["d:test"]


def test_an_oracle_is_named_in_every_table() -> None:
    protocol = "target dev used; ORACLE: epoch selected on each target language's own dev; x"
    rows = build_table([result(0.5, "baseline", protocol=protocol), result(0.6, protocol=protocol)])
    for how in ("text", "md", "latex", "csv", "json"):
        assert "oracle" in render(rows, how).lower()  # type: ignore[arg-type]
        assert "oracle" in render_paper(paper_table(rows), how).lower()  # type: ignore[arg-type]
    assert "ORACLE: target-language development data chose" in render_paper(paper_table(rows), "text")


def answered(role: str, seed: int, right: int, run: int = 0) -> Predictions:
    """A hundred words, of which the first `right` are right."""
    gold = [["NOUN"]] * 100
    guessed = [["NOUN"]] * right + [["VERB"]] * (100 - right)
    return Predictions(
        "pos",
        "hi",
        "d:test",
        "0",
        "en",
        role,
        role,
        run,
        seed,
        "zero-shot",
        gold,
        guessed,
        (),  # type: ignore[arg-type]
    )


def test_with_predictions_differences_are_tested_over_sentences() -> None:
    answers = [
        answered(role, seed, right + seed) for role, right in (("baseline", 50), ("trained", 80)) for seed in (0, 1, 2)
    ]
    results = [r for one in answers for r in results_of(one)]
    [plain] = build_table(results)
    [row] = build_table(results, answers=by_model(answers))
    assert plain.test is None
    assert plain.gain is not None
    assert plain.gain.p_value is None  # each seed gains the same, so a t-test has no spread to go by
    assert row.test is not None
    assert (row.test.sentences, row.test.seeds, row.test.value) == (100, 3, pytest.approx(0.3))
    assert row.holm == row.test.p_bootstrap < 0.01
    [line] = csv.DictReader(io.StringIO(render([row], "csv")))
    assert float(line["test_low"]) < 0.3 < float(line["test_high"])
    assert json.loads(render([row], "json"))[0]["test"]["sentences"] == 100
    assert "paired bootstrap over sentences and seeds" in render_paper(paper_table([row]), "md")


def test_a_difference_over_more_seeds_than_there_are_predictions_of_is_tested_over_seeds() -> None:
    answers = [
        answered(role, seed, right + seed * seed * step)
        for role, right, step in (("baseline", 50, 1), ("trained", 80, 2))
        for seed in (0, 1, 2)
    ]
    results = [r for one in answers for r in results_of(one)]
    lost = by_model(answers[:-1])
    [row], [plain], [whole] = (build_table(results, answers=some) for some in (lost, None, by_model(answers)))
    assert whole.test is not None
    assert plain.gain is not None
    assert (row.test, row.holm) == (None, plain.gain.p_value)
    assert [one.role for one in incomplete(lost, results)] == ["trained"]
    # Of fewer results than there are predictions, these alone are tested.
    [first] = build_table([r for r in results if r.seed != 2], answers=by_model(answers))
    assert first.test is not None
    assert first.test.seeds == 2


def test_rows_of_other_data_or_another_encoder_are_told_apart() -> None:
    base, one, other = result(0.1, "baseline"), result(0.2, encoder="one"), result(0.3, encoder="other")
    header, _, *lines = render(build_table([base, one, other]), "md").split("\n")
    assert header.startswith("| task | language | metric | encoder | baseline | trained |")
    assert [line.split(" | ")[3] for line in lines] == ["one", "other"]
    elsewhere = [
        result(0.1, role, dataset="e:test", dataset_digest="1", encoder="one") for role in ("baseline", "trained")
    ]
    header, below, *lines = render(build_table([base, one, *elsewhere]), "md").split("\n")
    assert header.startswith("| task | language | metric | data | baseline | trained |")
    assert below.startswith("| --- | --- | --- | --- | ---: |")
    assert [line.split(" | ")[3] for line in lines] == ["d:test", "e:test"]
    assert "| metric | baseline |" in render(build_table([base, one]), "md")


def test_notes_say_which_cells_a_test_is_of() -> None:
    answers = [
        answered(role, seed, right + seed) for role, right in (("baseline", 50), ("trained", 80)) for seed in (0, 1)
    ]
    found = [r for one in answers for r in results_of(one)]
    for role, values in {"baseline": (0.2, 0.3), "trained": (0.3, 0.5)}.items():
        found += [result(value, role, seed, task="engagement", metric="hits@10") for seed, value in enumerate(values)]
    found += [result(0.2, "baseline", None, task="similarity", metric="auc random")]
    notes = paper_table(build_table(found, answers=by_model(answers))).notes
    assert "mean over up to 2 fine-tuning seeds" in notes[0]
    assert "paired bootstrap over sentences and seeds (1 cells) or paired t-test over seeds (1), Holm" in notes[1]


def test_a_mark_that_a_note_explains_is_no_list_in_markdown() -> None:
    found = [result(v, role, seed) for role in ("baseline", "trained") for seed, v in enumerate((0.2, 0.3))]
    table = render_paper(paper_table(build_table([*found, result(0.5, seed=1)])), "md")
    assert "\n\n\\* differs from the baseline" in table
    assert "\n* " not in table


def test_columns_of_texts_without_neutral_are_told_apart() -> None:
    found = [
        result(value, role, task="sentiment", metric="macro_f1", dataset=f"d{changes}:test", dataset_digest=changes)
        for changes in ("", " (neutral dropped)")
        for role, value in (("baseline", 0.2), ("trained", 0.3))
    ]
    header = render_paper(paper_table(build_table(found)), "md").split("\n")[0]
    assert header == (
        "| encoder | sentiment macro_f1 hi | sentiment Δ | sentiment macro_f1 hi (no neutral) | sentiment Δ (no neutral) |"
    )


def test_pretraining_runs_are_paired_with_each_other(tiny: Encoder) -> None:
    texts = [f"film {letters}" for letters in ("ab", "cd", "ef", "gh", "in")]
    pairs = Pairs("c:test", "0", "en", "hi", texts, texts, np.arange(5), np.arange(5))
    found = evaluate("retrieval", {"baseline": tiny, "control": [tiny, tiny], "trained": [tiny, tiny]}, pairs)
    kinds = sorted({(r.role, r.run) for r in found})
    assert kinds == [("baseline", 0), ("control", 0), ("control", 1), ("trained", 0), ("trained", 1), ("trivial", 0)]
    [row] = build_table(found)
    assert row.trained is not None
    assert row.trained.runs == 2
    with pytest.raises(UsageError, match="there are 2 of control, 3 of trained"):
        evaluate("retrieval", {"control": [tiny] * 2, "trained": [tiny] * 3}, pairs)


# --- LaTeX

COMMAND = re.compile(r"\\(?:[a-zA-Z]+|.)")
KNOWN = {
    "\\textbackslash", "\\textasciitilde", "\\textasciicircum", "\\textless", "\\textgreater", "\\textbar",
    "\\textquotedbl", "\\pm", "\\dagger", "\\Delta", "\\times", "\\langle", "\\rangle",
    "\\{", "\\}", "\\&", "\\%", "\\$", "\\#", "\\_",
}  # fmt: skip


def check_latex(cell: str) -> None:
    """Raise where LaTeX would stumble: a command it does not know, a special character, an open brace or formula."""
    assert set(COMMAND.findall(cell)) <= KNOWN
    bare = COMMAND.sub("", cell)
    assert not set("&%#_~^\\") & set(bare)
    assert bare.count("$") % 2 == 0
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


@given(st.text())
def test_any_text_is_escaped_for_latex(text: str) -> None:
    check_latex(latex_text(text))


def test_a_table_is_a_tabular() -> None:
    awkward = paper_table(
        build_table([r.model_copy(update={"encoder": f"{r.role}_x & 50% #1 {{~^\\"}) for r in paper_rows()])
    )
    lines = render_paper(awkward, "latex").split("\n")
    comments = [line for line in lines if line.startswith("%")]
    assert comments[0] == r"% needs \usepackage{booktabs}"
    body = lines[len(comments) :]
    assert body[0] == r"\begin{tabular}{lrrr}"
    assert (body[1], body[3], body[-2:]) == (r"\toprule", r"\midrule", [r"\bottomrule", r"\end{tabular}"])
    for row in [body[2], *body[4:-2]]:
        assert row.endswith(r" \\")
        assert len(re.findall(r"(?<!\\) & ", row)) == 3
        for cell in re.split(r"(?<!\\) & ", row.removesuffix(r" \\")):
            check_latex(cell)
    assert draw(["a", "b"], [["x\ny", "1"]], "latex", 1, ["two\nlines"]).count("\n% ") == 1
