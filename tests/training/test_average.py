"""Averaging: the mean of weights and of the head, refused where weights mean different things."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tppc.cli import app
from tppc.encoders.embed import embed
from tppc.encoders.load import Translation, load_encoder, save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError, UsageError
from tppc.training.average import average, members_of
from tppc.training.config import load_config

TEXTS = ["a small house", "एक छोटा घर", "小さい家", "بيت صغير"] * 3


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three encoders of one start, with heads, their weights 1, 2 and 6 apart."""
    folder = tmp_path_factory.mktemp("three")
    made = make_encoder("scratch:tiny", TEXTS, 1)
    found = []
    for number, shift in enumerate((1.0, 2.0, 6.0)):
        head = Translation("cosine", 10.0 * 2.0**number, -float(number))
        encoder = replace(made, translation=head)
        with torch.no_grad():
            for parameter in encoder.model.parameters():
                parameter.copy_(torch.full_like(parameter, shift))
        save_encoder(encoder, folder / f"e{number}")
        found.append(folder / f"e{number}")
    return found


def changed(folder: Path, to: Path, change: Callable[[Path], None]) -> Path:
    """A copy of an encoder's folder with a change."""
    shutil.copytree(folder, to)
    change(to)
    return to


def test_the_mean_of_three_is_a_whole_encoder_with_a_head_and_a_card(three: list[Path], tmp_path: Path) -> None:
    done = average(members_of(three), tmp_path / "mean")
    weights = load_file(tmp_path / "mean" / "model.safetensors")
    assert all(torch.equal(w, torch.full_like(w, 3.0)) for w in weights.values())
    assert done.tensors == len(weights) == len(load_file(three[0] / "model.safetensors"))
    encoder = load_encoder(str(tmp_path / "mean"))
    assert encoder.pooling == "mean"
    assert encoder.translation is not None
    assert (encoder.translation.scale, encoder.translation.bias) == (pytest.approx(20.0), pytest.approx(-1.0))
    assert embed(encoder, ["a house"]).shape == (1, 128)
    card = (tmp_path / "mean" / "README.md").read_text()
    assert all(m.digest in card for m in done.members)
    assert "Logit of a translation: 20 x cosine -1" in card


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_mean_is_exact_to_the_last_place_of_float32(values: list[float]) -> None:
    from tppc.training.average import _mean

    mean = _mean("w", [torch.tensor([v]) for v in values], [Path()] * len(values))
    exact = math.fsum(values) / len(values)
    assert mean.item() == pytest.approx(exact, rel=2.0**-23, abs=max(map(abs, values)) * 2.0**-45 + 2.0**-149)


def test_encoders_that_differ_are_refused_and_the_difference_is_named(three: list[Path], tmp_path: Path) -> None:
    def less(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        save_file({k: v for k, v in weights.items() if "pooler" not in k}, folder / "model.safetensors")

    def smaller(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        weights["pooler.dense.bias"] = torch.zeros(3)
        save_file(weights, folder / "model.safetensors")

    def other(name: str, key: str, value: object) -> Callable[[Path], None]:
        def change(folder: Path) -> None:
            content = json.loads((folder / name).read_text())
            content[key] = value
            (folder / name).write_text(json.dumps(content))

        return change

    cases = {
        r"only .*e0 has the tensor pooler\.dense\.bias": less,
        r"the tensor pooler\.dense\.bias is float32 \[3\], but float32 \[128\] in": smaller,
        r"not the architecture of .* \(num_attention_heads is 8, not 4\)": other(
            "config.json", "num_attention_heads", 8
        ),
        r"tokenizer\.json: another vocabulary": other("tokenizer.json", "normalizer", None),
        r"pooling is 'cls', but 'mean'": other("tppc_encoder.json", "pooling", "cls"),
    }
    for number, (message, change) in enumerate(cases.items()):
        wrong = changed(three[1], tmp_path / str(number), change)
        with pytest.raises(TppcError, match=message):
            average(members_of([three[0], wrong]), tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_a_tokeniser_that_was_used_with_another_length_is_the_same_vocabulary(
    three: list[Path], tmp_path: Path
) -> None:
    def used(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        content["truncation"] = {"max_length": 7, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
        (folder / "tokenizer.json").write_text(json.dumps(content))

    other = changed(three[1], tmp_path / "used", used)
    assert average(members_of([three[0], other]), tmp_path / "mean").tensors


def test_without_a_head_everywhere_there_is_none(three: list[Path], tmp_path: Path) -> None:
    def headless(folder: Path) -> None:
        content = json.loads((folder / "tppc_encoder.json").read_text())
        del content["translation"]
        (folder / "tppc_encoder.json").write_text(json.dumps(content))

    other = changed(three[1], tmp_path / "headless", headless)
    assert average(members_of([three[0], other]), tmp_path / "mean").translation is None


def test_what_is_named_must_be_there_and_be_several(three: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 encoder is nothing to average"):
        members_of(three[:1])
    with pytest.raises(UsageError, match="named twice"):
        members_of([three[0], three[0]])
    with pytest.raises(UsageError, match="--last chooses among the checkpoints of a run"):
        members_of(three, last=2)
    with pytest.raises(TppcError, match="neither a run, nor a checkpoint"):
        members_of([three[0], tmp_path])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="exists and is not empty"):
        average(members_of(three), tmp_path / "full")


def test_the_last_checkpoints_of_a_run(cipher: Path, tmp_path: Path) -> None:
    from tppc.training.trainer import train

    how = {"corpora": [str(cipher)], "encoder": "scratch:tiny", "steps": 4, "save_every": 1, "keep": 3, "batch_size": 8}
    train(load_config(None, how), tmp_path / "run")
    members = members_of([tmp_path / "run"], last=2)
    assert [m.shown for m in members] == ["run step-000003", "run step-000004"]
    average(members, tmp_path / "mean")
    mean, *each = (load_file(f / "model.safetensors") for f in (tmp_path / "mean", *(m.folder for m in members)))
    for name, weight in mean.items():
        assert torch.equal(weight, ((each[0][name].double() + each[1][name].double()) / 2).float())
    assert len(members_of([tmp_path / "run"])) == 3
    with pytest.raises(TppcError, match=r"the run kept 3 checkpoints, fewer than --last 4"):
        members_of([tmp_path / "run"], last=4)


def test_the_command_says_what_it_averaged(three: list[Path], tmp_path: Path) -> None:
    paths = [str(path) for path in three]
    done = CliRunner().invoke(app, ["average", *paths, "--out", str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith(f"{tmp_path / 'a'}: the mean of 3 encoders, ")
    assert done.stdout.splitlines()[-1].endswith(" tensors and its translation head")
    found = json.loads(CliRunner().invoke(app, ["average", *paths, "--out", str(tmp_path / "b"), "--json"]).stdout)
    assert [row["encoder"] for row in found["members"]] == paths
    assert found["translation"]["scale"] == pytest.approx(20)
