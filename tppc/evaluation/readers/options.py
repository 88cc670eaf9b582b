"""What a user may say about a file that the file does not say itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Column = int | str
"""A column by its number from 0 (negative: from the right) or by its name."""

Unit = Literal["words", "characters"]


@dataclass(frozen=True)
class ReadOptions:
    """How to read a task's files.

    Attributes:
        labels: a label map by name, or a TOML file of one (`labels`).
        columns: token and tag column, or text and label column, by number or by name; found where not given.
        neutral: what becomes of texts labelled neutral.
        reader: the format by name (`choose.READERS`); by ending and content where not given.
        unit: what the tokens of an unsegmented text are (`spans`).
        split: splits to look for in a folder of the `datasets` library, the first that is there counts.
    """

    labels: str | None = None
    columns: tuple[Column, Column] | None = None
    neutral: Literal["keep", "drop"] = "keep"
    reader: str | None = None
    unit: Unit = "words"
    split: tuple[str, ...] = ()

    def describe(self) -> str:
        """What of this changes the data, as it stands in a result's dataset; of a map's file the name alone."""
        parts = [f"labels={self.labels.replace(chr(92), '/').rpartition('/')[2]}"] if self.labels else []
        parts += [f"columns={self.columns[0]},{self.columns[1]}"] if self.columns else []
        parts += ["unit=characters"] if self.unit == "characters" else []
        parts += ["neutral dropped"] if self.neutral == "drop" else []
        return "; ".join(parts)


def column_of(given: str) -> Column:
    """A column as the command line names it: digits, perhaps with a minus sign, are a number."""
    return int(given) if given.removeprefix("-").isdecimal() and len(given) < 10 else given
