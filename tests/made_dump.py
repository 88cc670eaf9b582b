"""A Wikidata dump that looks like the real one, as large as asked: for speed, memory and kills.

python tests/made_dump.py FOLDER [--entities 200000] [--share 0.05] [--kinds gz bz2]

Entities are 10 to 40 KB as in the real dump, about two thirds of it claims: statements with hashes and random ids, the
larger part rendered once and used again at distances that no gzip window spans. There are the lines `[` and `]`,
commas, properties, empty maps written `[]`, labels in `mul`, and items of Wikimedia itself. For every language
of `LANGUAGES` (but English) `share` of the items have a label and a description in English and in it: three
fifths of these in all languages at once, as with well-known items, the rest in this language alone.
"""

from __future__ import annotations

import argparse
import bz2
import json
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LANGUAGES = ("en", "hi", "ja", "ar", "de", "fr", "es", "ru", "zh", "ko", "tr")
_OTHER_CODES = """af als an ast az be bg bn br bs ca cs cy da el eo et eu fa fi fo ga gl gsw gu he hr hu hy id io is it jv ka kk
kn ku ky la lb lt lv mg mk ml mn mr ms my nb nds ne nl nn oc pa pl pt ro sa sc scn sco sk sl sq sr sv sw ta te tg th tl
uk ur uz vec vi vls wa war yo zea"""
_OTHERS = _OTHER_CODES.split()
_TEXTS = {
    "en": "old new river city road school garden singer writer village museum valley castle bridge forest",
    "hi": "पुराना नया नदी शहर सड़क विद्यालय बाग़ गायक लेखक गाँव संग्रहालय घाटी क़िला पुल वन",
    "ja": "古い 新しい 川 都市 道路 学校 庭園 歌手 作家 村 博物館 谷 城 橋 森",
    "ar": "قديم جديد نهر مدينة طريق مدرسة حديقة مغني كاتب قرية متحف وادي قلعة جسر غابة",
    "ru": "старый новый река город дорога школа сад певец писатель деревня музей долина замок мост лес",
    "zh": "古老 新 河流 城市 道路 学校 花园 歌手 作家 村庄 博物馆 山谷 城堡 桥梁 森林",
    "ko": "오래된 새로운 강 도시 도로 학교 정원 가수 작가 마을 박물관 계곡 성 다리 숲",
}
_WORDS = {language: text.split() for language, text in _TEXTS.items()}
_CLASSES = ("Q5", "Q532", "Q4022", "Q3914", "Q23397", "Q11173")
_INTERNAL = "Q4167410"
_BLOBS = 400


def _text(draw: random.Random, language: str, words: int) -> str:
    return " ".join(draw.choices(_WORDS.get(language, _WORDS["en"]), k=words))


def _term(language: str, value: str) -> str:
    return f'"{language}":{{"language":"{language}","value":{json.dumps(value)}}}'


def _snak(draw: random.Random, prop: int) -> str:
    number = draw.randrange(1, 120_000_000)
    value = draw.choice(
        (
            f'{{"value":{{"entity-type":"item","numeric-id":{number},"id":"Q{number}"}},"type":"wikibase-entityid"}}',
            f'{{"value":"{draw.getrandbits(48):x}","type":"string"}}',
            f'{{"value":{{"time":"+{draw.randrange(1500, 2026)}-0{draw.randrange(1, 10)}-01T00:00:00Z","timezone":0,'
            '"before":0,"after":0,"precision":11,"calendarmodel":"http://www.wikidata.org/entity/Q1985727"},"type":"time"}',
            f'{{"value":{{"text":{json.dumps(_text(draw, draw.choice(LANGUAGES), 3))},"language":"en"}},'
            '"type":"monolingualtext"}',
        )
    )
    return (
        f'{{"snaktype":"value","property":"P{prop}","hash":"{draw.getrandbits(160):040x}","datavalue":{value},'
        '"datatype":"wikibase-item"}'
    )


def _reference(draw: random.Random) -> str:
    snaks = f'{{"P248":[{_snak(draw, 248)}],"P813":[{_snak(draw, 813)}]}}'
    return f'{{"hash":"{draw.getrandbits(160):040x}","snaks":{snaks},"snaks-order":["P248","P813"]}}'


def _statement(draw: random.Random, prop: int, references: Sequence[str]) -> str:
    guid = f"{draw.getrandbits(32):08x}-{draw.getrandbits(16):04x}-4000-{draw.getrandbits(48):012x}"
    cited = f',"references":[{draw.choice(references)}]' if draw.random() < 0.8 else ""
    return f'{{"mainsnak":{_snak(draw, prop)},"type":"statement","id":"Q1${guid}","rank":"normal"{cited}}}'


def _blobs(draw: random.Random, kilobytes: tuple[int, int]) -> tuple[list[str], list[str]]:
    """Claims without P31, and terms in other languages, each rendered once."""
    claims, terms = [], []
    for _ in range(_BLOBS):
        size, parts = draw.uniform(*kilobytes) * 620, []
        references = [_reference(draw) for _ in range(3)]  # an item's statements mostly cite the same few sources
        while sum(map(len, parts)) < size:
            prop = draw.randrange(32, 12_000)
            parts.append(f'"P{prop}":[{_statement(draw, prop, references)}]')
        claims.append(",".join(parts))
        size, parts = draw.uniform(*kilobytes) * 60, []
        for language in draw.sample(_OTHERS, len(_OTHERS)):
            if sum(map(len, parts)) < size:
                parts.append(_term(language, _text(draw, "en", 3)))
        terms.append(",".join(parts))
    return claims, terms


def _has(draw: random.Random, languages: Sequence[str], share: float) -> list[tuple[bool, bool]]:
    """For every language whether an item has a label and a description in it."""
    if draw.random() < share * 0.6:
        return [(True, True)] * len(languages)
    alone = [draw.random() < share * 0.4 / (1 - share * 0.6) for _ in languages[1:]]
    english = (True, True) if any(alone) else (draw.random() < 0.9, draw.random() < 0.7)
    lacking = [(True, False), (True, False), (False, True), (False, False)]
    return [english, *((True, True) if both else draw.choice(lacking) for both in alone)]


def lines(
    count: int,
    *,
    share: float = 0.05,
    seed: int = 1,
    kilobytes: tuple[int, int] = (10, 40),
    languages: Sequence[str] = LANGUAGES,
) -> Iterator[bytes]:
    """The lines of a dump of `count` entities, each with its newline; the same for the same arguments."""
    draw = random.Random(seed)
    claims, terms = _blobs(draw, kilobytes)
    yield b"[\n"
    for number in range(1, count + 1):
        if number % 400 == 0:
            entity = f'{{"type":"property","datatype":"string","id":"P{number}","labels":{{}},"descriptions":[],"aliases":[],"claims":[]}}'
        elif number % 97 == 0:
            entity = f'{{"type":"item","id":"Q{number}","labels":[],"descriptions":[],"aliases":[],"claims":[],"sitelinks":[]}}'
        else:
            entity = _item(draw, number, draw.choice(claims), terms, share, languages)
        yield f"{entity},\n".encode() if number < count else f"{entity}\n".encode()
    yield b"]\n"


def _item(
    draw: random.Random, number: int, claims: str, terms: list[str], share: float, languages: Sequence[str]
) -> str:
    has = _has(draw, languages, share)
    labels = [
        _term(code, f"{_text(draw, code, 2)} {number}")
        for code, (is_there, _) in zip(languages, has, strict=True)
        if is_there
    ]
    if number % 23 == 0:
        labels.append(_term("mul", f"{_text(draw, 'en', 2)} {number}"))
    descriptions = [
        _term(code, f"{_text(draw, code, 4)} {number % 997}")
        for code, (_, is_there) in zip(languages, has, strict=True)
        if is_there
    ]
    alias = json.dumps(f"{_text(draw, 'en', 2)} {number}")
    of_class = _INTERNAL if number % 41 == 0 else draw.choice(_CLASSES)
    p31 = (
        f'{{"mainsnak":{{"snaktype":"value","property":"P31","hash":"{draw.getrandbits(160):040x}","datavalue":{{"value":'
        f'{{"entity-type":"item","numeric-id":{of_class[1:]},"id":"{of_class}"}},"type":"wikibase-entityid"}},'
        f'"datatype":"wikibase-item"}},"type":"statement","id":"Q{number}${draw.getrandbits(128):032x}","rank":"normal"}}'
    )
    return (
        f'{{"type":"item","id":"Q{number}","labels":{{{",".join([*labels, draw.choice(terms)])}}},'
        f'"descriptions":{{{",".join([*descriptions, draw.choice(terms)])}}},'
        f'"aliases":{{"en":[{{"language":"en","value":{alias}}}]}},"claims":{{"P31":[{p31}],{claims}}},'
        f'"sitelinks":{{"enwiki":{{"site":"enwiki","title":{alias},"badges":[]}}}},"lastrevid":{number * 17}}}'
    )


def _pieces(stream: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The stream in pieces of at least `size` bytes, whole lines each."""
    waiting: list[bytes] = []
    held = 0
    for line in stream:
        waiting.append(line)
        held += len(line)
        if held >= size:
            yield b"".join(waiting)
            waiting, held = [], 0
    yield b"".join(waiting)


def gzipped(data: bytes, level: int = 6) -> bytes:
    """One gzip member without a time."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def write_gz(path: Path, stream: Iterable[bytes], *, member: int = 1 << 30, level: int = 6) -> None:
    """Write gzip members of about `member` bytes each, one behind the other as in the real dump."""
    with path.open("wb") as file:
        packer, held = zlib.compressobj(level, zlib.DEFLATED, 31), 0
        for piece in _pieces(stream, 1 << 20):
            if held >= member:
                file.write(packer.flush())
                packer, held = zlib.compressobj(level, zlib.DEFLATED, 31), 0
            file.write(packer.compress(piece))
            held += len(piece)
        file.write(packer.flush())


def write_bz2(path: Path, stream: Iterable[bytes], *, member: int = 9 << 20) -> None:
    """Write bzip2 streams of about `member` bytes each, two at a time."""
    with path.open("wb") as file, ThreadPoolExecutor(2) as pool:
        waiting = []
        for piece in _pieces(stream, member):
            waiting.append(pool.submit(bz2.compress, piece))
            if len(waiting) > 4:
                file.write(waiting.pop(0).result())
        for done in waiting:
            file.write(done.result())


_PREDICATES = (
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    "http://schema.org/name",
)


def _literal(value: str, language: str) -> str:
    """An N-Triples literal as Wikidata writes them: characters outside ASCII are escaped."""
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    text = "".join(c if ord(c) < 128 else f"\\u{ord(c):04X}" if ord(c) < 65_536 else f"\\U{ord(c):08X}" for c in text)
    return f'"{text}"@{language}'


def truthy(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The same entities as truthy N-Triples, a line each."""
    for line in stream:
        text = line.strip().rstrip(b",")
        if text in (b"[", b"]"):
            continue
        entity = json.loads(text)
        subject = f"<http://www.wikidata.org/entity/{entity['id']}>"
        kind = "Property" if entity["type"] == "property" else "Item"
        out = [
            f"<https://www.wikidata.org/wiki/Special:EntityData/{entity['id']}> <http://schema.org/about> {subject} .",
            f"{subject} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://wikiba.se/ontology#{kind}> .",
        ]
        maps = {name: entity[name] or {} for name in ("labels", "descriptions", "aliases")}
        for code, term in maps["labels"].items():
            out += [f"{subject} <{p}> {_literal(term['value'], code)} ." for p in _PREDICATES]
        out += [
            f"{subject} <http://schema.org/description> {_literal(t['value'], code)} ."
            for code, t in maps["descriptions"].items()
        ]
        for code, terms in maps["aliases"].items():
            name = "http://www.w3.org/2004/02/skos/core#altLabel"
            out += [f"{subject} <{name}> {_literal(t['value'], code)} ." for t in terms]
        for prop, statements in (entity["claims"] or {}).items():
            for statement in statements:
                value = statement["mainsnak"].get("datavalue", {}).get("value", {})
                if isinstance(value, dict) and "id" in value:
                    direct = f"<http://www.wikidata.org/prop/direct/{prop}>"
                    out.append(f"{subject} {direct} <http://www.wikidata.org/entity/{value['id']}> .")
        yield "".join(f"{one}\n" for one in out).encode()


def main() -> None:
    """Write the files that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entities", type=int, default=200_000)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--kinds", nargs="+", default=["gz", "bz2"], choices=["gz", "bz2", "nt.gz", "nt.bz2"])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for kind in given.kinds:
        stream = lines(given.entities, share=given.share)
        name = "truthy" if kind.startswith("nt") else "all.json"
        path = given.folder / f"made-{name}{kind.removeprefix('nt') if name == 'truthy' else f'.{kind}'}"
        source = truthy(stream) if name == "truthy" else stream
        (write_gz if kind.endswith("gz") else write_bz2)(path, source)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
