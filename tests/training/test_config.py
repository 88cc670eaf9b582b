"""Config: presets, files and flags in layers; wrong fields are named; TOML round-trips."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tppc.errors import TppcError, UsageError
from tppc.training.config import PRESETS, TrainConfig, load_config
from tppc.training.optim import learning_rate


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('preset = "paper"\nbatch_size = 24\nlr = 3e-5\n[[corpora]]\npath = "a"\n')
    config = load_config(file, {"lr": 4e-5, "steps": 7})
    assert (config.batch_size, config.lr, config.warmup, config.pooling) == (24, 4e-5, 500.0, "cls")
    assert (config.steps, config.epochs) == (7, None)  # steps displace the preset's epochs
    assert config.objectives["tpp"].model_dump()["negatives"] == "one"


def test_naming_an_objective_keeps_the_settings_of_the_preset() -> None:
    config = load_config(None, {"corpora": ["a"], "objectives": {"tpp": {"weight": 0.5}, "infonce": {}}}, "paper")
    assert list(config.objectives) == ["tpp", "infonce"]
    tpp = config.objectives["tpp"].model_dump()
    assert (tpp["weight"], tpp["negatives"], tpp["bias"]) == (0.5, "one", 0.0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_survives_toml(preset: str, tmp_path: Path) -> None:
    config = load_config(None, {"corpora": [{"path": "a", "weight": 2.0, "digest": "d"}]}, preset)
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml())
    assert load_config(file) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "--corpus"),
        ({"corpora": ["a"], "colour": 1}, "colour"),
        ({"corpora": ["a"], "batch_size": 1}, "batch_size"),
        ({"corpora": ["a"], "steps": 1, "epochs": 2.0}, "steps or epochs"),
        ({"corpora": [{"path": "a", "weight": 1.0}, {"path": "b"}]}, "weight for each corpus or for none"),
        ({"corpora": ["a"], "epochs": math.inf}, "epochs: .*finite"),
        ({"corpora": ["a"], "warmup": math.inf}, "warmup: .*finite"),
        ({"corpora": ["a"], "lr": math.inf}, "lr: .*finite"),
        ({"corpora": ["a"], "clip": math.nan}, "clip"),
        ({"corpora": [{"path": "a", "weight": math.inf}]}, "weight: .*finite"),
        ({"corpora": ["a"], "seed": 10**30}, "seed"),
        ({"corpora": ["a"], "betas": [1.5, 0.9]}, r"betas\.0"),
        ({"corpora": ["a"], "objectives": {"tpp": {"weight": math.inf}}}, r"objectives\.tpp\.weight: .*finite"),
        ({"corpora": ["a"], "objectives": {"tpp": {"scale": math.inf}}}, r"objectives\.tpp\.scale: .*finite"),
        ({"corpora": ["a"], "encoder": "scratch:huge"}, "scratch:tiny"),
        ({"corpora": ["a"], "pooling": "max"}, "pooling"),
        ({"corpora": ["a"], "objectives": {"tpp": {"margin": 1}}}, r"objectives\.tpp\.margin"),
    ],
)
def test_a_wrong_field_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(None, values)


def test_an_unreadable_file_and_an_unknown_preset_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TppcError, match=r"none\.toml: cannot read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(TppcError, match=r"bad\.toml: not TOML"):
        load_config(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match="default, paper, released"):
        load_config(None, {"corpora": ["a"]}, "best")


def test_the_rate_rises_linearly_and_falls_to_nothing() -> None:
    config: TrainConfig = load_config(None, {"corpora": ["a"], "steps": 10, "lr": 1.0, "warmup": 4})
    rates = [learning_rate(config, s, 10) for s in range(11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[10] == 0.0
    assert all(math.isclose(rates[s] - rates[s + 1], 1 / 6) for s in range(4, 10))
