"""Every setting of a training, typed; unknown keys are errors. docs/training.md explains each preset's numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from tppc.corpora.addresses import has_secrets
from tppc.corpora.languages import language
from tppc.corpora.sampling import PROPORTIONAL, Sampling
from tppc.encoders.load import Pooling
from tppc.encoders.scratch import is_scratch, scratch_size
from tppc.errors import TppcError, UsageError, misfit
from tppc.training.curriculum import CurriculumSettings
from tppc.training.mining import HardNegatives
from tppc.training.objectives import TAKE_HARD, ObjectiveSettings, kind_of, parse_settings, unpaired_names
from tppc.training.preserve.adapters import LoraSettings
from tppc.training.trackers import TrackerName

DEFAULT_LR = 2e-5
SCRATCH_LR = 2e-3
_MANY = 1_000_000_000  # steps, or weight of one corpus: beyond it a number is a slip of the finger
Beta = Annotated[float, Field(ge=0, lt=1)]


class CorpusSettings(BaseModel):
    """A corpus to read. `digest`, where given, must be the build digest of the corpus that is found at `path`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: str
    """A folder, or the URL of one; a URL with a password is refused, since the path stands in configs and cards."""
    weight: float | None = Field(default=None, gt=0, le=_MANY)
    digest: str | None = None

    @field_validator("path")
    @classmethod
    def _no_secrets(cls, value: str) -> str:
        if has_secrets(value):
            raise ValueError("an address with a password or a token; put them into ~/.netrc or the environment")
        return value


class UnpairedSettings(BaseModel):
    """Texts of one language for objectives that need no pairs: plain, one a line, or Parquet with a column `text`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    path: str
    digest: str | None = None

    @field_validator("language")
    @classmethod
    def _language(cls, value: str) -> str:
        try:
            return language(value).code
        except UsageError as error:  # pydantic names the field of a ValueError
            raise ValueError(str(error)) from error


class TrainConfig(BaseModel):
    """A training. None means: decided by the encoder or the corpora when the run starts (`config.toml` has the answer).

    Units: `batch_size` in pairs over all ranks, `monolingual_batch` in texts, `max_length` in tokens of one text,
    `micro_tokens` in tokens of one forward pass on one rank, `window` in batches, `warmup` in steps (from 1) or as a
    share of all steps (below 1), `clip` the largest gradient norm (0 for none), `eval_every` in steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    corpora: list[CorpusSettings] = Field(default_factory=list)
    sampling: Sampling = PROPORTIONAL
    curriculum: CurriculumSettings | None = None
    monolingual: list[UnpairedSettings] = Field(default_factory=list)
    encoder: str = "bert-base-multilingual-cased"
    pooling: Pooling | None = None
    prefix: str | None = None
    max_length: int = Field(default=128, ge=3, le=512)
    projection: Literal["none", "linear"] = "none"
    objectives: dict[str, SerializeAsAny[ObjectiveSettings]] = Field(min_length=1)
    batch_size: int = Field(default=64, ge=2, le=1_000_000)
    monolingual_batch: int | None = Field(default=None, ge=2, le=1_000_000)
    micro_tokens: int | None = Field(default=None, ge=8)
    activation_checkpointing: bool = False
    compile: bool = False
    hard_negatives: HardNegatives | None = None
    freeze_embeddings: bool = False
    freeze_layers: int = Field(default=0, ge=0)
    lora: LoraSettings | None = None
    l2_start: float = Field(default=0.0, ge=0)
    ema: float | None = Field(default=None, gt=0, lt=1)
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
    eval_every: int = Field(default=0, ge=0)
    eval_pairs: int = Field(default=1_000, ge=2, le=1_000)
    track: list[TrackerName] = Field(default=["tensorboard"])

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
        if any(weighted) and self.sampling != PROPORTIONAL:
            raise ValueError(f"weights of corpora and sampling = {str(self.sampling)!r} exclude each other")
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        self._texts_fit()
        return self

    def _texts_fit(self) -> None:
        """Raise `ValueError` where an objective has nothing to read, or a file would not be read."""
        kinds = {name: kind_of(name) for name in self.objectives}
        if not self.corpora and not self.monolingual:
            raise ValueError("no corpus to train on: give at least one with --corpus")
        if not self.corpora:
            for name, kind in kinds.items():
                if kind == "pairs":
                    raise ValueError(f"no corpus to train on: {name} needs pairs; give at least one with --corpus")
            for field in ("eval_every", "shuffled_pairs"):
                if getattr(self, field):
                    raise ValueError(f"{field}: it is about pairs, and this run has none; leave it out")
        if self.monolingual and all(kind == "pairs" for kind in kinds.values()):
            raise ValueError(f"no objective reads monolingual texts; those that do are {', '.join(unpaired_names())}")
        codes = [one.language for one in self.monolingual]
        if len(set(codes)) < len(codes):
            raise ValueError("monolingual: one file a language; put the texts of a language into one file")
        if (texts := self.monolingual_batch or 2 * self.batch_size) < len(codes):
            raise ValueError(
                f"monolingual_batch: {texts} texts a step are too few for {len(codes)} languages; raise it"
            )
        if len(codes) == 1 and (apart := [name for name, kind in kinds.items() if kind == "states"]):
            raise ValueError(f"monolingual: {apart[0]} draws languages together; give texts of at least two")
        if self.hard_negatives is not None:
            if self.shuffled_pairs:
                raise ValueError("hard_negatives: a control has no translations to mine around; leave one of them out")
            if not self.corpora or not any(getattr(s, "negatives", "all") == "all" and kinds[n] == "pairs"
                                           and n in TAKE_HARD for n, s in self.objectives.items()):  # fmt: skip
                raise ValueError(f"hard_negatives are for {', '.join(TAKE_HARD)} with all negatives of the batch")

    def sampled(self) -> Sampling:
        """How often each corpus comes: as `sampling` says, or by the corpora's weights."""
        given = tuple(c.weight for c in self.corpora if c.weight is not None)
        return Sampling(method="weights", weights=given) if given else self.sampling

    def warmup_steps(self, steps: int | None = None) -> int:
        """Warm-up in steps, of a schedule of `steps`: of the whole run, whose number must be resolved, by default."""
        steps = steps or self.steps
        assert steps is not None, "resolved by the trainer"
        return round(self.warmup * steps) if self.warmup < 1 else int(self.warmup)

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
        "weight_decay": 0.0,
        "warmup": 500.0,
        "max_length": 512,
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
        where, said = misfit(error)
        source = f" ({toml})" if toml is not None else ""
        raise UsageError(f"{where + ': ' if where else ''}{said}{source}") from error


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
