"""The columns of a corpus row. The same explicit Arrow schema is used everywhere a shard is written or read.

Strings are plain `string` in the Arrow schema and dictionary-*encoded* in Parquet: readers such as Hugging Face
`datasets` refuse Arrow dictionary *types*, and the encoding gives the same size.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("src_lang", pa.string(), nullable=False),
        pa.field("tgt_lang", pa.string(), nullable=False),
        pa.field("src_text", pa.string(), nullable=False),
        pa.field("tgt_text", pa.string(), nullable=False),
        pa.field("src_key", pa.int64(), nullable=False),
        pa.field("tgt_key", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("similarity", pa.float32()),
        pa.field("src_lid", pa.string()),
        pa.field("src_lid_score", pa.float32()),
        pa.field("tgt_lid", pa.string()),
        pa.field("tgt_lid_score", pa.float32()),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("attribution", pa.string()),
    ]
)

#: What the common columns mean, for whoever reads a published corpus.
MEANINGS = {
    "src_lang": "BCP-47 code of the source text's language.",
    "tgt_lang": "BCP-47 code of the target text's language.",
    "src_text": "The source text, normalised (NFC).",
    "tgt_text": "The target text, normalised (NFC).",
    "src_key": "xxh3-64 of the source text's comparison form.",
    "tgt_key": "xxh3-64 of the target text's comparison form.",
    "source": "Where the row comes from.",
    "source_id": "What finds the row at its source.",
    "score": "The source's own score of the pair, where it has one.",
    "similarity": "An encoder's score of the pair, where one was asked for.",
    "src_lid": "Language ID of the source text, `mixed` if code-switched; null where it is too short to tell.",
    "src_lid_score": "The model's probability of it; null where script and common words settled it.",
    "tgt_lid": "Language ID of the target text, `mixed` if code-switched; null where it is too short to tell.",
    "tgt_lid_score": "The model's probability of it; null where script and common words settled it.",
    "licence": "SPDX expression of the row's licence.",
    "attribution": "Authors of both sides, where the licence asks for them.",
}

# Types that a source may give to columns of its own.
EXTRA_TYPES = {"string": pa.string(), "float": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}

DICTIONARY_COLUMNS = ["src_lang", "tgt_lang", "source", "src_lid", "tgt_lid", "licence", "attribution"]
SPLITS = ("train", "dev", "test")


def schema_of(extra: Iterable[tuple[str, str]]) -> pa.Schema:
    """The schema of a corpus: the common columns, then the source's own, each a name and a key of `EXTRA_TYPES`."""
    schema = SCHEMA
    for name, kind in extra:
        schema = schema.append(pa.field(name, EXTRA_TYPES[kind]))
    return schema


def dictionary_columns(schema: pa.Schema) -> list[str]:
    """Columns of a schema whose values repeat: those of the common ones that do, and all strings of a source's own."""
    own = [name for name in schema.names[len(SCHEMA) :] if pa.types.is_string(schema.field(name).type)]
    return [name for name in schema.names if name in DICTIONARY_COLUMNS or name in own]
