"""The committed sample data: made again byte for byte, well formed, and with its sets kept apart."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tppc.samples import sample_root

REPO = Path(__file__).resolve().parents[2]
TRUTH = Path(__file__).resolve().parent / "truth"
MAKER = REPO / "tools" / "make_samples"
CODES = {"en": "eng", "hi": "hin", "ja": "jpn", "ar": "ara"}
MATRIX = {"hi": "en-hi", "ja": "en-ja", "ar": "ar-en"}
SPLITS = ("en.train", "en.dev", "hi.test", "ja.test", "ar.test")
UPOS = set("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split())  # noqa: SIM905
LIMIT = 3_000_000


def content(path: Path) -> bytes:
    """What a file holds. Builds of zlib may pack the same data into other bytes, so packing is not compared."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return bz2.decompress(data) if path.suffix == ".bz2" else data


def data_files(root: Path) -> dict[str, Path]:
    folders = ("tatoeba", "wikimatrix", "wikidata", "tasks")
    return {str(p.relative_to(root)): p for f in folders for p in sorted((root / f).rglob("*")) if p.is_file()}


def sentences(lang: str) -> dict[str, str]:
    """Tatoeba text by id, with the escapes undone."""
    code = CODES[lang]
    path = sample_root() / "tatoeba" / "per_language" / code / f"{code}_sentences_detailed.tsv.bz2"
    found = {}
    for record in re.split(r"(?<!\\)\n", content(path).decode())[:-1]:
        cells = re.split(r"(?<!\\)\t", record)
        assert len(cells) == 6, record
        assert cells[1] == code
        found[cells[0]] = re.sub(r"\\(.)", r"\1", cells[2], flags=re.S)
    return found


def links(first: str, second: str) -> list[tuple[str, str]]:
    path = sample_root() / "tatoeba" / "per_language" / first / f"{first}-{second}_links.tsv.bz2"
    rows = [line.split("\t") for line in content(path).decode().splitlines()]
    return [(a, b) for a, b in rows]


def matrix_rows(lang: str) -> list[tuple[bytes, str]]:
    name = MATRIX[lang]
    rows = content(sample_root() / "wikimatrix" / f"WikiMatrix.{name}.tsv.gz").split(b"\n")[:-1]
    truth = [line.split("\t") for line in (TRUTH / f"WikiMatrix.{name}.truth.tsv").read_text().splitlines()]
    assert [int(number) for number, _ in truth] == list(range(1, len(rows) + 1))
    return [(row, kind) for row, (_, kind) in zip(rows, truth, strict=True)]


def conllu_texts(split: str) -> list[str]:
    text = (sample_root() / "tasks" / "pos" / f"{split}.conllu").read_text(encoding="utf-8")
    return re.findall(r"^# text = (.*)$", text, flags=re.M)


def ner_sentences(split: str) -> list[list[tuple[str, str]]]:
    text = (sample_root() / "tasks" / "ner" / f"{split}.conll").read_text(encoding="utf-8")
    return [[tuple(row.split("\t")) for row in block.split("\n")] for block in text.strip("\n").split("\n\n")]  # type: ignore[misc]


def sentiment_rows(split: str) -> list[tuple[str, str]]:
    text = (sample_root() / "tasks" / "sentiment" / f"{split}.tsv").read_text(encoding="utf-8")
    return [(a, b) for a, b in (line.split("\t") for line in text.splitlines())]


def squeeze(text: str) -> str:
    """Letters and digits only, so that tokenised and running text can be compared."""
    return "".join(ch for ch in text.casefold() if ch.isalnum())


@pytest.fixture(scope="module")
def pair_texts() -> set[str]:
    found = {squeeze(text) for lang in CODES for text in sentences(lang).values()}
    for lang in MATRIX:
        found.update(
            squeeze(cell) for row, _ in matrix_rows(lang) for cell in row.decode("utf-8", "replace").split("\t")
        )
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    command = [sys.executable, str(MAKER), "--out", str(out / "samples"), "--truth", str(out / "truth")]
    subprocess.run(command, check=True, timeout=120)
    return out


def test_generator_reproduces_the_committed_files(made: Path) -> None:
    committed, again = data_files(sample_root()), data_files(made / "samples")
    assert committed.keys() == again.keys()
    assert [n for n in committed if content(committed[n]) != content(again[n])] == []
    for path in TRUTH.glob("*.tsv"):
        assert path.read_bytes() == (made / "truth" / path.name).read_bytes()


def test_size_and_archive_headers() -> None:
    assert sum(p.stat().st_size for p in data_files(sample_root()).values()) < LIMIT
    for path in sample_root().rglob("*.gz"):
        assert path.read_bytes()[3:8] == b"\0\0\0\0\0"  # no name, no time


@pytest.mark.parametrize("code", ["hin", "jpn", "ara"])
def test_links_point_both_ways(code: str) -> None:
    there, back = links("eng", code), links(code, "eng")
    assert sorted(there) == sorted((b, a) for a, b in back)
    assert len(set(there)) == len(there)


@pytest.mark.parametrize("lang", ["hi", "ja", "ar"])
def test_tatoeba_truth_and_oddities(lang: str) -> None:
    code = CODES[lang]
    english, other = sentences("en"), sentences(lang)
    truth = {tuple(r.split("\t")[:2]): r.split("\t")[2]
             for r in (TRUTH / f"tatoeba.eng-{code}.truth.tsv").read_text().splitlines()}  # fmt: skip
    pairs = links("eng", code)
    dangling = {pair for pair in pairs if pair[0] not in english or pair[1] not in other}
    assert dangling == {pair for pair, kind in truth.items() if kind == "dangling"}
    assert truth.keys() <= set(pairs)
    assert 4000 <= len(pairs) - len(dangling) <= 4500
    assert max(Counter(a for a, _ in pairs).values()) > 1  # one to many
    assert any("\n" in t for t in other.values())
    assert any("\t" in t for t in other.values())
    assert any("\\" in t for t in other.values())
    assert any(t.count('"') == 1 for t in other.values())


@pytest.mark.parametrize("lang", ["hi", "ja", "ar"])
def test_wikimatrix_rows_agree_with_the_truth(lang: str) -> None:
    scores, seen = [], set()
    for row, kind in matrix_rows(lang):
        scores.append(float(row.split(b"\t")[0]))
        if kind == "unreadable":
            with pytest.raises((UnicodeDecodeError, ValueError)):
                _score, _a, _b = row.decode().split("\t")
            continue
        pair = tuple(row.decode().split("\t")[1:])
        assert (pair in seen) == (kind == "exact_duplicate"), (kind, pair)
        seen.add(pair)
        if kind == "empty":
            assert not all(cell.replace("\u200b", "").strip() for cell in pair)
        if kind == "too_long":
            assert min(map(len, pair)) > 1200
        if kind == "number_mismatch":
            assert sorted(re.findall(r"\d+", pair[0])) != sorted(re.findall(r"\d+", pair[1]))
        if kind == "clean":
            assert sorted(re.findall(r"\d+", pair[0])) == sorted(re.findall(r"\d+", pair[1]))
    assert scores == sorted(scores, reverse=True)
    kinds = Counter(kind for _, kind in matrix_rows(lang))
    assert len(kinds) == 19
    assert 0.25 <= 1 - kinds["clean"] / sum(kinds.values()) <= 0.32


def test_no_labelled_sentence_is_among_the_pairs(pair_texts: set[str]) -> None:
    for split in SPLITS:
        texts = conllu_texts(split) + [text for text, _ in sentiment_rows(split)]
        texts += ["".join(token for token, _ in rows) for rows in ner_sentences(split)]
        assert [text for text in texts if squeeze(text) in pair_texts] == []


def test_labelled_splits_do_not_overlap() -> None:
    for texts in (conllu_texts, lambda s: [t for t, _ in sentiment_rows(s)]):
        found = [text for split in SPLITS for text in texts(split)]
        assert len(found) == len(set(found))


def test_topics_are_balanced_and_users_like_two_of_them() -> None:
    folder = sample_root() / "tasks"
    topic_of: dict[str, str] = {}
    for split in SPLITS:
        rows = [line.split("\t") for line in (folder / "classification" / f"{split}.tsv").read_text().splitlines()]
        assert len(set(Counter(topic for _, topic in rows).values())) == 1
        assert not topic_of.keys() & {text for text, _ in rows}
        topic_of.update((text, topic) for text, topic in rows)
    engaged = {
        split: [line.split("\t") for line in (folder / "engagement" / f"en.{split}.tsv").read_text().splitlines()]
        for split in ("train", "test")
    }
    assert {split: Counter(Counter(user for user, _ in rows).values()) for split, rows in engaged.items()} == {
        "train": {20: 40}, "test": {5: 40}
    }  # fmt: skip
    assert not {tuple(row) for row in engaged["train"]} & {tuple(row) for row in engaged["test"]}
    assert not topic_of.keys() & {text for rows in engaged.values() for _, text in rows}


@pytest.mark.parametrize("split", SPLITS)
def test_ner_tags_are_valid_iob2(split: str) -> None:
    types: Counter[str] = Counter()
    for rows in ner_sentences(split):
        before = "O"
        for token, tag in rows:
            assert token
            assert token == token.strip()
            assert re.fullmatch(r"O|[BI]-(PER|LOC|ORG)", tag)
            if tag.startswith("I-"):
                assert before[2:] == tag[2:]
            types[tag[2:]] += tag.startswith("B-")
            before = tag
    assert min(types[name] for name in ("PER", "LOC", "ORG")) >= 15


@pytest.mark.parametrize("split", SPLITS)
def test_sentiment_labels_are_balanced(split: str) -> None:
    counts = Counter(label for _, label in sentiment_rows(split))
    assert set(counts) == {"positive", "negative", "neutral"}
    assert len(set(counts.values())) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_conllu_text_follows_from_its_tokens(split: str) -> None:
    raw = (sample_root() / "tasks" / "pos" / f"{split}.conllu").read_text(encoding="utf-8")
    ranges = empty = 0
    for block in raw.strip("\n").split("\n\n"):
        lines = block.split("\n")
        text, covered, expected, built = lines[1].removeprefix("# text = "), 0, 1, ""
        for line in lines[2:]:
            cells = line.split("\t")
            assert len(cells) == 10
            if "." in cells[0]:
                empty += 1
            elif "-" in cells[0]:
                ranges += 1
                covered = int(cells[0].split("-")[1])
                built += cells[1] + ("" if "SpaceAfter=No" in cells[9] else " ")
            else:
                assert int(cells[0]) == expected
                assert cells[3] in UPOS
                expected += 1
                if int(cells[0]) > covered:
                    built += cells[1] + ("" if "SpaceAfter=No" in cells[9] else " ")
        assert built.strip() == text
    assert empty == 1
    assert ranges > 0 or split.split(".", maxsplit=1)[0] in ("hi", "ja")


def test_every_lexicon_word_has_a_upos_and_is_common_in_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MAKER))
    import lexicon as maker

    words = maker.load_lexicon()
    for entries in words.values():
        for entry in entries:
            for forms in entry.forms.values():
                assert all(tok.upos in UPOS and tok.form for toks in forms.values() for tok in toks), entry.key
    text = {lang: [] for lang in MATRIX}  # type: dict[str, list[str]]
    english = sentences("en")
    for lang in MATRIX:
        text[lang] += [english[a] for a, _ in links("eng", CODES[lang]) if a in english]
        text[lang] += [row.decode() for row, kind in matrix_rows(lang) if kind == "clean"]
        counts = Counter(word for line in text[lang] for word in set(re.findall(r"[A-Za-z]+", line)))
        for cls in (
            "given",
            "city",
            "country",
            "company",
            "adj",
            "feel",
            "food",
            "thing",
            "venue",
            "media",
            "prof",
            "rel",
            "subject",
        ):
            rare = [e.key for e in words[cls] if min(counts[w] for w in e.key.split() if w != "the") < 15]
            assert rare == [], (lang, cls)


def test_wikidata_dump_layout() -> None:
    lines = content(sample_root() / "wikidata" / "wikidata-sample.json.gz").decode().splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    assert all(line.endswith(",") for line in lines[1:-2])
    assert not lines[-2].endswith(",")
    entities, broken = [], 0
    for line in lines[1:-1]:
        try:
            entities.append(json.loads(line.rstrip(",")))
        except json.JSONDecodeError:
            broken += 1
    assert broken == 1
    kinds = Counter(entity["type"] for entity in entities)
    assert kinds["item"] >= 880
    assert kinds["property"] == 4
    assert kinds["lexeme"] == 1
    items = [entity for entity in entities if entity["type"] == "item"]
    assert len({item["id"] for item in items}) == len(items)
    assert any(item["descriptions"] == [] for item in items)
    assert any("mul" in item["labels"] and "en" not in item["labels"] for item in items)
    classes = Counter(
        c["mainsnak"]["datavalue"]["value"]["id"] for i in items if i["claims"] for c in i["claims"]["P31"]
    )
    assert classes["Q4167410"] > 10
    assert classes["Q4167836"] > 10
    assert any("\\u" in line for line in lines)
    assert any(not line.isascii() for line in lines)
