"""Damage done to clean pairs, one function per fault kind, so that a cleaner can be scored by kind.

Every fault models something seen in mined bitext. A function gets (english, other) and what else it needs
through `Ctx` and returns the damaged (english, other).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import foreign
from grammar import Sentence, Template
from lexicon import LANGS

Pair = tuple[str, str]


@dataclass
class Ctx:
    """What a fault may draw on: a random source, the other language, the meaning, and more clean meanings."""

    rng: random.Random
    lang: str
    sentence: Sentence
    pool: list[Sentence]

    def another(self) -> Sentence:
        """A different clean meaning."""
        while True:
            found = self.rng.choice(self.pool)
            if found.text["en"] != self.sentence.text["en"]:
                return found


def misaligned(pair: Pair, ctx: Ctx) -> Pair:
    """A fluent sentence that means something else."""
    return pair[0], ctx.another().text[ctx.lang]


def wrong_language(pair: Pair, ctx: Ctx) -> Pair:
    """The right meaning in a third language of another script."""
    third = ctx.rng.choice([lang for lang in LANGS if lang not in ("en", ctx.lang)])
    return pair[0], ctx.sentence.text[third]


def wrong_language_same_script(pair: Pair, ctx: Ctx) -> Pair:
    """A neighbour language that a script check cannot tell apart."""
    if ctx.rng.random() < 0.65:
        return ctx.rng.choice(foreign.ENGLISH_SIDE), pair[1]
    return pair[0], ctx.rng.choice(foreign.TARGET_SIDE[ctx.lang])


def untranslated(pair: Pair, ctx: Ctx) -> Pair:
    """One side copied to the other."""
    return (pair[0], pair[0]) if ctx.rng.random() < 0.7 else (pair[1], pair[1])


def truncated(pair: Pair, ctx: Ctx) -> Pair:
    """A long English side against the first few characters of the other."""
    english = f"{pair[0]} {ctx.another().text['en']}"
    return english, pair[1][: max(3, len(pair[1]) // 4)].rstrip()


def concatenated(pair: Pair, ctx: Ctx) -> Pair:
    """Two or three extra sentences on one side only."""
    gap = "" if ctx.lang == "ja" else " "
    return pair[0], gap.join([pair[1], *(ctx.another().text[ctx.lang] for _ in range(ctx.rng.randint(2, 3)))])


def mojibake(pair: Pair, ctx: Ctx) -> Pair:
    """UTF-8 bytes read as Latin-1."""
    text = pair[1].encode("utf-8").decode("latin-1")
    return pair[0], text.replace("\x85", "…").replace("\x0a", "")


def markup(pair: Pair, ctx: Ctx) -> Pair:
    """Wiki or HTML markup left by extraction."""
    return ctx.rng.choice(
        (
            (f"<p>{pair[0]}</p>", f"<p>{pair[1]}<br /></p>"),
            (f"'''{pair[0]}'''<ref name=\"a\" />", f"'''{pair[1]}'''"),
            (f"{{{{cite web|title={pair[0]}}}}}", f"[[File:x.jpg|thumb|{pair[1]}]]"),
            (f"&nbsp;&lt;b&gt;{pair[0]}&lt;/b&gt;", f"&nbsp;{pair[1]}"),
        )
    )


def number_mismatch(pair: Pair, ctx: Ctx) -> Pair:
    """The same sentence with another number on one side."""

    def change(match: re.Match[str]) -> str:
        return str(int(match[0]) + ctx.rng.choice((3, 7, 10, 21)))

    return pair[0], re.sub(r"\d+", change, pair[1], count=1)


def empty(pair: Pair, ctx: Ctx) -> Pair:
    """Nothing, blanks, or an invisible character."""
    nothing = ctx.rng.choice(("", " ", "\u200b", "\u200b\u200b", "\u00a0"))
    return (pair[0], nothing) if ctx.rng.random() < 0.7 else (nothing, pair[1])


def control_characters(pair: Pair, ctx: Ctx) -> Pair:
    """NUL, backspace or the replacement character between letters."""
    bad = ctx.rng.choice(("\x00", "\x08", "\ufffd"))

    def spoil(text: str) -> str:
        at = ctx.rng.sample(range(1, len(text)), 3)
        return "".join(bad + ch if i in at else ch for i, ch in enumerate(text))

    return (spoil(pair[0]), pair[1]) if ctx.rng.random() < 0.4 else (pair[0], spoil(pair[1]))


def swapped(pair: Pair, ctx: Ctx) -> Pair:
    """The two sides in each other's column."""
    return pair[1], pair[0]


def near_duplicate(pair: Pair, ctx: Ctx) -> Pair:
    """A clean pair again in capitals and with more punctuation."""
    return pair[0].rstrip(".").upper() + "!!", pair[1] + pair[1][-1]


def url_or_code(pair: Pair, ctx: Ctx) -> Pair:
    """Addresses and code that carry no translation."""
    n = ctx.rng.randint(100, 9999)
    return ctx.rng.choice(
        (
            (f"https://www.example.org/en/page?id={n}", f"https://www.example.org/{ctx.lang}/page?id={n}"),
            (f"http://example.com/archive/{n}.html accessed {n % 28 + 1}", f"http://example.com/archive/{n}.html"),
            (f"for (int i = 0; i < {n}; i++) {{ sum += a[i]; }}", f"int i = {n}; while (i--) {{ sum += a[i]; }}"),
            (f"ISBN 0-00-{n}-000-0, doi:10.0000/{n}", f"ISBN 0-00-{n}-000-0, doi:10.0000/{n}"),
        )
    )


def repetition(pair: Pair, ctx: Ctx) -> Pair:
    """One word or letter over and over, as broken extraction and broken decoders leave it."""
    times = ctx.rng.randint(9, 16)
    if ctx.rng.random() < 0.5:
        other = pair[1].rstrip(".。।؟?")
        last = other[-2:] if ctx.lang == "ja" else " " + other.split(" ")[-1]
        return pair[0], other + last * times
    return pair[0].rstrip(".?") + "o" * (times * 2), pair[1]


def too_long(pair: Pair, ctx: Ctx) -> Pair:
    """A whole section in one row: over 1,200 characters on both sides."""
    english, other = [pair[0]], [pair[1]]
    while min(len(" ".join(english)), len(" ".join(other))) <= 1230:
        more = ctx.another()
        english.append(more.text["en"])
        other.append(more.text[ctx.lang])
    return " ".join(english), ("" if ctx.lang == "ja" and len("".join(other)) > 1205 else " ").join(other)


FAULTS: dict[str, Callable[[Pair, Ctx], Pair]] = {
    f.__name__: f
    for f in (misaligned, wrong_language, wrong_language_same_script, untranslated, truncated, concatenated, mojibake,
              markup, number_mismatch, empty, control_characters, swapped, near_duplicate, url_or_code, repetition,
              too_long)
}  # fmt: skip


def numbered(template: Template) -> bool:
    """Whether sentences of the template have a number to get wrong."""
    return any(spec in ("num", "year") for spec in template.slots.values())


def anything(template: Template) -> bool:
    """Any template will do."""
    return True
