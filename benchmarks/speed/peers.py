"""The peers of benchmarks/speed/compare.py, each in its best mode; runs under the peers' own Python, without tppc.

python peers.py opusfilter|datatrove FOLDER en-hi|en-ja [MODEL]

With MODEL (lid.176.ftz) language ID on both sides comes last.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

MIN_SHARE, LONGEST = 0.3, 1_000
RATIO = {"en-hi": 2.25, "en-ja": 4.5}  # Japanese takes half as many characters
# OpusFilter takes one script for a side; a tenth of a Japanese sentence is hiragana at least.
SCRIPTS = {"en-hi": ("Devanagari", MIN_SHARE), "en-ja": ("Hiragana", 0.1)}
LETTERS = {"en-hi": r"[\u0900-\u097f]", "en-ja": r"[\u3040-\u30ff\u3400-\u9fff]"}


def opusfilter(folder: Path, pair: str, model: str | None) -> None:
    """Plain text in and out, which is three times as fast as its compressed files: duplicates, then the filters."""
    from opusfilter.opusfilter import OpusFilter

    def names(stem: str) -> list[str]:
        return [f"{stem}.{code}" for code in pair.split("-")]

    filters: list[dict[str, Any]] = [
        {"LengthFilter": {"unit": "char", "min_length": 1, "max_length": LONGEST}},
        {"LengthRatioFilter": {"unit": "char", "threshold": RATIO[pair]}},
        {"CharacterScoreFilter": {"scripts": ["Latin", SCRIPTS[pair][0]], "thresholds": [MIN_SHARE, SCRIPTS[pair][1]]}},
    ]
    if model:
        options = {
            "id_method": "fasttext",
            "fasttext_model_path": model,
            "languages": pair.split("-"),
            "thresholds": [0.2, 0.2],
        }
        filters.append({"LanguageIDFilter": options})
    steps = [
        {
            "type": "remove_duplicates",
            "parameters": {"inputs": names("pairs"), "outputs": names("unique")},
        },
        {
            "type": "filter",
            "parameters": {
                "inputs": names("unique"),
                "outputs": names("kept"),
                "filters": filters,
            },
        },
    ]
    OpusFilter({"common": {"output_directory": str(folder)}, "steps": steps}).execute_steps(overwrite=True)


def datatrove(folder: Path, pair: str, model: str | None) -> None:
    """One local task, JSON lines in, Parquet out."""
    from datatrove.data import DocumentsPipeline
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import LambdaFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import ParquetWriter

    letters = {"src": re.compile(r"[A-Za-zÀ-ɏ]"), "tgt": re.compile(LETTERS[pair])}
    word = re.compile(r"[^\W\d_]")
    seen: set[int] = set()

    def normalise(data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for document in data:
            document.text = " ".join(unicodedata.normalize("NFKC", document.text).split())
            document.metadata["tgt"] = " ".join(unicodedata.normalize("NFKC", document.metadata["tgt"]).split())
            yield document

    def lengths(document: Any) -> bool:
        a, b = len(document.text), len(document.metadata["tgt"])
        return 0 < a <= LONGEST and 0 < b <= LONGEST and max(a, b) / min(a, b) < RATIO[pair]

    def scripts(document: Any) -> bool:
        for side, text in (("src", document.text), ("tgt", document.metadata["tgt"])):
            if len(letters[side].findall(text)) < MIN_SHARE * max(1, len(word.findall(text))):
                return False
        return True

    def first(document: Any) -> bool:
        key = hash((document.text, document.metadata["tgt"]))
        if key in seen:
            return False
        seen.add(key)
        return True

    steps: list[Any] = [lengths, scripts, first]
    if model:
        import fasttext

        predict = fasttext.load_model(model).predict

        def language(document: Any) -> bool:
            sides = zip((document.text, document.metadata["tgt"]), pair.split("-"), strict=True)
            return all(
                dict(zip(*predict(text, 5), strict=True)).get(f"__label__{code}", 0) >= 0.2 for text, code in sides
            )

        steps.append(language)
    LocalPipelineExecutor(
        [
            JsonlReader(str(folder), glob_pattern="pairs.jsonl"),
            normalise,
            *map(LambdaFilter, steps),
            ParquetWriter(str(folder / "datatrove")),
        ],
        logging_dir=str(folder / "logs"),
        skip_completed=False,
    ).run()


if __name__ == "__main__":
    {"opusfilter": opusfilter, "datatrove": datatrove}[sys.argv[1]](
        Path(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None
    )
