"""Choose words for templates: evenly, without repeats, and with the labelled sets set apart.

Words are drawn from shuffled decks (every word comes up before any comes up twice), so rare names do not
exist. A meaning is used once over all files: its text may not occur before in any of the four languages.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from grammar import Grammar, Sentence, Template
from lexicon import LANGS, Entry, Tok, Toks

# Given and family names that together are a well-known person's name.
FAMOUS = frozenset({("James", "Brown"), ("James", "Taylor"), ("Rohit", "Sharma"), ("Arjun", "Singh"),
                    ("Maria", "Miller"), ("Mark", "Taylor"), ("Vikram", "Singh"), ("Karim", "Aziz")})  # fmt: skip
FULL_NAME_SHARE = 0.22


def full_name(given: Entry, family: Entry) -> Entry:
    """Given and family name as one entry; Japanese names put the family name first, foreign ones take a middle dot."""
    forms: dict[str, dict[str, Toks]] = {}
    for lang in LANGS:
        first, last = given.forms[lang][""][0].form, family.forms[lang][""][0].form
        parts = [(first, "PROPN"), (last, "PROPN")]
        if lang == "ja":
            native = given.feats["origin"] == "jp"
            parts = [parts[1], parts[0]] if native else [parts[0], ("・", "PUNCT"), parts[1]]
        forms[lang] = {"": tuple(Tok(f, u, ("I-" if i else "B-") + "PER") for i, (f, u) in enumerate(parts))}
    return Entry("person", f"{given.key} {family.key}", forms, dict(given.feats), given.seen and family.seen)


def _number(key: str, form: str) -> Entry:
    """Digits are written alike in the four languages of the sample."""
    return Entry("number", key, {lang: {"": (Tok(form, "NUM"),)} for lang in LANGS}, {})


class Sampler:
    """Draws sentences no one has drawn before."""

    def __init__(self, lexicon: dict[str, list[Entry]], grammar: Grammar, seed: str) -> None:
        self.lexicon = lexicon
        self.grammar = grammar
        self.rng = random.Random(seed)
        self.used: dict[str, dict[str, str]] = {lang: {} for lang in LANGS}
        self.decks: dict[tuple[str, bool], list[Entry]] = {}

    def _draw(self, spec: str, seen_only: bool) -> Entry:
        deck = self.decks.setdefault((spec, seen_only), [])
        if not deck:
            cls, _, rest = spec.partition(":")
            domain, _, sentiment = rest.partition(":")
            deck.extend(
                entry
                for entry in self.lexicon[cls]
                if (not seen_only or entry.seen)
                and (not domain or domain in entry.feats["dom"])
                and (not sentiment or entry.feats["sent"] == sentiment)
            )
            self.rng.shuffle(deck)
        return deck.pop()

    def _person(self, seen_only: bool) -> Entry:
        given = self._draw("given", seen_only)
        if self.rng.random() < FULL_NAME_SHARE:
            for _ in range(40):
                family = self.rng.choice(self.lexicon["family"])
                famous = (given.key, family.key) in FAMOUS
                if family.feats["origin"] == given.feats["origin"] and not famous and (family.seen or not seen_only):
                    return full_name(given, family)
        return given

    def _value(self, spec: str, seen_only: bool) -> Entry:
        if spec == "person":
            return self._person(seen_only)
        if spec == "num":
            value = str(self.rng.choice([n for n in range(13, 96) if n % 10]))
            return _number(value, value)
        if spec == "year":
            value = str(self.rng.randint(1955, 2023))
            return _number(value, value)
        if spec == "hour":
            value = f"{self.rng.randint(6, 22)}:{self.rng.choice(('10', '15', '20', '30', '40', '45'))}"
            return _number(value, value)
        return self._draw(spec, seen_only)

    def choose(self, template: Template, seen_only: bool) -> dict[str, Entry]:
        """Values for the slots of a template, all different."""
        choice: dict[str, Entry] = {}
        for slot, spec in template.slots.items():
            entry = self._value(spec, seen_only)
            for _ in range(20):
                if not self._clashes(entry, choice):
                    break
                entry = self._value(spec, seen_only)
            choice[slot] = entry
        return choice

    @staticmethod
    def _clashes(entry: Entry, choice: dict[str, Entry]) -> bool:
        """The same name twice, or a city beside a university of that city, reads oddly."""
        mine = entry.key.split()[0]
        return entry.cls != "number" and any(mine == other.key.split()[0] for other in choice.values())

    def sentence(self, where: Callable[[Template], bool], seen_only: bool = False) -> Sentence:
        """A new sentence from one of the templates that satisfy `where`."""
        templates = [t for t in self.grammar.templates if where(t)]
        weights = [t.weight for t in templates]
        while True:
            template = self.rng.choices(templates, weights)[0]
            sentence = self.grammar.realise(template, self.choose(template, seen_only))
            texts = {lang: [sentence.text[lang], *([sentence.other[lang]] if lang in sentence.other else [])]
                     for lang in LANGS}  # fmt: skip
            if any(text in self.used[lang] for lang in LANGS for text in texts[lang]):
                continue
            for lang in LANGS:
                for text in texts[lang]:
                    self.used[lang][text] = template.name
            return sentence
