"""The columns of a corpus row. The same explicit Arrow schema is used everywhere a shard is written or read.

Strings are plain `string` in the Arrow schema and dictionary-*encoded* in Parquet: readers such as Hugging Face
`datasets` refuse Arrow dictionary *types*, and the encoding gives the same size.
"""

from __future__ import annotations

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

# Extra columns of each source, after the common ones.
EXTRA: dict[str, list[pa.Field]] = {
    "wikidata": [
        pa.field("label_from_mul", pa.string()),  # "src", "tgt" or null: which label came from `mul`
        pa.field("instance_of", pa.string()),  # P31 ids, space separated
    ],
}

DICTIONARY_COLUMNS = [
    "src_lang",
    "tgt_lang",
    "source",
    "src_lid",
    "tgt_lid",
    "licence",
    "attribution",
    "label_from_mul",
    "instance_of",
]
SPLITS = ("train", "dev", "test")


def schema_of(source: str) -> pa.Schema:
    """The schema of a corpus from `source`: the common columns and the source's own."""
    schema = SCHEMA
    for field in EXTRA.get(source, []):
        schema = schema.append(field)
    return schema
