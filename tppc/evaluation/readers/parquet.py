"""Parquet: a row an example. Names of label numbers are taken from the metadata that the `datasets` library writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tppc.errors import TppcError
from tppc.evaluation.readers.records import Records

_BATCH = 4_096


def read_parquet(path: Path) -> Records:
    """The rows of a Parquet file, read as they are asked for.

    Raises `TppcError` for a file that is not there, is no Parquet or is damaged, and for text that is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise TppcError(f"{path}: there is no such file")
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise TppcError(f"{path}: cannot be read as Parquet ({_short(error)}); is it damaged or cut short?") from None
    return Records(path, "row", _rows(path, file), _names(schema.metadata or {}))


def _rows(path: Path, file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa

    number = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except UnicodeDecodeError as error:
        raise TppcError(f"{path}, after row {number}: not UTF-8 ({error.reason}); write the file again") from None
    except (pa.ArrowException, OSError) as error:
        raise TppcError(
            f"{path}: cannot be read after row {number} ({_short(error)}); the file is damaged or cut short"
        ) from None


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    """Label names by column, of `{"info": {"features": {...}}}` under the key `huggingface`; none where that is not."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    except (ValueError, AttributeError):
        return {}  # somebody else's metadata
    return {name: names for name, feature in features.items() if (names := class_names(feature))}


def class_names(feature: Any) -> list[str]:
    """The names of a `ClassLabel`, or of a list of them, as the `datasets` library writes features."""
    while isinstance(feature, list | dict):
        if isinstance(feature, list):
            feature = feature[0] if feature else None
        elif isinstance(feature.get("names"), list):
            return [str(name) for name in feature["names"]]
        else:
            feature = feature.get("feature")
    return []
