"""Results: one line of JSON each, appended to a file that any table or test can be recomputed from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tppc.errors import TppcError, misfit

Role = Literal["baseline", "trained", "control", "trivial"]


class Result(BaseModel):
    """One measured number.

    Attributes:
        task, language, metric: what was measured, and on which language's test data.
        value: a fraction from 0 to 1.
        n: how many things were scored: tokens (ner, pos), texts (sentiment), pairs (retrieval).
        seed: of the fine-tuning; null where nothing is random.
        run: which of several pretraining runs of one kind, from 0; run i of the trained encoders pairs with run i of
            the controls. An encoder that was not trained has one run.
        encoder: name or folder of the encoder, or of the trivial baseline.
        role: the untouched encoder, the trained one, a control (the same steps on shuffled pairs), or a trivial
            baseline.
        start: the untouched encoder that it started from; itself for a baseline; null where nobody said. Encoders with
            different starts are not compared.
        recipe: what the encoder was trained on and how; the same for a control and the trained encoder that it belongs
            to; null where nobody said.
        protocol: how it was trained and what selected the checkpoint.
        dataset: name of the data; ends in `:dev` for the source language's development data.
        dataset_digest: SHA-256 of the training, development and test items as they were read.
        source_language: the language that was trained on; null where nothing was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    task: str
    language: str
    metric: str
    value: float = Field(ge=0, le=1)
    n: int = Field(ge=1)
    seed: int | None
    run: int = Field(default=0, ge=0)
    encoder: str
    role: Role
    start: str | None = None
    recipe: str | None = None
    protocol: str
    dataset: str
    dataset_digest: str
    source_language: str | None


def append_results(path: Path, results: Iterable[BaseModel]) -> None:
    """Append results to a JSON-lines file, in one write; the file and its folder are made where they are not there.

    Raises `TppcError` where the file cannot be written, or ends in a torn line that appending would corrupt.
    """
    data = "".join(result.model_dump_json() + "\n" for result in results).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    raise TppcError(
                        f"{path}: its last line is not complete; mend or remove that line, or write to another file"
                    )
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TppcError(f"{path}: results cannot be written there ({error.strerror})") from None


def read_results(paths: Sequence[Path]) -> list[Result]:
    """Read results from JSON-lines files, in order.

    Raises `TppcError` that names file and line for one that is no result, or for a file that cannot be read.
    """
    results = []
    for path in paths:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise TppcError(
                f"{path}: cannot be read as results ({reason}); give a file that `tppc evaluate` wrote"
            ) from None
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                results.append(Result.model_validate_json(line))
            except ValidationError as error:
                where, said = misfit(error)
                raise TppcError(
                    f"{path}, line {number}: not a result ({where or 'the line'}: {said}); "
                    "remove the line, or give a file that `tppc evaluate` wrote"
                ) from None
    return results
