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
