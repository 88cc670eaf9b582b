"""The command line: files of several formats in one command, their notes, mistakes in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tppc.cli import evaluate as group
from tppc.cli.evaluate.reading import columns_of, unit_of
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import TppcError, UsageError

Write = Callable[[str, str], Path]

app = typer.Typer()
group.register(app)

CONLL = "Anna\tB-person\nlives\tO\nin\tO\nParis\tB-location\n\n"
SSF = '<Sentence id="1">\n0\t((\tSSF\n1\t((\tNP\t<ne=NEP>\n1.1\t((\tNP\t<ne=NED>\n1.1.1\tAnna\n\t))\n\t))\n2\tran\n\t))\n</Sentence>\n'
SPANS = '{"text": "Anna, Paris", "spans": [{"start": 0, "end": 4, "label": "PERSON"}]}\n'


def run(*arguments: str) -> tuple[str, str]:
    """Run the command line; its stdout and stderr. Errors come out as exceptions."""
    found = CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


def test_one_command_takes_three_formats_and_says_what_it_did(write: Write, tiny: Encoder, tmp_path: Path) -> None:
    save_encoder(tiny, tmp_path / "encoder")
    files = [write("en.bio", CONLL * 4), write("hi.utf8", SSF), write("ja.jsonl", SPANS)]
    stdout, stderr = run(
        *("ner", "--train", str(files[0]), "--test", f"hi={files[1]}", "--test", f"ja={files[2]}"),
        *("--labels", "per-loc-org", "--unit", "characters", "--seeds", "1", "--epochs", "1", "--json"),
        *("--encoder", str(tmp_path / "encoder")),
    )
    rows = json.loads(stdout)
    assert {row["language"]: row["n"] for row in rows} == {"hi": 2, "ja": 10}
    assert all(row["dataset"] == "en.bio (labels=per-loc-org; unit=characters):test" for row in rows)
    assert "hi.utf8: 1 entities inside others are not read, the outermost are: NED in NEP 1" in stderr
    assert "ja.jsonl: texts are cut into characters" in stderr


def test_a_malformed_file_ends_the_command_with_file_and_line(write: Write) -> None:
    good, bad = write("en.bio", CONLL), write("hi.bio", CONLL + "ran\n")
    with pytest.raises(TppcError, match=r"hi\.bio, line 6: only one column"):
        run("ner", "--train", str(good), "--test", f"hi={bad}", "--encoder", "none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pos", "--labels", "per-loc-org"], "no label map 'per-loc-org'; there is: ud-coarse, or a file"),
        (["pos", "--reader", "ssf"], "of SSF entities are read"),
        (["pos", "--reader", "xml"], "no reader 'xml' for tokens"),
        (["ner", "--unit", "bytes"], "--unit must be words or characters"),
        (["ner", "--columns", "form,tag", "--reader", "conll"], "CoNLL columns have no names"),
        (["sentiment", "--unit", "characters"], "--unit is for ner"),
    ],
)
def test_mistakes_are_one_sentence(write: Write, arguments: list[str], message: str) -> None:
    file = str(write("a.conllu", "1\tAnna\t_\tPROPN" + "\t_" * 6 + "\n"))
    with pytest.raises(UsageError, match=message):
        run(*arguments, "--train", file, "--test", f"hi={file}", "--encoder", "none")


def test_columns_by_number_and_by_name() -> None:
    assert columns_of("1,3") == (1, 3)
    assert columns_of("form, xpos") == ("form", "xpos")
    assert columns_of(None) is None
    for wrong in ("1", "1,2,3", "text,", "1,1", "-1,2"):
        with pytest.raises(UsageError, match="--columns"):
            columns_of(wrong)
    with pytest.raises(UsageError, match="--unit"):
        unit_of("lines")
