"""Loading: settings that travel with a folder, one sentence for what cannot be loaded, nothing unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tppc.encoders.embed import embed
from tppc.encoders.load import Encoder, load_encoder, marks_destroyed, save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError, UsageError

TEXTS = ["a small house", "एक छोटा घर", "小さい家", "بيت صغير"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved encoder with a prefix of its own."""
    made = make_encoder("scratch:tiny", TEXTS * 3, 1)
    path = tmp_path_factory.mktemp("encoder") / "saved"
    save_encoder(Encoder(made.name, made.tokenizer, made.model, "mean", 64, "query: "), path)
    return path


def copy(folder: Path, to: Path, without: str = "tppc_encoder.json") -> Path:
    """The folder without one file."""
    to.mkdir()
    for file in folder.iterdir():
        if file.name != without:
            (to / file.name).write_bytes(file.read_bytes())
    return to


def test_what_a_folder_declares_is_the_default_and_arguments_win(folder: Path) -> None:
    encoder = load_encoder(str(folder))
    assert (encoder.pooling, encoder.prefix, encoder.max_length) == ("mean", "query: ", 64)
    encoder = load_encoder(str(folder), pooling="cls", prefix="", max_length=16)
    assert (encoder.pooling, encoder.prefix, encoder.max_length) == ("cls", "", 16)
    assert encoder.model.dtype == torch.float32
    assert not encoder.model.training


@pytest.mark.parametrize(
    "declared",
    [{"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, {"pooling_mode": "mean"}],
    ids=["sentence-transformers 5", "sentence-transformers 6"],
)
def test_a_sentence_transformers_folder_says_its_pooling(
    folder: Path, tmp_path: Path, declared: dict[str, object]
) -> None:
    other = copy(folder, tmp_path / "st")
    assert load_encoder(str(other)).pooling == "cls"
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text(json.dumps(declared))
    assert load_encoder(str(other)).pooling == "mean"


def test_a_missing_folder_and_an_unreachable_name_get_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TppcError, match="nothing-here: no encoder there"):
        load_encoder(str(tmp_path / "nothing-here"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TppcError, match=r"cannot load the encoder 'nobody/nothing'.*check the name and the network"):
        load_encoder("nobody/nothing")
    with pytest.raises(UsageError, match="made by `tppc train`"):
        load_encoder("scratch:tiny")


def test_a_pickle_is_never_read(folder: Path, tmp_path: Path) -> None:
    other = copy(folder, tmp_path / "pickled", without="model.safetensors")
    torch.save({"weight": torch.zeros(1)}, other / "pytorch_model.bin")
    with pytest.raises(TppcError, match=r"model\.safetensors"):
        load_encoder(str(other))


def test_a_damaged_weight_file_gets_one_sentence(folder: Path, tmp_path: Path) -> None:
    other = copy(folder, tmp_path / "damaged")
    (other / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(TppcError, match="cannot load the encoder"):
        load_encoder(str(other))


def test_wrong_settings_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown pooling 'max'"):
        load_encoder(str(folder), pooling="max")
    with pytest.raises(UsageError, match="3 to 128 tokens"):
        load_encoder(str(folder), max_length=4096)


def test_a_tokeniser_that_strips_marks_gets_a_warning(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_encoder(str(folder))
    assert capsys.readouterr().err == ""
    other = copy(folder, tmp_path / "uncased")
    file = other / "tokenizer.json"
    state = json.loads(file.read_text())
    state["normalizer"] = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    file.write_text(json.dumps(state))
    encoder = load_encoder(str(other))
    warning = capsys.readouterr().err
    assert "strips combining marks" in warning
    assert set(marks_destroyed(encoder.tokenizer)) == {"hi", "ar", "ja"}
    assert f"{marks_destroyed(encoder.tokenizer)['hi']:.0%} of the characters in hi" in warning


def test_a_folder_without_a_tokeniser_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "mute"
    other.mkdir()
    for name in ("config.json", "model.safetensors", "tppc_encoder.json"):
        (other / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(TppcError, match=r"mute: its tokeniser knows no words.*tokenizer\.json"):
        load_encoder(str(other))


def test_a_vocabulary_that_knows_no_ordinary_word_is_refused(folder: Path, tmp_path: Path) -> None:
    other = copy(folder, tmp_path / "runes")
    state = json.loads((other / "tokenizer.json").read_text())
    words = [w for w in state["model"]["vocab"] if w.startswith("[")] + [chr(0x16A0 + i) for i in range(40)]
    state["model"]["vocab"] = {word: number for number, word in enumerate(words)}
    (other / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(TppcError, match="its tokeniser knows no words"):
        load_encoder(str(other))


@pytest.mark.parametrize(
    "text",
    [
        "{bad",
        "[1]",
        '{"pooling": "max"}',
        '{"pooling": "mean", "max_length": "abc"}',
        '{"pooling": "cls", "prefix": 1}',
    ],
)
def test_settings_that_cannot_be_read_name_their_file(folder: Path, tmp_path: Path, text: str) -> None:
    other = copy(folder, tmp_path / "other")
    (other / "tppc_encoder.json").write_text(text)
    with pytest.raises(TppcError, match=r"tppc_encoder\.json: "):
        load_encoder(str(other))
    (other / "tppc_encoder.json").unlink()
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text("[1]")
    with pytest.raises(TppcError, match=r"1_Pooling/config\.json: "):
        load_encoder(str(other))


def test_the_length_of_a_training_is_not_saved_as_the_encoders_own(folder: Path, tmp_path: Path) -> None:
    trained = load_encoder(str(folder), pooling="cls", prefix="x: ", max_length=16)
    save_encoder(trained, tmp_path / "trained")
    again = load_encoder(str(tmp_path / "trained"))
    assert (again.pooling, again.prefix, again.max_length) == ("cls", "x: ", 64)


def test_a_missing_pooler_is_no_news_and_other_missing_weights_are(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for without, said in (("pooler.", ""), ("embeddings.word", "embeddings.word_embeddings.weight), now random")):
        other = copy(folder, tmp_path / without)
        left = {k: v for k, v in weights.items() if not k.startswith(without)}
        assert len(left) < len(weights)
        save_file(left, other / "model.safetensors", metadata={"format": "pt"})
        load_encoder(str(other))
        warned = capfd.readouterr().err
        assert (said in warned) if said else (warned == "")
        assert "REPORT" not in warned


def test_the_prefix_goes_before_every_text(folder: Path) -> None:
    with_prefix, without = load_encoder(str(folder)), load_encoder(str(folder), prefix="")
    assert (embed(with_prefix, ["a house"]) == embed(without, ["query: a house"])).all()
