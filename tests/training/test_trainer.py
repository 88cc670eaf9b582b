"""Training for real, with a tiny encoder: it learns, it says when it does not, and it refuses what it should."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from cipher import cipher_pairs
from factory import described_mixture, write_corpus

from tppc.corpora.corpus import Corpus
from tppc.encoders.embed import embed
from tppc.encoders.load import load_encoder
from tppc.encoders.neighbours import nearest
from tppc.errors import TppcError, UsageError
from tppc.training.card import model_card
from tppc.training.config import load_config
from tppc.training.setup import negatives
from tppc.training.tracking import read_metrics
from tppc.training.trainer import RunSummary, train


def run(cipher: Path, out: Path, preset: str | None = None, **settings: object) -> RunSummary:
    defaults = {"corpora": [str(cipher)], "encoder": "scratch:tiny", "steps": 4, "batch_size": 16}
    return train(load_config(None, defaults | settings, preset), out)


def retrieval(encoder: Path, corpus: Path) -> float:
    """P@1 over the test split."""
    rows = Corpus(corpus).scan("test").collect()
    loaded = load_encoder(str(encoder))
    src, tgt = embed(loaded, rows["src_text"].to_list()), embed(loaded, rows["tgt_text"].to_list())
    return float((nearest(src, tgt, 1)[1][:, 0] == np.arange(len(rows))).mean())


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(scope="module")
def learned(cipher: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    return run(cipher, tmp_path_factory.mktemp("runs") / "learned", steps=160, batch_size=64, log_every=20)


def test_the_default_learns_the_cipher(cipher: Path, learned: RunSummary) -> None:
    assert learned.initial is not None
    assert retrieval(learned.initial, cipher) < 0.05
    assert retrieval(learned.encoder, cipher) > 0.8
    assert learned.last["alarms"] == []
    assert learned.last["batch_p_at_1"] > 0.8


def test_metrics_say_what_they_promise(learned: RunSummary) -> None:
    lines = read_metrics(learned.out)
    assert [line["step"] for line in lines] == list(range(20, 161, 20))
    for line in lines:
        assert line["loss"] == pytest.approx(line["losses"]["tpp"])
        assert line["pairs_per_s"] > 0
        assert line["tokens_per_s"] > line["pairs_per_s"]
        assert 0 <= line["padding_share"] < 1
        assert 0 <= line["masked_share"] < 0.1
        assert line["scale"] > 0
        assert line["bias"] < 0
    assert list((learned.out / "tensorboard").iterdir())


def test_the_saved_encoder_is_a_hugging_face_folder_with_a_card(learned: RunSummary) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(learned.encoder), AutoModel.from_pretrained(learned.encoder)
    assert model(**tokenizer("abc", return_tensors="pt")).last_hidden_state.shape[-1] == model.config.hidden_size
    card = (learned.encoder / "README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    for part in ("cipher/en-hi", "CC0-1.0", "2,000", "batch_p_at_1", "batch_size = 64"):
        assert part in card
    assert "control" not in card
    suffixes = {p.suffix for p in (learned.out / "checkpoints").rglob("*") if p.is_file()}
    assert suffixes == {".safetensors", ".json"}


def test_config_toml_repeats_the_run_and_names_its_data(cipher: Path, learned: RunSummary) -> None:
    config = load_config(learned.out / "config.toml")
    assert (config.steps, config.lr, config.corpora[0].digest) == (160, 2e-3, Corpus(cipher).digest)
    wrong = config.model_copy(update={"corpora": [config.corpora[0].model_copy(update={"digest": "0" * 64})]})
    with pytest.raises(UsageError, match="build digest"):
        train(wrong, learned.out.parent / "elsewhere")
    assert not (learned.out.parent / "elsewhere").exists()


def test_the_paper_preset_collapses_from_scratch_and_the_alarm_says_so(cipher: Path, tmp_path: Path) -> None:
    settings = {"steps": 120, "warmup": 0.1, "lr": 1e-3, "encoder": "scratch:tiny", "batch_size": 32, "log_every": 20}
    summary = run(cipher, tmp_path / "run", "paper", **settings)
    assert "collapse" in summary.last["alarms"]
    assert retrieval(summary.encoder, cipher) < 0.2


def test_the_released_preset_draws_its_negatives_from_a_second_stream(cipher: Path, tmp_path: Path) -> None:
    summary = run(cipher, tmp_path / "run", "released", steps=3, encoder="scratch:tiny", log_every=1)
    assert np.isfinite(summary.last["loss"])
    heads = tmp_path / "run" / "checkpoints" / "step-000003" / "heads.safetensors"
    assert b"projection.weight" in heads.read_bytes()


def test_several_objectives_add_up_and_a_control_is_labelled(cipher: Path, tmp_path: Path) -> None:
    both = {"tpp": {"weight": 0.5}, "infonce": {"weight": 2.0}}
    summary = run(cipher, tmp_path / "run", objectives=both, shuffled_pairs=True, steps=30, log_every=10)
    losses = summary.last["losses"]
    assert summary.last["loss"] == pytest.approx(0.5 * losses["tpp"] + 2 * losses["infonce"])
    assert summary.control
    card = (summary.encoder / "README.md").read_text("utf-8")
    assert "**This is a control.**" in card
    assert retrieval(summary.encoder, cipher) < 0.05


def test_a_folder_that_holds_something_is_refused_untouched(cipher: Path, learned: RunSummary, tmp_path: Path) -> None:
    before = files(learned.out)
    with pytest.raises(UsageError, match="--resume"):
        run(cipher, learned.out)
    assert files(learned.out) == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        run(cipher, tmp_path)
    with pytest.raises(UsageError, match="nothing to resume"):
        train(
            load_config(None, {"corpora": [str(cipher)], "encoder": "scratch:tiny", "steps": 2}), tmp_path, resume=True
        )
    assert files(tmp_path) == {"notes.txt": hashlib.sha256(b"mine").hexdigest()}


def test_a_damaged_shard_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"train": cipher_pairs(100, 3)})
    shard = next(corpus.rglob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(TppcError, match=r"train-00000-of-00001.parquet: its SHA-256 differs"):
        run(corpus, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_does_not_exist_leaves_nothing_behind(cipher: Path, tmp_path: Path) -> None:
    with pytest.raises(TppcError, match="no encoder there"):
        run(cipher, tmp_path / "run", encoder=str(tmp_path / "none"))
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_pairs(cipher: Path, tmp_path: Path) -> None:
    with pytest.raises(TppcError, match=r"loss is (nan|inf) at step \d+ \(pairs cipher:\d+"):
        run(cipher, tmp_path / "run", lr=1e30, clip=0.0, warmup=0.0, steps=20)
    assert not (tmp_path / "run" / "encoder").exists()


def test_a_gradient_that_is_not_finite_changes_no_weight(cipher: Path, tmp_path: Path) -> None:
    # The loss is finite, the squares of its gradient are not.
    with pytest.raises(TppcError, match=r"gradient's norm is (nan|inf) at step 1 \(pairs cipher:\d+"):
        run(cipher, tmp_path / "run", objectives={"tpp": {"weight": 1e30}}, clip=0.0)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_weights_that_are_not_finite_are_never_saved(cipher: Path, tmp_path: Path) -> None:
    with pytest.raises(TppcError, match=r"not finite after step 1 \(pairs cipher:\d+"):
        run(cipher, tmp_path / "run", lr=1e38, steps=1)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "run" / "encoder").exists()


def test_a_scratch_encoder_takes_the_length_that_is_asked_for(cipher: Path, tmp_path: Path) -> None:
    short = run(cipher, tmp_path / "short", steps=1, max_length=6)
    assert load_config(short.out / "config.toml").max_length == 6
    # One step of 16 pairs of at least four words: every text fills its six tokens.
    last = read_metrics(short.out)[-1]
    assert last["padding_share"] == 0
    assert last["tokens_per_s"] / last["pairs_per_s"] == pytest.approx(12)
    assert load_config(run(cipher, tmp_path / "long", steps=1, max_length=500).out / "config.toml").max_length == 128
    # The length of the training is not the encoder's: it is read as its start is.
    assert load_encoder(str(short.encoder)).max_length == 128


def test_the_first_line_says_what_the_negatives_are() -> None:
    def said(preset: str, **more: object) -> str:
        return negatives(load_config(None, {"corpora": ["a"], "batch_size": 16} | more, preset))

    assert said("default") == "15 in-batch negatives a text, over all ranks"
    assert said("paper") == "one negative a pair, from the batch"
    assert said("released") == "one negative a pair, from the corpora"
    assert said("paper", objectives={"tpp": {}, "infonce": {}}).startswith("tpp: one negative a pair, from the batch; ")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("org/model", "base_model: org/model"),
        ("bert-base-multilingual-cased", "base_model: bert-base-multilingual-cased"),
        ("runs/x/encoder", None),
        ("./encoder", None),
        ("here/encoder", None),
        ("scratch:tiny", None),
    ],
)
def test_a_card_names_a_base_model_only_where_it_can_be_one(
    name: str, line: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "encoder").mkdir(parents=True)
    card = model_card(load_config(None, {"corpora": ["a"], "encoder": name}), [], "mean", {})
    assert [text for text in card.splitlines() if text.startswith("base_model")] == ([line] if line else [])


def test_resuming_a_finished_run_changes_nothing_and_another_config_is_refused(
    cipher: Path, learned: RunSummary
) -> None:
    config = load_config(learned.out / "config.toml")
    with pytest.raises(UsageError, match=r"lr = 0.002, not 0.004"):
        train(config.model_copy(update={"lr": 4e-3}), learned.out, resume=True)
    with pytest.raises(UsageError, match="steps = 160, not 400"):
        train(config.model_copy(update={"steps": 400}), learned.out, resume=True)
    weights = (learned.encoder / "model.safetensors").read_bytes()
    lines = (learned.out / "metrics.jsonl").read_text()
    again = train(config.model_copy(update={"save_every": 7}), learned.out, resume=True)
    assert again.resumed_from == 160
    assert (learned.encoder / "model.safetensors").read_bytes() == weights
    assert (learned.out / "metrics.jsonl").read_text() == lines


def test_a_pretrained_folder_is_trained_with_its_own_pooling(cipher: Path, learned: RunSummary, tmp_path: Path) -> None:
    summary = run(cipher, tmp_path / "next", encoder=str(learned.encoder), precision="bf16")
    assert summary.initial is None
    settings = json.loads((summary.encoder / "tppc_encoder.json").read_text())
    assert settings["pooling"] == "mean"
    assert summary.last["batch_p_at_1"] > 0.8


def test_the_card_of_an_encoder_names_all_pairs_of_a_mixture(tmp_path: Path) -> None:
    card = model_card(load_config(None, {"corpora": ["a"]}), [described_mixture(tmp_path / "mixture")], "mean", {})
    assert "| made/mixture | 1.0.0 | en-hi, en-ja | 5 | CC0-1.0 |" in card
    assert "- en\n- hi\n- ja\n" in card
