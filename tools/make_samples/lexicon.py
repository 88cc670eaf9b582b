"""Read the hand-written word tables and derive the inflected forms the templates ask for.

The tables hold what a person has to know (a word in four languages, its gender, its sentiment);
regular inflection (Hindi participles, Arabic accusatives, Japanese adjective endings) is worked out here,
so that one mistake in a rule is visible everywhere instead of hiding in one cell.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

LANGS = ("en", "hi", "ja", "ar")
DATA = Path(__file__).resolve().parent / "data"
UPOS = frozenset(
    {"ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT"}
    | {"SCONJ", "SYM", "VERB", "X"}
)
SMALL = frozenset(
    {"phone", "camera", "bag", "watch", "book", "umbrella", "coat", "map", "dictionary", "toy", "ring", "pen", "hat"}
)


@dataclass(frozen=True)
class Tok:
    """One syntactic word. `glue` joins it with the next one inside one orthographic word (do~ n't)."""

    form: str
    upos: str
    ner: str = "O"
    glue: bool = False


Toks = tuple[Tok, ...]


@dataclass
class Entry:
    """One lexicon row: forms by language and name ('' is the default form), features, and a stable key."""

    cls: str
    key: str
    forms: dict[str, dict[str, Toks]]
    feats: dict[str, str]
    seen: bool = field(default=True)

    def gender(self, lang: str) -> str:
        """Grammatical gender in `lang`; names have one gender for all languages."""
        return self.feats.get(f"{lang}.g") or self.feats.get("g") or "m"

    def form(self, lang: str, name: str = "") -> Toks:
        """A form by name, falling back to the citation form only where the table left it out."""
        table = self.forms[lang]
        if name in table:
            return table[name]
        if name in ("obl", "a") and "" in table:
            return table[""]
        raise KeyError(f"{self.cls}:{self.key} has no {lang} form {name!r}")


FEATURES = frozenset({"g", "origin", "country", "kind", "sent", "dom", "hi.g", "ar.g", "hi.past"})


def parse_cell(cell: str, upos: str, ner: str) -> Toks:
    """Tokens of one cell; `^` before a token keeps it out of the entity, `/X` overrides the class's UPOS."""
    toks: list[Tok] = []
    started = False
    for raw in cell.split():
        outside = raw.startswith("^")
        form, _, tag = raw.lstrip("^").partition("/")
        glue = form.endswith("~")
        label = "O" if outside or not ner else ("I-" if started else "B-") + ner
        started = started or label != "O"
        toks.append(Tok(form.rstrip("~"), tag or upos, label, glue))
    return tuple(toks)


def _ar_accusative(toks: Toks) -> Toks:
    """Indefinite accusative of a masculine singular: tanwin on an alif, hamza moving to its seat (رديئًا).

    The head takes the ending (مخيبًا للآمال), unless it is in construct with a definite noun (باهظ الثمن).
    """
    head, rest = toks[0], toks[1:]
    if rest and rest[0].form.startswith("ال"):
        return toks
    form = head.form[:-1] + "ئ" if head.form.endswith("يء") else head.form
    return (Tok(form + "ًا", head.upos), *rest)


def _tok(form: str, upos: str) -> Tok:
    return Tok(form, upos)


def _ja_adjective(base: Toks, kind: str) -> dict[str, Toks]:
    """Polite, plain, attributive and negative forms, split as UD Japanese splits them."""
    aux, des = "AUX", _tok("です", "AUX")
    neg = (_tok("あり", "VERB"), _tok("ませ", aux), _tok("ん", aux))
    may = (_tok("でしょ", aux), _tok("う", aux))
    if kind == "i":
        stem = (*base[:-1], Tok(base[-1].form[:-1], "ADJ"))
        return {
            "pred": (*base, des),
            "plain": base,
            "attr": base,
            "may": (*base, *may),
            "plainpast": (*stem[:-1], Tok(stem[-1].form + "かっ", "ADJ"), _tok("た", aux)),
            "past": (*stem[:-1], Tok(stem[-1].form + "かっ", "ADJ"), _tok("た", aux), des),
            "neg": (*stem[:-1], Tok(stem[-1].form + "く", "ADJ"), *neg),
        }
    return {
        "pred": (*base, des),
        "plain": (*base, _tok("だ", aux)),
        "attr": (*base, _tok("な", aux)),
        "may": (*base, *may),
        "plainpast": (*base, _tok("だっ", aux), _tok("た", aux)),
        "past": (*base, _tok("でし", aux), _tok("た", aux)),
        "neg": (*base, _tok("で", aux), _tok("は", "ADP"), *neg),
    }


def _hi_future(stem: str) -> str:
    """Future third person stem: खा -> खाए, पी -> पिए, कर -> करे."""
    if stem.endswith("ी"):
        return stem[:-1] + "िए"
    return stem + ("ए" if stem[-1] in "ाोए" else "े")


def _derive_activity(entry: Entry) -> None:
    hindi, stem = entry.forms["hi"], entry.forms["hi"].pop("stem")[0].form

    def verb(form: str) -> Toks:
        return (Tok(form, "VERB"),)

    hindi["root"], hindi["inf"] = verb(stem), verb(stem + "ना")
    hindi["infobl"] = verb(stem + "ने")
    hindi["hm"], hindi["hf"] = verb(stem + "ता"), verb(stem + "ती")
    hindi["fm"], hindi["ff"] = verb(_hi_future(stem) + "गा"), verb(_hi_future(stem) + "गी")
    past = entry.feats["hi.past"]
    if past.startswith("e:"):
        hindi["ne"], hindi["pm"] = (Tok("ने", "ADP"),), verb(past[2:])
        hindi["pf"] = hindi["pm"]
    else:
        masculine, feminine = past.split(",")
        hindi["ne"], hindi["pm"], hindi["pf"] = (), verb(masculine), verb(feminine)


def _derive(entry: Entry) -> None:
    english, arabic, japanese = entry.forms["en"], entry.forms["ar"], entry.forms["ja"]
    if "" in english:
        first = english[""][0].form
        english["a"] = (Tok("an" if first[0].lower() in "aeio" else "a", "DET"),)
        if first in ("umbrella", "ugly"):
            english["a"] = (Tok("an", "DET"),)
    if entry.cls == "act":
        _derive_activity(entry)
    if "kind" in entry.feats:
        japanese.update(_ja_adjective(japanese[""], entry.feats["kind"]))
    if entry.cls in ("thing", "work"):
        bare = arabic[""]
        arabic["def"] = (Tok("ال" + bare[0].form, bare[0].upos), *bare[1:])
        arabic["acc"] = bare if entry.cls == "work" or entry.gender("ar") == "f" else _ar_accusative(bare)
    if entry.cls == "prof":
        arabic["def"] = (Tok("ال" + arabic["m"][0].form, "NOUN"),)
        arabic["acc"] = _ar_accusative(arabic["m"])
    if entry.cls in ("adj", "feel", "weather"):
        arabic["mac"] = _ar_accusative(arabic["m"])
    if entry.cls == "venue":
        tail = [Tok(tok.form.removeprefix("ال"), tok.upos) for tok in arabic[""]]
        arabic["ind"] = tuple(tail)


def _parse_file(path: Path) -> list[Entry]:
    entries: list[Entry] = []
    cls, upos, ner, cols = "", "X", "", list[str]()
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            head, *options = line[1:].split()
            opts = dict(option.split("=", 1) for option in options)
            cls, upos, ner, cols = head, opts["upos"], opts.get("ner", ""), opts["cols"].split("|")
            continue
        cells = line.split("|")
        if len(cells) != len(cols):
            raise ValueError(f"{path.name}: {line!r} has {len(cells)} cells, wanted {len(cols)}")
        entry = Entry(cls, "", {lang: {} for lang in LANGS}, {})
        for col, cell in zip(cols, cells, strict=True):
            if col in FEATURES:
                entry.feats[col] = cell
                continue
            lang, _, name = col.partition(".")
            if cell or name not in ("obl",):
                entry.forms[lang][name] = parse_cell(cell, "VERB" if cls == "act" and name != "obj" else upos, ner)
        if cls == "act":  # an object is a noun unless the cell says otherwise
            for lang in LANGS:
                entry.forms[lang]["obj"] = tuple(
                    Tok(t.form, "NOUN" if t.upos == "VERB" else t.upos, t.ner, t.glue)
                    for t in entry.forms[lang].get("obj", ())
                )
        entry.key = " ".join(part.split("/")[0].lstrip("^") for part in cells[0].split())
        if cls == "act":
            entry.key = "|".join((cells[0], cells[4]))
        _derive(entry)
        entries.append(entry)
    return entries


def load_lexicon() -> dict[str, list[Entry]]:
    """Every class by name, in table order, plus the unions `place`, `corp` and `org`."""
    lexicon: dict[str, list[Entry]] = {}
    for name in ("names.txt", "nouns.txt", "adjectives.txt", "activities.txt"):
        for entry in _parse_file(DATA / name):
            lexicon.setdefault(entry.cls, []).append(entry)
    lexicon["place"] = lexicon["city"] + lexicon["country"]
    lexicon["corp"] = lexicon["company"] + lexicon["agency"]
    lexicon["org"] = lexicon["corp"] + lexicon["university"]
    lexicon["small"] = [entry for entry in lexicon["thing"] if entry.key in SMALL]  # what one can lose
    _mark_seen(lexicon)
    return lexicon


HELD_OUT = ("given", "family", "city", "country", "company", "university", "agency", "adj", "feel",
            "food", "thing", "venue", "media", "prof", "act", "rel", "subject")  # fmt: skip


def _mark_seen(lexicon: dict[str, list[Entry]]) -> None:
    """Keep 60% of the names and content words for the English labelled sets; the rest stay unlabelled there.

    Words shared by several classes (play, song) follow the first class, so that a word is never
    held out in one and labelled in another.
    """
    verdict: dict[str, bool] = {}
    for cls in HELD_OUT:
        groups: dict[str, list[Entry]] = {}
        for entry in lexicon[cls]:
            # sentiment words are split within sentiment and domain: each must be learnable from what is left
            groups.setdefault(entry.feats.get("sent", "") + entry.feats.get("dom", "")[:1], []).append(entry)
        for name, group in groups.items():
            rng = random.Random(f"seen:{cls}:{name}")
            keep = {e.key for e in rng.sample(group, max(1, round(0.6 * len(group))))}
            for entry in group:
                entry.seen = verdict.setdefault(entry.key, entry.key in keep)
    for cls in ("work", "event"):
        for entry in lexicon[cls]:
            entry.seen = verdict.get(entry.key, True)
