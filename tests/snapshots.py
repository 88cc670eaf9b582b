"""Small pieces of snapshots in the sources' own formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

EN = [
    "The river is long.",
    "She reads a book every day.",
    "We are going to the market.",
    '"Wait',
    "I am tired today.",
    "He likes tea.",
]
HI = ["नदी लंबी है।", "वह हर दिन एक किताब पढ़ती है।", "हम बाज़ार जा रहे हैं।", "रुको", "मैं आज थका हुआ हूँ।", "उसे चाय पसंद है।"]


def matrix_rows(count: int) -> list[tuple[float, str, str]]:
    """Distinct clean en-hi rows by falling score."""
    nouns = [("river", "नदी"), ("train", "रेलगाड़ी"), ("book", "किताब"), ("door", "खिड़की"), ("city", "नगरी")]
    return [
        (
            1.3 - i / 10_000,
            f"The {nouns[i % 5][0]} with the number {i} is very old.",
            f"संख्या {i} वाली {nouns[i % 5][1]} बहुत पुरानी है।",
        )
        for i in range(count)
    ]


def entity(
    identifier: str, labels: Any = None, descriptions: Any = None, instance_of: Sequence[str] = (), kind: str = "item"
) -> dict[str, Any]:
    """One entity in the dump's layout; a string map becomes terms, anything else stays as it is (`[]` for an empty map)."""

    def terms(value: Any) -> Any:
        return {k: {"language": k, "value": v} for k, v in value.items()} if isinstance(value, dict) else value

    claims = [
        {
            "mainsnak": {
                "snaktype": "value",
                "property": "P31",
                "datavalue": {"value": {"entity-type": "item", "id": i}, "type": "wikibase-entityid"},
            },
            "type": "statement",
            "rank": "normal",
        }
        for i in instance_of
    ]
    return {"type": kind, "id": identifier, "labels": terms(labels or []), "descriptions": terms(descriptions or []), "aliases": [],
            "claims": {"P31": claims, "P18": [{"mainsnak": {"snaktype": "somevalue"}}]} if claims else [], "sitelinks": [], "lastrevid": 1}  # fmt: skip


ENTITIES = [
    entity(
        "Q1",
        {"en": "universe", "hi": "ब्रह्मांड"},
        {"en": "totality of space and time", "hi": "अंतरिक्ष और समय का समग्र"},
        ["Q36906466"],
    ),
    entity("Q2", {"en": "Earth", "hi": "पृथ्वी"}, {"en": "third planet from the Sun"}),
    entity("Q3", {"en": "life"}, {"en": "matter with biological processes", "hi": "जैविक प्रक्रियाओं वाला पदार्थ"}),
    entity(
        "Q4",
        {"mul": "मीरा देवी", "en": "Meera Devi"},
        {"en": "Indian singer and writer", "hi": "भारतीय गायिका और लेखिका"},
        ["Q5"],
    ),
    entity("Q5", {"mul": "Anna Lind"}, {"en": "Swedish painter", "hi": "स्वीडिश चित्रकार"}, ["Q5"]),
    entity(
        "Q6",
        {"en": "Mercury", "hi": "मर्करी"},
        {"en": "Wikimedia disambiguation page", "hi": "विकिमीडिया बहुविकल्पी पृष्ठ"},
        ["Q4167410"],
    ),
    entity("Q7"),
    entity("P31", {"en": "instance of", "hi": "का उदाहरण"}, {"en": "type", "hi": "प्रकार"}, kind="property"),
    entity(
        "Q8",
        {"en": "happiness", "hi": "प्रसन्नता", "ar": "سعادة"},
        {"en": "mental state of well-being", "hi": "मानसिक अवस्था", "ar": "حالة نفسية من الرضا"},
    ),
]
