"""Training without a pair: from files of texts alone, on the command line, and on again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cipher import cipher_pairs
from factory import write_corpus
from typer.testing import CliRunner

from tppc.cli import app
from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError, UsageError
from tppc.training.config import load_config
from tppc.training.tracking import read_metrics
from tppc.training.trainer import train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`en` of 90 texts, `hi` of 60, an encoder `start`, and a corpus."""
    folder, pairs = tmp_path_factory.mktemp("unpaired"), cipher_pairs(90, seed=3)
    (folder / "en").write_text("\n".join(src for src, _ in pairs), "utf-8")
    (folder / "hi").write_text("\n".join(tgt for _, tgt in pairs[:60]), "utf-8")
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), folder / "start")
    write_corpus(folder / "corpus", {"train": pairs}, "cipher/en-hi")
    return folder


def files(made: Path, *codes: str) -> list[dict[str, str]]:
    return [{"language": code, "path": str(made / code)} for code in codes]


def test_the_command_needs_no_corpus_and_goes_on_with_its_own_settings(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--monolingual", f"en={made / 'en'}", "--monolingual", f"hi={made / 'hi'}", "--objective", "mlm",
               "--objective", "mean-variance=0.1", "--encoder", str(made / "start"), "--batch-size", "10",
               "--save-every", "3", "--log-every", "1", "--out", str(out)]  # fmt: skip
    done = CliRunner().invoke(app, ["train", *options])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{out / 'encoder'}: 9 steps, ")  # until the 90 texts of `en`, in halves of 20
    assert "pairs" not in done.stdout
    whole, losses = (out / "encoder" / "model.safetensors").read_bytes(), [one["losses"] for one in read_metrics(out)]
    assert all(set(one) == {"mlm", "mean-variance"} for one in losses)
    assert losses[-1]["mlm"] < losses[0]["mlm"]
    card = (out / "encoder" / "README.md").read_text("utf-8")
    assert "trained by tppc on texts of each language alone" in card
    assert "unpaired texts of `hi`: `hi`, SHA-256 `" in card
    assert "ranslation" not in card.split("## Settings")[0]
    for name in ("encoder", "checkpoints/step-000009"):
        shutil.rmtree(out / name)
    again = CliRunner().invoke(app, ["train", "--resume", "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert (out / "encoder" / "model.safetensors").read_bytes() == whole
    assert [one["losses"] for one in read_metrics(out)] == losses


def test_a_file_that_changed_is_refused_and_one_that_moved_is_not(made: Path, tmp_path: Path) -> None:
    for code in ("en", "hi"):
        shutil.copy(made / code, tmp_path / code)
    how = {
        "objectives": {"mean-variance": {}},
        "encoder": str(made / "start"),
        "steps": 2,
        "batch_size": 4,
        "track": [],
    }
    train(load_config(None, how | {"monolingual": files(tmp_path, "en", "hi")}), tmp_path / "run")
    (tmp_path / "hi").write_text("एक\nदो\n", "utf-8")
    with pytest.raises(UsageError, match=r"hi: its SHA-256 is .*, but the config asks for"):
        train(load_config(tmp_path / "run" / "config.toml"), tmp_path / "run", resume=True)
    moved = load_config(None, how | {"monolingual": files(made, "en", "hi")})
    assert train(moved, tmp_path / "run", resume=True).resumed_from == 2


def test_a_broken_loss_of_texts_names_no_pairs(made: Path, tmp_path: Path) -> None:
    how = {"objectives": {"mlm": {}}, "encoder": str(made / "start"), "steps": 20, "batch_size": 4, "track": [],
           "lr": 1e30, "clip": 0.0, "warmup": 0, "monolingual": files(made, "en")}  # fmt: skip
    with pytest.raises(TppcError, match=r"at step \d+ \(unpaired texts\); lower --lr|not finite after step"):
        train(load_config(None, how), tmp_path / "run")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objectives": {"tpp": {}}}, "no corpus to train on: tpp needs pairs; give at least one with --corpus"),
        ({"objectives": {"tlm": {}}}, "tlm needs pairs"),
        ({"objectives": {"average-linkage": {}}, "codes": ["en"]}, "monolingual: average-linkage .* at least two"),
        ({"objectives": {"mlm": {}}, "codes": ["en", "en"]}, "monolingual: one file a language; put"),
        ({"objectives": {"mlm": {}}, "codes": ["klingon!"]}, r"monolingual\.0\.language: unknown language 'klingon!'"),
        ({"objectives": {"mlm": {"rate": 1.0}}}, r"objectives\.mlm\.rate: .*less than 1"),
        ({"objectives": {"mlm": {}}, "monolingual_batch": 1}, "monolingual_batch: .*greater than or equal to 2"),
        ({"objectives": {"mlm": {}}, "curriculum": "a,b"}, "a curriculum is about corpora of pairs"),
        (
            {"objectives": {"mlm": {}}, "monolingual_batch": 2, "codes": ["en", "hi", "ja"]},
            "monolingual_batch: 2 texts a step are too few for 3",
        ),
        ({"objectives": {"mlm": {}}, "eval_every": 5}, "eval_every: it is about pairs"),
        ({"objectives": {"mlm": {}}, "shuffled_pairs": True}, "shuffled_pairs: it is about pairs"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    made: Path, tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    codes = values.pop("codes", ["en", "hi"])
    (made / "ja").write_text("一\n", "utf-8")
    with pytest.raises((UsageError, TppcError), match=message):
        train(load_config(None, values | {"monolingual": files(made, *codes), "steps": 2, "encoder": str(made / "start"),
                                          "track": []}), tmp_path / "run")  # fmt: skip
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_texts_beside_pairs_need_an_objective_that_reads_them(made: Path) -> None:
    how = {"corpora": [str(made / "corpus")], "monolingual": files(made, "en", "hi")}
    with pytest.raises(UsageError, match=r"no objective reads monolingual texts; those that do are .*identical.*mlm"):
        load_config(None, how | {"objectives": {"tpp": {}, "tlm": {}}})
    assert load_config(None, how | {"objectives": {"tpp": {}, "mlm": {}}}).monolingual[1].language == "hi"
    for wrong in ("en", "en=", "=x"):
        result = CliRunner().invoke(app, ["train", "--monolingual", wrong, "--out", str(made / "none")])
        assert result.exit_code != 0
