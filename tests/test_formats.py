"""docs/formats.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from tppc import cli
from tppc.builders.filters import FILTERS
from tppc.builders.sources import source_named, source_names
from tppc.corpora.schema import SCHEMA
from tppc.evaluation.results import Result
from tppc.training import objectives
from tppc.training.config import PRESETS, TrainConfig

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "formats.md").read_text()


def test_every_column_is_described_and_no_other() -> None:
    table = TEXT.split("## A row")[1].split("Extra columns")[0]
    described = [
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(described) == sorted(SCHEMA.names)
    for name in source_names():
        assert all(f"`{column}`" in TEXT for column, _ in source_named(name).extra)


def test_every_command_is_described_and_no_other() -> None:
    group = typer.main.get_command(cli.app)
    commands = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        commands |= {f"{name} {sub}" for sub in getattr(command, "commands", {})} or {name}
    described = set()
    for line in re.findall(r"^    tppc (\S.*)$", TEXT, re.MULTILINE):
        words = line.split(" ")
        known = {c.split(" ")[0] for c in commands if " " in c}
        described |= {f"{words[0]} {sub}" for sub in words[1].split("|")} if words[0] in known else {words[0]}
    assert described == commands


def test_every_source_and_every_filter_is_described() -> None:
    assert set(re.findall(r"`(\w+)`", TEXT.split("| source | where")[1].split("\n")[0])) == set(source_names())
    cleaning = (DOCS / "cleaning.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| ", cleaning.split("## Measured")[0], re.MULTILINE)
    assert [name for name in listed if name != "language"] == [f.name for f in FILTERS]


def test_every_field_of_a_result_is_described() -> None:
    line = TEXT.split("one line a result:")[1]
    assert all(name in line for name in Result.model_fields)


def test_every_setting_of_a_training_every_objective_and_every_preset_is_described() -> None:
    training = (DOCS / "training.md").read_text()

    def first_cells(section: str) -> set[str]:
        rows = training.split(f"\n## {section}\n")[1].split("\n## ")[0]
        return {
            name for row in re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)
        }

    assert first_cells("Settings") == set(TrainConfig.model_fields)
    assert first_cells("Objectives") == set(objectives.names())
    changed = {field for name in ("paper", "released") for field in PRESETS[name]} - {"objectives"}
    assert changed <= first_cells("Presets") <= {*TrainConfig.model_fields, "negatives"}
    for name in objectives.names():
        (row,) = re.findall(rf"^\| `{name}`.*$", training, re.MULTILINE)
        own = set(type(objectives.parse_settings(name, {})).model_fields) - {"weight"}
        assert own <= set(re.findall(r"`(\w+)`", row)), name
