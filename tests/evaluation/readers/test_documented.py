"""docs/readers.md names every reader, every map and what maps do."""

from __future__ import annotations

import re
from pathlib import Path

from tppc.evaluation.readers.choose import TAGGED_READERS, TEXT_READERS
from tppc.evaluation.readers.labels import POS_MAPS, SSEA, TAG_MAPS, TEXT_MAPS, map_file

TEXT = (Path(__file__).parents[3] / "docs" / "readers.md").read_text()


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)


def test_every_reader_is_described_and_no_other() -> None:
    table = TEXT.split("| `--reader` |")[1].split("\n\n")[0]
    assert sorted(first_cells(table)) == sorted({*TAGGED_READERS, *TEXT_READERS})


def test_every_map_is_described_and_no_other() -> None:
    maps = TEXT.split("## Label maps")[1]
    assert first_cells(maps) == [*TAG_MAPS, *TEXT_MAPS, *POS_MAPS]
    row = next(line for line in maps.split("\n") if line.startswith("| `ssea`"))
    pairs = re.findall(r"`(NE\w+)` `(\w+)`", row)
    assert dict(pairs) == {tag: name for tag, name in SSEA.to.items() if tag.startswith("NE")}


def test_the_map_of_the_example_is_one(tmp_path: Path) -> None:
    example = TEXT.split("```toml\n")[1].split("```")[0]
    file = tmp_path / "my_map.toml"
    file.write_text(example)
    table = map_file(file, "error")
    assert (table.other, table.tags[1], table.to["song"]) == ("O", "B-person", "O")
