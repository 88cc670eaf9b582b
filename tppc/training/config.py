"""Every setting of a training, typed; unknown keys are errors. docs/training.md explains each preset's numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from tppc.encoders.load import Pooling
from tppc.encoders.scratch import is_scratch, scratch_size
from tppc.errors import TppcError, UsageError
from tppc.training.objectives import ObjectiveSettings, parse_settings

DEFAULT_LR = 2e-5
SCRATCH_LR = 2e-3
_MANY = 1_000_000_000  # steps, or weight of one corpus: beyond it a number is a slip of the finger
Beta = Annotated[float, Field(ge=0, lt=1)]


class CorpusSettings(BaseModel):
    """A corpus to read. `digest`, where given, must be the build digest of the corpus that is found at `path`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: str
    weight: float | None = Field(default=None, gt=0, le=_MANY)
    digest: str | None = None


class TrainConfig(BaseModel):
    """A training. None means: decided by the encoder or the corpora when the run starts (`config.toml` has the answer).

    Units: `batch_size` in pairs over all ranks, `max_length` in tokens of one text, `window` in batches, `warmup` in
    steps (from 1) or as a share of all steps (below 1), `clip` the largest gradient norm (0 for none).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    corpora: list[CorpusSettings] = Field(min_length=1)
    encoder: str = "bert-base-multilingual-cased"
    pooling: Pooling | None = None
    prefix: str | None = None
    max_length: int = Field(default=128, ge=3, le=512)
    projection: Literal["none", "linear"] = "none"
    objectives: dict[str, SerializeAsAny[ObjectiveSettings]] = Field(min_length=1)
    batch_size: int = Field(default=64, ge=2, le=1_000_000)
    steps: int | None = Field(default=None, ge=1, le=_MANY)
    epochs: float | None = Field(default=None, gt=0, le=1_000_000)
    lr: float | None = Field(default=None, gt=0)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=_MANY)
    schedule: Literal["linear", "constant"] = "linear"
    clip: float = Field(default=1.0, ge=0)
    dropout: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    window: int = Field(default=32, ge=1, le=100_000)
    seed: int = Field(default=1, ge=0, lt=2**63)
    shuffled_pairs: bool = False
    save_every: int = Field(default=500, ge=1)
    keep: int = Field(default=2, ge=1)
    log_every: int = Field(default=10, ge=1)

    @field_validator("corpora", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"path": str(v)} if isinstance(v, str | Path) else v for v in value]

    @field_validator("objectives", mode="before")
    @classmethod
    def _objectives(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {n: v if isinstance(v, ObjectiveSettings) else parse_settings(n, v) for n, v in value.items()}

    @field_validator("encoder")
    @classmethod
    def _encoder(cls, value: str) -> str:
        if is_scratch(value):
            scratch_size(value)
        return value

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        weighted = [c.weight is not None for c in self.corpora]
        if any(weighted) and not all(weighted):
            raise ValueError("give a weight for each corpus or for none")
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        return self

    @property
    def weights(self) -> list[float] | None:
        """The corpora's weights, None where each counts by its rows."""
        given = [c.weight for c in self.corpora if c.weight is not None]
        return given or None

    def warmup_steps(self) -> int:
        """Warm-up in steps; the number of steps must be resolved."""
        assert self.steps is not None, "resolved by the trainer"
        return round(self.warmup * self.steps) if self.warmup < 1 else int(self.warmup)

    def to_toml(self) -> str:
        """TOML that `load_config` reads back to an equal config."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


_RAW = {"similarity": "dot", "scale": 1.0, "learn_scale": False, "bias": 0.0, "learn_bias": False}
PRESETS: dict[str, dict[str, Any]] = {
    "default": {"objectives": {"tpp": {}}},
    "paper": {
        "encoder": "bert-base-multilingual-cased",
        "pooling": "cls",
        "objectives": {"tpp": {**_RAW, "negatives": "one"}},
        "batch_size": 16,
        "epochs": 3.0,
        "lr": 2e-5,
        "weight_decay": 0.01,
        "warmup": 500.0,
    },
    "released": {
        "encoder": "bert-base-multilingual-uncased",
        "pooling": "pooler",
        "projection": "linear",
        "objectives": {"tpp": {**_RAW, "negatives": "corpus"}},
        # 16 rows in the released loader: 8 translations, each followed by its negative.
        "batch_size": 8,
        "epochs": 3.0,
        "lr": 1e-6,
        "weight_decay": 0.01,
        "warmup": 500.0,
    },
}


def load_config(
    toml: Path | None = None, overrides: Mapping[str, Any] | None = None, preset: str | None = None
) -> TrainConfig:
    """Preset, then file, then overrides (which win); None among the overrides means "not given".

    `objectives` of the overrides names the objectives to use; their settings still come from file and preset.
    Raises `UsageError` that names the wrong field, `TppcError` for a file that cannot be read.
    """
    file = _read(toml) if toml is not None else {}
    preset = preset or file.pop("preset", None) or "default"
    if preset not in PRESETS:
        raise UsageError(f"unknown preset {preset!r}: choose from {', '.join(PRESETS)}")
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    merged: dict[str, Any] = {}
    for layer in (PRESETS[preset], file, given):
        _merge(merged, layer)
    try:
        return TrainConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        source = f" ({toml})" if toml is not None else ""
        if where == "corpora" and first["type"] == "missing":
            raise UsageError("no corpus to train on: give at least one with --corpus") from error
        raise UsageError(f"{where + ': ' if where else ''}{text[:1].lower()}{text[1:]}{source}") from error


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Put `layer` over `base`: steps and epochs displace each other, named objectives keep what is known of them."""
    for key, value in layer.items():
        if key == "objectives" and isinstance(value, Mapping):
            known = base.get("objectives", {})
            base[key] = {n: {**known.get(n, {}), **v} if isinstance(v, Mapping) else v for n, v in value.items()}
            continue
        if key in ("steps", "epochs"):
            base.pop("epochs" if key == "steps" and "epochs" not in layer else "", None)
            base.pop("steps" if key == "epochs" and "steps" not in layer else "", None)
        base[key] = value


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TppcError(f"{path}: cannot read this config ({error.strerror}); give a TOML file") from error
    except ValueError as error:
        raise TppcError(f"{path}: not TOML ({error}); see docs/training.md for an example") from error
