"""A Wikidata-shaped JSON dump of made items: labels and descriptions composed from the lexicon.

Item ids are made (Q90000001 and on) so that nobody takes them for real ones; property and class ids are the
real ones, because readers filter by them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from files import write_gz
from grammar import join
from lexicon import LANGS, Entry
from sampling import FAMOUS, full_name

Texts = dict[str, str]
FIRST = 90_000_001
CONTINENTAL = {"in": ("India", "Nepal"), "jp": ("Japan",),
               "ar": ("Egypt", "Jordan", "Lebanon", "Iraq", "Syria", "Qatar", "Morocco"),
               "we": ("Britain", "Germany", "Spain", "Italy", "America", "Canada", "Australia", "Ireland")}  # fmt: skip
CLASSES = {"city": "Q515", "country": "Q6256", "company": "Q4830453", "university": "Q3918", "agency": "Q484652",
           "food": "Q2095", "prof": "Q28640", "person": "Q5", "film": "Q11424", "novel": "Q8261", "song": "Q7366",
           "disambiguation": "Q4167410", "category": "Q4167836"}  # fmt: skip
BUILDINGS = {"museum": ("Museum", "Q33506"), "library": ("Library", "Q7075"), "station": ("Station", "Q55488"),
             "airport": ("Airport", "Q1248784"), "park": ("Park", "Q22698"), "hospital": ("Hospital", "Q16917"),
             "theater": ("Theater", "Q24354"), "stadium": ("Stadium", "Q483110")}  # fmt: skip
WORKS: dict[str, tuple[str, Texts]] = {
    "film": ("f", {"hi": "फ़िल्म", "ja": "映画", "ar": "فيلم"}),
    "novel": ("m", {"hi": "उपन्यास", "ja": "小説", "ar": "رواية"}),
    "song": ("m", {"hi": "गाना", "ja": "歌", "ar": "أغنية"}),
}
FIXED: dict[str, Texts] = {
    "country": {"en": "sovereign state", "hi": "संप्रभु राज्य", "ja": "主権国家", "ar": "دولة ذات سيادة"},
    "agency": {"en": "international organization", "hi": "अंतरराष्ट्रीय संगठन", "ja": "国際的な組織", "ar": "منظمة دولية"},
    "food": {"en": "type of food", "hi": "एक प्रकार का खाद्य", "ja": "食べ物の一種", "ar": "نوع من الطعام"},
    "prof": {"en": "profession", "hi": "पेशा", "ja": "職業", "ar": "مهنة"},
    "disambiguation": {"en": "Wikimedia disambiguation page", "hi": "विकिमीडिया बहुविकल्पी पृष्ठ",
                       "ja": "ウィキメディアの曖昧さ回避ページ", "ar": "صفحة توضيح لويكيميديا"},
    "category": {"en": "Wikimedia category", "hi": "विकिमीडिया श्रेणी", "ja": "ウィキメディアのカテゴリ",
                 "ar": "تصنيف ويكيميديا"},
}  # fmt: skip


def _text(entry: Entry, lang: str, name: str = "") -> str:
    return join(entry.form(lang, name), lang)


def _texts(entry: Entry) -> Texts:
    return {lang: _text(entry, lang) for lang in LANGS}


def _article(word: str) -> str:
    return "ال" + word


class Dump:
    """Collects items; `finish` adds the irregularities of a real dump."""

    def __init__(self, lexicon: dict[str, list[Entry]]) -> None:
        self.lexicon = lexicon
        self.rng = random.Random("wikidata")
        self.country = {entry.key: entry for entry in lexicon["country"]}
        self.adjectival = [entry for entry in lexicon["country"] if _text(entry, "en", "adj") != "-"]
        self.items: list[dict[str, Any]] = []

    def _claim(self, prop: str, target: str) -> dict[str, Any]:
        value = {"entity-type": "item", "numeric-id": int(target[1:]), "id": target}
        snak = {"snaktype": "value", "property": prop, "datavalue": {"value": value, "type": "wikibase-entityid"},
                "datatype": "wikibase-item"}  # fmt: skip
        return {"mainsnak": snak, "type": "statement", "id": f"sample${self.rng.getrandbits(64):016x}",
                "rank": "normal"}  # fmt: skip

    def add(self, kind: str, labels: Texts, descriptions: Texts, p31: str, aliases: Texts | None = None) -> None:
        """One item; about a tenth of the labels and a sixth of the descriptions are left out, as upstream."""
        rng = self.rng
        number = FIRST + len(self.items)
        kept_labels = {k: v for k, v in labels.items() if rng.random() > (0.02 if k == "en" else 0.1)}
        kept = {k: v for k, v in descriptions.items() if rng.random() > (0.05 if k == "en" else 0.16)}
        if rng.random() < 0.03:
            kept = {}
        if kind == "person" and rng.random() < 0.4:
            kept_labels = {"mul": labels["en"], **{k: v for k, v in kept_labels.items() if k != "en"}}
        links = {f"{k}wiki": {"site": f"{k}wiki", "title": v, "badges": []}
                 for k, v in labels.items() if rng.random() < 0.6}  # fmt: skip
        names = {k: [{"language": k, "value": v}] for k, v in (aliases or {}).items()}
        self.items.append(
            {
                "type": "item",
                "id": f"Q{number}",
                "labels": {k: {"language": k, "value": v} for k, v in kept_labels.items()} or [],
                "descriptions": {k: {"language": k, "value": v} for k, v in kept.items()} or [],
                "aliases": names or [],
                "claims": {"P31": [self._claim("P31", p31)]} if rng.random() > 0.02 else [],
                "sitelinks": links or [],
                "pageid": number - 80_000_000,
                "ns": 0,
                "title": f"Q{number}",
                "lastrevid": rng.randint(1_500_000_000, 2_100_000_000),
                "modified": f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:00:00Z",
            }
        )

    def _in(self, kind: Texts, country: Entry) -> Texts:
        """`city in Japan` in four languages."""
        name = _texts(country)
        return {"en": f"{kind['en']} in {name['en']}", "hi": f"{name['hi']} में स्थित {kind['hi']}",
                "ja": f"{name['ja']}の{kind['ja']}", "ar": f"{kind['ar']} في {name['ar']}"}  # fmt: skip

    def places(self) -> None:
        """Cities, countries and buildings named after cities."""
        for city in self.lexicon["city"]:
            kind = {"en": "city", "hi": "शहर", "ja": "都市", "ar": "مدينة"}
            self.add("city", _texts(city), self._in(kind, self.country[city.feats["country"]]), CLASSES["city"])
        for country in self.lexicon["country"]:
            self.add("country", _texts(country), FIXED["country"], CLASSES["country"])
        venues = {entry.key: entry for entry in self.lexicon["venue"]}
        pairs = [(city, kind) for city in self.lexicon["city"] for kind in BUILDINGS]
        for city, sort in self.rng.sample(pairs, 200):
            word, p31 = BUILDINGS[sort]
            venue, town, land = venues[sort], _texts(city), _texts(self.country[city.feats["country"]])
            bare = {"hi": _text(venue, "hi"), "ja": _text(venue, "ja"), "ar": _text(venue, "ar", "ind")}
            labels = {"en": f"{town['en']} {word}", "hi": f"{town['hi']} {bare['hi']}", "ja": town["ja"] + bare["ja"],
                      "ar": f"{bare['ar']} {town['ar']}"}  # fmt: skip
            described = {"en": f"{sort} in {town['en']}, {land['en']}",
                         "hi": f"{land['hi']} के {town['hi']} में स्थित {bare['hi']}",
                         "ja": f"{land['ja']}の{town['ja']}にある{bare['ja']}",
                         "ar": f"{bare['ar']} في {town['ar']}، {land['ar']}"}  # fmt: skip
            self.add("building", labels, described, p31)

    def organisations(self) -> None:
        """Companies, universities and international bodies."""
        words: dict[str, Texts] = {"company": {"en": "company", "hi": "कंपनी", "ja": "企業", "ar": "شركة"},
                                   "university": {"en": "university", "hi": "विश्वविद्यालय", "ja": "大学",
                                                  "ar": "جامعة"}}  # fmt: skip
        for cls in ("company", "university", "agency"):
            for org in self.lexicon[cls]:
                country = self.country.get(org.feats["country"])
                located = country is not None and cls in words
                described = self._in(words[cls], country) if located and country else FIXED["agency"]
                labels = {k: v.removeprefix("the ") for k, v in _texts(org).items()}
                self.add(cls, labels, described, CLASSES[cls])

    def people(self, count: int) -> None:
        """Made people: nationality, occupation, and for half of them a year of birth."""
        names = [(g, f) for g in self.lexicon["given"] for f in self.lexicon["family"]
                 if g.feats["origin"] == f.feats["origin"] and (g.key, f.key) not in FAMOUS]  # fmt: skip
        for given, family in self.rng.sample(names, count):
            person, prof = full_name(given, family), self.rng.choice(self.lexicon["prof"])
            country = self.country[self.rng.choice(CONTINENTAL[given.feats["origin"]])]
            sex = given.gender("hi")
            described = {
                "en": f"{_text(country, 'en', 'adj')} {_text(prof, 'en')}",
                "hi": f"{_text(country, 'hi', 'adj')} {_text(prof, 'hi', sex)}",
                "ja": f"{_text(country, 'ja')}の{_text(prof, 'ja')}",
                "ar": f"{_text(prof, 'ar', sex)} {_text(country, 'ar', 'adj.' + sex)}",
            }
            if self.rng.random() < 0.5:
                year = self.rng.randint(1930, 2001)
                born = {
                    "en": f" (born {year})",
                    "hi": f" (जन्म {year})",
                    "ja": f"({year}年生)",
                    "ar": f" (مواليد {year})",
                }
                described = {k: v + born[k] for k, v in described.items()}
            aliases = _texts(given) if self.rng.random() < 0.3 else None
            self.add("person", _texts(person), described, CLASSES["person"], aliases)

    def works(self, count: int) -> None:
        """Films, novels and songs with made titles such as The Quiet Station."""
        adjectives = [e for e in self.lexicon["adj"] if "v" in e.feats["dom"] and e.feats["sent"] != "n"]
        titles = [(a, v) for a in adjectives for v in self.lexicon["venue"] if " " not in _text(v, "ar")]
        for adjective, venue in self.rng.sample(titles, count):
            kind = self.rng.choice(list(WORKS))
            gender, word = WORKS[kind]
            country, year = self.rng.choice(self.adjectival), self.rng.randint(1950, 2023)
            labels = {
                "en": f"The {_text(adjective, 'en').title()} {_text(venue, 'en').title()}",
                "hi": f"{_text(adjective, 'hi', venue.gender('hi'))} {_text(venue, 'hi')}",
                "ja": f"{_text(adjective, 'ja', 'attr')}{_text(venue, 'ja')}",
                "ar": f"{_text(venue, 'ar')} {_article(_text(adjective, 'ar', venue.gender('ar')))}",
            }
            nation = _text(country, "ar", "adj.m" if kind == "film" else "adj.f")
            described = {
                "en": f"{year} {_text(country, 'en', 'adj')} {kind}",
                "hi": f"{year} {'की' if gender == 'f' else 'का'} {_text(country, 'hi', 'adj')} {word['hi']}",
                "ja": f"{year}年の{_text(country, 'ja')}の{word['ja']}",
                "ar": f"{word['ar']} {nation} من عام {year}",
            }
            self.add(kind, labels, described, CLASSES[kind])

    def rest(self) -> None:
        """Foods, occupations, and the internal pages that a reader should leave out."""
        for entry in self.lexicon["food"]:
            self.add("food", _texts(entry), FIXED["food"], CLASSES["food"])
        for entry in self.lexicon["prof"]:
            labels = {lang: _text(entry, lang, "m" if lang in ("hi", "ar") else "") for lang in LANGS}
            self.add("prof", labels, FIXED["prof"], CLASSES["prof"])
        for entry in self.rng.sample(self.lexicon["given"], 36):
            self.add("disambiguation", _texts(entry), FIXED["disambiguation"], CLASSES["disambiguation"])
        for entry in self.lexicon["country"]:
            name = _texts(entry)
            labels = {"en": f"Category:Cities in {name['en']}", "hi": f"श्रेणी:{name['hi']} के शहर",
                      "ja": f"Category:{name['ja']}の都市", "ar": f"تصنيف:مدن {name['ar']}"}  # fmt: skip
            self.add("category", labels, FIXED["category"], CLASSES["category"])


def _others() -> list[dict[str, Any]]:
    """Entities that are not items: a reader has to step over them."""

    def values(texts: Texts) -> dict[str, Any]:
        return {k: {"language": k, "value": v} for k, v in texts.items()}

    names = {
        "P31": ("wikibase-item", {"en": "instance of", "hi": "का उदाहरण", "ja": "分類", "ar": "نموذج من"}),
        "P17": ("wikibase-item", {"en": "country", "hi": "देश", "ja": "国", "ar": "البلد"}),
        "P106": ("wikibase-item", {"en": "occupation", "hi": "व्यवसाय", "ja": "職業", "ar": "المهنة"}),
        "P569": ("time", {"en": "date of birth", "hi": "जन्म तिथि", "ja": "生年月日", "ar": "تاريخ الميلاد"}),
    }
    found: list[dict[str, Any]] = [
        {"type": "property", "id": key, "datatype": datatype, "labels": values(texts), "descriptions": [],
         "aliases": [], "claims": [], "lastrevid": 2_000_000_000, "modified": "2024-06-01T00:00:00Z"}
        for key, (datatype, texts) in names.items()
    ]  # fmt: skip
    lexeme = {"type": "lexeme", "id": "L90000001", "lemmas": values({"en": "book"}), "lexicalCategory": "Q1084",
              "language": "Q1860", "forms": [], "senses": [], "claims": [], "lastrevid": 2_000_000_001,
              "modified": "2024-06-01T00:00:00Z"}  # fmt: skip
    return [*found, lexeme]


def build(lexicon: dict[str, list[Entry]], root: Path) -> None:
    """Write the dump: an array with one entity a line, some lines escaped to ASCII, one of them broken."""
    dump = Dump(lexicon)
    dump.places()
    dump.organisations()
    dump.people(320)
    dump.works(150)
    dump.rest()
    dump.rng.shuffle(dump.items)
    entities = dump.items[:400] + _others() + dump.items[400:]
    lines = [json.dumps(e, ensure_ascii=index % 3 == 0, separators=(",", ":")) for index, e in enumerate(entities)]
    lines.insert(555, lines[12][: len(lines[12]) // 2])
    write_gz(root / "wikidata" / "wikidata-sample.json.gz", ("[\n" + ",\n".join(lines) + "\n]\n").encode())
