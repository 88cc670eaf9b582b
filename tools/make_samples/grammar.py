"""The sentence templates and how a choice of words becomes tokens and text in four languages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lexicon import DATA, LANGS, Entry, Tok, Toks, parse_cell

_AGREE = re.compile(r"^(\w)\?([^:]*):([^:]*)$")
_SLOT = re.compile(r"^\{(\w)(?:\.(\w+))?\}$")
_PUNCT = frozenset(".,?!।。、؟،？・")
_NO_SPACE_BEFORE = frozenset((".", ",", "?", "!", "।", "؟", "،", "'s"))


@dataclass
class Template:
    """One sentence pattern: slots with their word class, and the wordings by language ('hi', 'hi2' ...)."""

    name: str
    slots: dict[str, str]
    weight: float = 1.0
    label: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sentence:
    """One meaning in four languages, with the choices it came from."""

    template: str
    label: str
    toks: dict[str, Toks]
    text: dict[str, str]
    other: dict[str, str]
    seen: bool
    keys: tuple[str, ...]


def _read_words() -> dict[str, dict[str, str]]:
    """UPOS of the literal words of templates, by language."""
    words: dict[str, dict[str, str]] = {lang: {} for lang in LANGS}
    for line in (DATA / "words.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            lang, upos, *forms = line.split()
            for form in forms:
                words[lang][form] = upos
    return words


def load_templates() -> list[Template]:
    """All templates in file order."""
    templates: list[Template] = []
    for name in ("templates_people.txt", "templates_things.txt"):
        for line in (DATA / name).read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("@"):
                head, *options = line[1:].split()
                opts = [option.split("=", 1) for option in options]
                template = Template(head, {k: v for k, v in opts if (len(k) == 1 and k != "w") or v == "weather"})
                for key, value in opts:
                    if key == "w" and value != "weather" and value[0].isdigit():
                        template.weight = float(value)
                    elif key == "w":
                        template.slots[key] = value
                    elif key == "label":
                        template.label = value
                templates.append(template)
            else:
                lang, *toks = line.split()
                templates[-1].lines[lang] = toks
    return templates


class Grammar:
    """Templates plus the word list, ready to realise choices."""

    def __init__(self) -> None:
        self.templates = load_templates()
        self.words = _read_words()

    def expand(self, item: str, lang: str, choice: dict[str, Entry]) -> Toks:
        """Tokens for one template item: a slot, an agreement pair, or a literal word."""
        body, _, upos = item.partition("/")
        agree = _AGREE.match(body)
        if agree:
            slot, masculine, feminine = agree.groups()
            picked = masculine if choice[slot].gender(lang) == "m" else feminine
            return self.expand(f"{picked}/{upos}" if upos else picked, lang, choice)
        slotted = _SLOT.match(body)
        if slotted:
            toks = choice[slotted[1]].form(lang, slotted[2] or "")
            return tuple(Tok(t.form, upos, t.ner, t.glue) for t in toks) if upos else toks
        form = body.rstrip("~")
        tag = upos or ("PUNCT" if form in _PUNCT else self.words[lang].get(form, ""))
        if not tag:
            raise KeyError(f"no UPOS for {lang} {form!r}")
        return parse_cell(f"{body}/{tag}", tag, "")

    def tokens(self, items: list[str], lang: str, choice: dict[str, Entry]) -> Toks:
        """Tokens of a whole line."""
        toks = [tok for item in items for tok in self.expand(item, lang, choice)]
        if lang == "en":
            first = toks[0]
            toks[0] = Tok(first.form[:1].upper() + first.form[1:], first.upos, first.ner, first.glue)
        return tuple(toks)

    def realise(self, template: Template, choice: dict[str, Entry]) -> Sentence:
        """The sentence for one choice of words, with its other wordings if the template has some."""
        toks = {lang: self.tokens(template.lines[lang], lang, choice) for lang in LANGS}
        other = {
            lang: join(self.tokens(template.lines[lang + "2"], lang, choice), lang)
            for lang in LANGS
            if lang + "2" in template.lines
        }
        label = template.label
        if label.startswith("="):
            label = {"p": "positive", "n": "negative", "o": "neutral"}[choice[label[1]].feats["sent"]]
        text = {lang: join(toks[lang], lang) for lang in LANGS}
        keys = tuple(f"{e.cls}:{e.key}" for e in choice.values())
        return Sentence(template.name, label, toks, text, other, all(e.seen for e in choice.values()), keys)


def word_spans(toks: Toks) -> list[tuple[int, int]]:
    """Orthographic words as [start, end) token ranges: glued tokens form one word."""
    spans: list[tuple[int, int]] = []
    start = 0
    for index, tok in enumerate(toks):
        if not tok.glue:
            spans.append((start, index + 1))
            start = index + 1
    return spans


def surface(toks: Toks) -> str:
    """The written form of one word; Arabic ل + ال is written لل."""
    out = ""
    for tok in toks:
        out = out[:-1] + "لل" + tok.form[2:] if out == "ل" and tok.form.startswith("ال") else out + tok.form
    return out


def space_after(toks: Toks, end: int, lang: str) -> bool:
    """Whether a space follows the word that ends before token `end`."""
    return end < len(toks) and lang != "ja" and toks[end].form not in _NO_SPACE_BEFORE


def join(toks: Toks, lang: str) -> str:
    """The sentence as text."""
    parts: list[str] = []
    for start, end in word_spans(toks):
        parts.append(surface(toks[start:end]))
        if space_after(toks, end, lang):
            parts.append(" ")
    return "".join(parts)
