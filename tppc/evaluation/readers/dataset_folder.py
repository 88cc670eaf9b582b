"""Folders of the Hugging Face `datasets` library: saved by `save_to_disk`, or data files with a dataset card.

They are named as `FOLDER`, `FOLDER:SPLIT` or `FOLDER:CONFIGURATION:SPLIT`; with no split, the first that is there of
those that fit what the file is for (`train`; `validation` or `dev`; `test`). Numbers become names where the features
say so (`ClassLabel`). Data files are streamed: nothing is put into the library's cache, and nothing is downloaded.

The library is an extra (`tppc[datasets]`): single Parquet and JSON files are read without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.parquet import class_names
from tppc.evaluation.readers.records import Records


def folder_named(path: Path) -> tuple[Path, tuple[str, ...]] | None:
    """The folder and the names behind it (`wikiann:hi:test` -> `wikiann`, `hi`, `test`); None where there is none."""
    if path.is_dir():
        return path, ()
    head, *names = str(path).rsplit(":", 2)
    for count in range(len(names), 0, -1):
        folder = Path(":".join([head, *names[: len(names) - count]]))
        if folder.is_dir():
            return folder, tuple(names[len(names) - count :])
    return None


def read_dataset_folder(path: Path, splits: Sequence[str] = ()) -> Records:
    """The rows of one split of a folder, read as they are asked for.

    Args:
        path: the folder, with the names of configuration and split behind colons.
        splits: those that fit, best first, where `path` names none.

    Raises `UsageError` where the library is not installed or which split is meant is not clear, `TppcError` for a
    folder that the library cannot read.
    """
    found = folder_named(path)
    if found is None:
        raise TppcError(f"{path}: there is no such folder")
    folder, names = found
    try:
        import datasets
    except ImportError:
        raise UsageError(
            f"{folder}: a folder is read with the datasets library, which is not there: pip install 'tppc[datasets]'"
        ) from None
    saved = (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()
    if saved and len(names) > 1:
        raise UsageError(f"{path}: a saved dataset has splits and no configurations; write FOLDER:SPLIT")
    configuration = names[0] if len(names) > 1 else None
    try:
        if saved:
            loaded: Any = datasets.load_from_disk(str(folder))
        else:
            loaded = datasets.load_dataset(str(folder), configuration, streaming=True)
    except Exception as error:  # the library raises whatever its parts raise
        raise TppcError(
            f"{folder}: the datasets library cannot read it ({_short(error)}); give such a folder, or a file"
        ) from None
    split = ""
    if isinstance(loaded, Mapping):
        split = _split(folder, list(loaded), names[-1] if names else None, splits)
        loaded = loaded[split]
    elif names:
        raise UsageError(f"{path}: the folder holds one split, so name none")
    features = loaded.features.to_dict() if loaded.features else {}
    label_names = {str(name): some for name, feature in features.items() if (some := class_names(feature))}
    return Records(folder, f"{split} row".strip(), _rows(folder, loaded), label_names)


def _split(folder: Path, there: list[str], asked: str | None, fitting: Sequence[str]) -> str:
    if asked is not None:
        if asked not in there:
            raise UsageError(f"{folder}: no split {asked!r}; there are: {', '.join(there)}")
        return asked
    if len(there) == 1:
        return there[0]
    for name in fitting:
        if name in there:
            return name
    raise UsageError(f"{folder}: say which split, as in {folder.name}:{there[0]}; there are: {', '.join(there)}")


def _rows(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    source = iter(rows)
    while True:
        try:
            row = next(source)
        except StopIteration:
            return
        except Exception as error:  # as above
            raise TppcError(
                f"{folder}: the datasets library cannot read it after row {number} ({_short(error)})"
            ) from None
        number += 1
        yield number, row


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
