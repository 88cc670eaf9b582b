"""Sets by topic: texts labelled with what they are about, and made users who engage with texts on what they like.

Drawn after everything else, so that no other file depends on them; a meaning that is in another file is in none here.
"""

from __future__ import annotations

from pathlib import Path

from files import write_bytes
from grammar import Sentence
from sampling import Sampler

TOPICS = {
    "work": "works_at relative_works profession became wants_job want_work joined hired opened_office agreement",
    "travel": "go_future go_past travelled trip leaves arrives when_come moved",
    "food": "likes_foods relative_dislikes food_was food_said ordered needs",
    "weather": "weather weather_will rained if_rain",
    "shopping": "bought_thing bought_for sold price bought_adj returned thing_is give_to",
    "places": "venue_is venue_not venue_said liked_venue disliked_venue near_venue opens closed",
    "media": "thinks_media media_was talked praised criticized wrote",
    "school": "studied teaches lecture learning speaks",
}
SIZES = {"en.train": 480, "en.dev": 120, "hi.test": 160, "ja.test": 160, "ar.test": 160}
USERS, ITEMS, LIKED, EACH, TESTED = 40, 240, 2, 25, 5
OFF_TOPIC = 0.1


def _of_topics(sampler: Sampler, size: int, seen_only: bool) -> list[tuple[str, Sentence]]:
    """As many sentences of each topic, in random order."""
    found = []
    for topic, names in TOPICS.items():
        wanted = set(names.split())
        found += [
            (topic, sampler.sentence(lambda t, w=wanted: t.name in w, seen_only)) for _ in range(size // len(TOPICS))
        ]
    sampler.rng.shuffle(found)
    return found


def _engagements(sampler: Sampler) -> tuple[list[str], list[str]]:
    """Training and test lines: each user engages with texts on two topics, a tenth of the time with any."""
    items = _of_topics(sampler, ITEMS, seen_only=True)
    train, test = [], []
    for user in range(1, USERS + 1):
        liked = sampler.rng.sample(list(TOPICS), LIKED)
        near = [number for number, (topic, _) in enumerate(items) if topic in liked]
        chosen: dict[int, None] = {}
        while len(chosen) < EACH:
            any_topic = sampler.rng.random() < OFF_TOPIC
            chosen[sampler.rng.randrange(len(items)) if any_topic else sampler.rng.choice(near)] = None
        lines = [f"u{user:02}\t{items[number][1].text['en']}\n" for number in chosen]
        test += lines[:TESTED]
        train += lines[TESTED:]
    for lines in (train, test):
        sampler.rng.shuffle(lines)
    return train, test


def build(sampler: Sampler, root: Path) -> None:
    """Write the classification and the engagement files."""
    for split, size in SIZES.items():
        lang = split.split(".")[0]
        sentences = _of_topics(sampler, size, seen_only=lang == "en")
        body = "".join(f"{sentence.text[lang]}\t{topic}\n" for topic, sentence in sentences)
        write_bytes(root / "tasks" / "classification" / f"{split}.tsv", body.encode())
    for split, lines in zip(("train", "test"), _engagements(sampler), strict=True):
        write_bytes(root / "tasks" / "engagement" / f"en.{split}.tsv", "".join(lines).encode())
