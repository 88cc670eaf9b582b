"""Labelled sets: named entities (IOB2), sentiment and parts of speech (CoNLL-U).

English train and dev use only the 60% of words marked `seen`; the tests use all words, so that a test
holds names and sentiment words that were never labelled in English but do occur in the pairs.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from files import write_bytes
from grammar import Sentence, Template, join, space_after, surface, word_spans
from sampling import Sampler

SIZES = {
    "ner": {"en.train": 700, "en.dev": 150, "test": 300},
    "sentiment": {"en.train": 720, "en.dev": 150, "test": 300},
    "pos": {"en.train": 600, "en.dev": 120, "test": 250},
}
LABELS = ("positive", "negative", "neutral")
NAMES = frozenset({"person", "place", "city", "country", "org", "corp", "company", "university", "agency"})


def _has_name(template: Template) -> bool:
    return any(spec in NAMES for spec in template.slots.values())


def _labelled(template: Template) -> bool:
    return bool(template.label)


def _balanced(sampler: Sampler, size: int, seen_only: bool) -> list[Sentence]:
    quota = size // len(LABELS)
    counts: Counter[str] = Counter()
    found: list[Sentence] = []
    while len(found) < quota * len(LABELS):
        sentence = sampler.sentence(_labelled, seen_only)
        if counts[sentence.label] < quota:
            counts[sentence.label] += 1
            found.append(sentence)
    return found


def _conll(sentences: list[Sentence], lang: str) -> str:
    """One orthographic word a line: joined clitics carry the tag of the name they stand before, if any."""
    blocks = []
    for sentence in sentences:
        toks = sentence.toks[lang]
        lines = []
        for start, end in word_spans(toks):
            tag = next((t.ner for t in toks[start:end] if t.ner != "O"), "O")
            lines.append(f"{surface(toks[start:end])}\t{tag}\n")
        blocks.append("".join(lines) + "\n")
    return "".join(blocks)


def _conllu(sentences: list[Sentence], lang: str, name: str) -> str:
    """Ten columns; multiword tokens as range lines; one empty node in the file, as enhanced treebanks have."""
    blocks = []
    for number, sentence in enumerate(sentences, 1):
        toks = sentence.toks[lang]
        lines = [f"# sent_id = sample-{name}-{number}", f"# text = {join(toks, lang)}"]
        for start, end in word_spans(toks):
            misc = "_" if space_after(toks, end, lang) or end == len(toks) else "SpaceAfter=No"
            if end - start > 1:
                lines.append(f"{start + 1}-{end}\t{surface(toks[start:end])}" + "\t_" * 7 + f"\t{misc}")
            for index in range(start, end):
                tail = misc if end - start == 1 else "_"
                lines.append(f"{index + 1}\t{toks[index].form}\t_\t{toks[index].upos}" + "\t_" * 5 + f"\t{tail}")
                if number == 2 and index == 0:
                    lines.append("1.1\t_\t_\tVERB" + "\t_" * 6)
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)


def build(sampler: Sampler, root: Path) -> dict[str, list[tuple[str, Sentence]]]:
    """Write all labelled files; returns the sentences by file with the language they were written in."""
    written: dict[str, list[tuple[str, Sentence]]] = {}
    for task, sizes in SIZES.items():
        for split in ("en.train", "en.dev", "hi.test", "ja.test", "ar.test"):
            lang = split.split(".")[0]
            size, seen_only = sizes.get(split, sizes["test"]), lang == "en"
            if task == "sentiment":
                sentences = _balanced(sampler, size, seen_only)
                body = "".join(f"{s.text[lang]}\t{s.label}\n" for s in sentences)
                suffix = "tsv"
            else:
                where = _has_name if task == "ner" else (lambda template: True)
                sentences = [sampler.sentence(where, seen_only) for _ in range(size)]
                body = _conll(sentences, lang) if task == "ner" else _conllu(sentences, lang, split.replace(".", "-"))
                suffix = "conll" if task == "ner" else "conllu"
            write_bytes(root / "tasks" / task / f"{split}.{suffix}", body.encode())
            written[f"{task}/{split}"] = [(lang, sentence) for sentence in sentences]
    return written
