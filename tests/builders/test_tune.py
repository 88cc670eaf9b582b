"""`tppc corpora tune` counts right, suggests what helps, and names what is wrong with a sample."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tppc import cli
from tppc.builders.recipe import load_recipe
from tppc.builders.tune import Counts, read_truth, tune
from tppc.corpora.languages import parse_pair
from tppc.errors import TppcError, UsageError
from tppc.samples import sample_root

PAIR = parse_pair("en-hi")
GOOD = [
    ("This house is very old.", "यह घर बहुत पुराना है।"),
    ("Where is the station?", "स्टेशन कहाँ है?"),
    ("I have 3 brothers.", "मेरे 3 भाई हैं।"),
    ("Nobody came yesterday.", "कल कोई नहीं आया।"),
]
BAD = [
    ("empty", "Good morning.", ""),
    ("copied", "Nobody came yesterday.", "Nobody came yesterday."),
    ("numbers", "I have 3 brothers.", "मेरे 44 भाई हैं।"),
    ("misaligned", "The sea is deep.", "वह दौड़ रहा है।"),
]


def sample(path: Path, header: bool = False) -> Path:
    lines = ["src\ttgt\tlabel"] if header else []
    lines += [f"{a}\t{b}\tgood" for a, b in GOOD] + [f"{a}\t{b}\t{kind}" for kind, a, b in BAD]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_precision_and_recall_are_those_of_the_rows(tmp_path: Path) -> None:
    found = tune(read_truth(sample(tmp_path / "rows.tsv", header=True), PAIR), PAIR, load_recipe(None))
    verdicts = {v.name: v for v in found.verdicts}
    assert verdicts["empty"].counts == Counts(4, 4, 0, 1)
    assert verdicts["numbers"].counts == Counts(4, 4, 0, 1)
    assert (verdicts["numbers"].counts.precision, verdicts["numbers"].counts.recall) == (1.0, 0.25)
    assert verdicts["numbers"].alone == 1
    # A copy is refused by two filters, so neither finds it alone.
    assert (verdicts["identical"].counts.bad_refused, verdicts["identical"].alone) == (1, 0)
    assert verdicts["markup"].counts.precision is None
    assert found.together == Counts(4, 4, 0, 3)
    assert found.by_kind == {"copied": 1.0, "empty": 1.0, "good": 0.0, "misaligned": 0.0, "numbers": 1.0}


def test_a_stricter_value_is_counted_as_the_filter_would_with_it(tmp_path: Path) -> None:
    rows = read_truth(sample(tmp_path / "rows.tsv"), PAIR)
    recipe = load_recipe(None, filters={"length": {"min_chars": 10}})
    (verdict,) = [v for v in tune(rows, PAIR, recipe).verdicts if v.name == "length"]
    values = {v.value: v.counts for v in verdict.values if v.setting == "min_chars"}
    assert set(values) >= {5, 15, 20}
    for value, counts in values.items():
        other = load_recipe(None, filters={"length": {"min_chars": int(value)}})
        (again,) = [v for v in tune(rows, PAIR, other).verdicts if v.name == "length"]
        assert again.counts == counts


def test_suggestions_find_more_at_the_price_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    junk = [f"कौन है यह {i} -- 9{i}8 / 7{i} = {i}1 | {i}" for i in range(20)]
    good = [f"{a}\t{b}\tgood" for a, b in GOOD * 5]
    path.write_text("\n".join([*good, *(f"{n} - {n} = 11\t{n}\tjunk" for n in junk)]) + "\n")
    off = {name: {"enabled": False} for name in ("identical", "near_identical", "numbers", "script", "code")}
    recipe = load_recipe(None, filters=off)
    before = tune(read_truth(path, PAIR), PAIR, recipe, max_cost=0.0)
    assert before.suggested
    after = tune(read_truth(path, PAIR), PAIR, load_recipe(None, filters={**off, **before.suggested}), max_cost=0.0)
    assert after.together.bad_refused > before.together.bad_refused
    assert after.together.good_refused == 0
    # One that costs more than is allowed at every value is switched off, or loosened.
    strict = load_recipe(None, filters={"length": {"min_chars": 200, "max_chars": 300}, **off})
    assert tune(read_truth(path, PAIR), PAIR, strict, max_cost=0.0).suggested["length"] == {"enabled": False}


def test_a_truth_file_beside_its_pairs_is_read_in_the_order_of_the_pair(tmp_path: Path) -> None:
    lines = ["1.2\tهذا بيت قديم.\tThis house is old.", "1.1\t\tNobody came."]
    (tmp_path / "WikiMatrix.ar-en.tsv.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    (tmp_path / "WikiMatrix.ar-en.truth.tsv").write_text("0\tclean\n1\tempty\n")
    rows = read_truth(tmp_path / "WikiMatrix.ar-en.truth.tsv", parse_pair("en-ar"))
    assert rows.rows() == [
        ("This house is old.", "هذا بيت قديم.", pytest.approx(1.2), "clean"),
        ("Nobody came.", "", pytest.approx(1.1), "empty"),
    ]
    turned = read_truth(tmp_path / "WikiMatrix.ar-en.truth.tsv", parse_pair("ar-en"))
    assert turned["src_text"].to_list() == ["هذا بيت قديم.", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\tb\n", "rows.tsv line 1: 2 columns; there must be src, tgt, label"),
        ("a\tb\tgood\nc\td\tbad\thigh\n", "rows.tsv line 2: 'high' is no score"),
    ],
)
def test_a_line_that_does_not_fit_is_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text(text)
    with pytest.raises(TppcError, match=says):
        read_truth(tmp_path / "rows.tsv", PAIR)


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("a\tb\tgood\n")
    with pytest.raises(UsageError, match="only one kind of rows"):
        tune(read_truth(tmp_path / "rows.tsv", PAIR), PAIR, load_recipe(None))
    (tmp_path / "lone.truth.tsv").write_text("0\tclean\n")
    with pytest.raises(TppcError, match=r"there is no lone\.tsv\.gz or lone\.tsv beside it"):
        read_truth(tmp_path / "lone.truth.tsv", PAIR)
    with pytest.raises(TppcError, match=r"none\.tsv"):
        read_truth(tmp_path / "none.tsv", PAIR)


def test_the_command_prints_writes_and_refuses(tmp_path: Path) -> None:
    truth = Path(__file__).parents[1] / "samples" / "truth" / "WikiMatrix.en-hi.truth.tsv"
    for name in (truth, sample_root() / "wikimatrix" / "WikiMatrix.en-hi.tsv.gz"):
        (tmp_path / name.name).write_bytes(name.read_bytes())
    arguments = ["corpora", "tune", "--truth", str(tmp_path / truth.name), "--pair", "en-hi"]
    shown = CliRunner().invoke(cli.app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "all that are on" in shown.output
    assert "suggested, at most 0.10% of the good pairs each:" in shown.output
    told = CliRunner().invoke(cli.app, [*arguments, "--json", "--write", str(tmp_path / "recipe.toml")])
    value = json.loads(told.stdout)
    assert {f["name"] for f in value["filters"]} == set(load_recipe(None).filters.by_name())
    assert all(
        share > 0.9 for kind, share in value["refused_by_label"].items() if kind in ("empty", "markup", "mojibake")
    )
    written = load_recipe(tmp_path / "recipe.toml").filters.model_dump()
    for name, table in value["suggested"].items():
        assert {key: written[name][key] for key in table} == table
    again = CliRunner().invoke(cli.app, [*arguments, "--write", str(tmp_path / "recipe.toml")])
    assert isinstance(again.exception, UsageError)
