"""The data of social engagement: who engaged with what, in training and in the test, and the test's candidates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tppc.corpora.files import COMPRESSED, sha256_of_value
from tppc.corpora.languages import language
from tppc.errors import TppcError, UsageError
from tppc.evaluation.engagement.interactions import Interaction, Users, read_interactions, read_users

CANDIDATES = 1_000
ENDINGS = ("tsv", "jsonl", "parquet")


@dataclass(frozen=True)
class EngagementData:
    """Interactions of one language: to learn from, and to be found again.

    Attributes:
        name, language, digest: of the data. texts: of each item.
        train, test: int64 [n, 2], user and item of an engagement, each pair once and none in both.
        user_count: users are numbered from 0 to this.
        candidates: int64 [test, C], items that each test engagement's user did not engage with, in no order; -1 where
            there are fewer than the longest row has.
        users: vectors of the users, float32 [users, D], nought for one that has none; or None, then they are learnt.
        notes: what was left out or is missing.
    """

    name: str
    language: str
    digest: str
    texts: Sequence[str]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    user_count: int
    candidates: NDArray[np.int64]
    users: NDArray[np.float32] | None
    notes: tuple[str, ...]

    def known(self) -> NDArray[np.bool_]:
        """Which users can be ranked for: those with a vector, or with a training engagement to learn one from."""
        found = np.zeros(self.user_count, dtype=np.bool_)
        if self.users is not None:
            np.any(self.users != 0, axis=1, out=found)
        else:
            found[self.train[:, 0]] = True
        return found


def load_engagement(train: Path, test: Path, code: str, *, users: Path | None = None, name: str = "") -> EngagementData:
    """Read a language's training and test interactions, and the users' vectors where there are any.

    An engagement that is in the file twice counts once. One that training shows too is not tested, since finding it
    again would be memory; how many is noted. Each test engagement is ranked among `CANDIDATES` texts: its own and
    others drawn evenly (seed 0, the same for every encoder) from all texts of both files that its user did not engage
    with in either.

    Raises `TppcError` for a malformed file, for one item with two texts, and where nothing is left to test.
    """
    read = {"train": read_interactions(train), "test": read_interactions(test)}
    user_of: dict[str, int] = {}
    item_of: dict[str, int] = {}
    texts: list[str] = []
    pairs: dict[str, dict[tuple[int, int], None]] = {"train": {}, "test": {}}
    notes = []
    for split, file in (("train", train), ("test", test)):
        for one in read[split]:
            item = item_of.setdefault(one.item, len(texts))
            if item == len(texts):
                texts.append(one.text)
            elif texts[item] != one.text:
                raise TppcError(f"{file}: item {one.item} has two texts; give each text an item of its own")
            pairs[split][user_of.setdefault(one.user, len(user_of)), item] = None
        if repeated := len(read[split]) - len(pairs[split]):
            notes.append(
                f"{file.name}: {repeated:,} of {len(read[split]):,} interactions repeat another and count once"
            )
    tested = [pair for pair in pairs["test"] if pair not in pairs["train"]]
    if shown := len(pairs["test"]) - len(tested):
        notes.append(f"{test.name}: {shown:,} of {len(pairs['test']):,} engagements are in {train.name}: not tested")
    if not tested:
        raise TppcError(f"{test}: no engagement is left to test; test on others than those of {train.name}")
    trained, asked = (np.array(list(some), dtype=np.int64) for some in (pairs["train"], tested))
    vectors = _vectors(read_users(users), user_of) if users else None
    candidates = draw_candidates(np.concatenate([trained, asked]), asked, len(texts))
    data = EngagementData(
        name=name or test.name,
        language=language(code).code,
        digest=_digest(read, vectors),
        texts=texts,
        train=trained,
        test=asked,
        user_count=len(user_of),
        candidates=candidates,
        users=vectors,
        notes=(),
    )
    unknown = int((~data.known()[asked[:, 0]]).sum())
    if unknown:
        lack = "have no training engagement" if users is None else f"have no vector in {Path(users).name}"
        notes.append(f"{test.name}: the users of {unknown:,} of {len(asked):,} test engagements {lack}: ranked last")
    fewest = 1 + int((candidates >= 0).sum(1).min())
    if fewest < CANDIDATES:
        notes.append(f"{test.name}: down to {fewest:,} candidates an engagement, where tables have {CANDIDATES:,}")
    return replace(data, notes=tuple(notes))


def _digest(read: Mapping[str, Sequence[Interaction]], vectors: NDArray[np.float32] | None) -> str:
    rows = [[vars(one) for one in read[split]] for split in ("train", "test")]
    return sha256_of_value([*rows, None if vectors is None else hashlib.sha256(vectors.tobytes()).hexdigest()])


def _vectors(given: Users, user_of: Mapping[str, int]) -> NDArray[np.float32]:
    """The vectors of the users that occur, nought for one without."""
    found = np.zeros((len(user_of), given.vectors.shape[1]), dtype=np.float32)
    for user, number in user_of.items():
        if user in given.number:
            found[number] = given.vectors[given.number[user]]
    return found


def draw_candidates(engaged: NDArray[np.int64], test: NDArray[np.int64], items: int) -> NDArray[np.int64]:
    """For each test engagement `CANDIDATES` - 1 items that its user never engaged with, drawn evenly, none twice.

    Args:
        engaged: all engagements [n, 2]. test: those that are ranked [m, 2]. items: how many items there are.

    Returns int64 [m, C]; a user who engaged with nearly all items has fewer, and -1 in the rest of the row.
    """
    random = np.random.default_rng(0)
    order = np.lexsort((engaged[:, 1], engaged[:, 0]))
    users, by_user = engaged[order, 0], engaged[order, 1]
    found = np.full((len(test), min(CANDIDATES - 1, items)), -1, dtype=np.int64)
    for row, user in enumerate(test[:, 0].tolist()):
        first, last = np.searchsorted(users, [user, user + 1])
        taken = by_user[first:last]
        free = items - len(taken)
        # Numbers among the free items; then past every taken item that stands before.
        drawn = np.sort(random.choice(free, size=min(found.shape[1], free), replace=False))
        found[row, : len(drawn)] = drawn + np.searchsorted(taken - np.arange(len(taken)), drawn, side="right")
    return found


def files_of(data: str | None, train: Sequence[str], test: Sequence[str]) -> dict[str, tuple[Path, Path]]:
    """Training and test file of each language, from a folder (`hi.train.tsv`, `hi.test.tsv`), the sample, or by name.

    Args:
        train, test: `LANGUAGE=FILE`, once for each language, instead of `data`.

    Raises `UsageError` for a request that does not fit together, `TppcError` for a folder without such files.
    """
    if (data is None) == (not train):
        raise UsageError("say what to learn from: --data sample, --data FOLDER, or --train hi=FILE with --test hi=FILE")
    if data is None:
        sides = [_by_language("--train", train), _by_language("--test", test)]
        if missing := sorted(sides[0].keys() ^ sides[1].keys()):
            raise UsageError(f"{missing[0]} needs both --train and --test: each language is learnt by itself")
        return {code: (sides[0][code], sides[1][code]) for code in sorted(sides[0])}
    if test:
        raise UsageError("--data brings its own test files: leave --test out, or use --train")
    if data == "sample":
        from tppc.samples import sample_root

        folder = Path(sample_root()) / "tasks" / "engagement"
    else:
        folder = Path(data)
    if not folder.is_dir():
        raise TppcError(f"{folder}: no such folder; give --data sample, or a folder with hi.train.tsv and hi.test.tsv")
    found: dict[str, dict[str, Path]] = {"train": {}, "test": {}}
    for file in sorted(folder.iterdir()):
        name = file.name
        for ending in COMPRESSED:
            name = name.removesuffix(ending)
        parts = name.split(".")
        if len(parts) == 3 and parts[1] in found and parts[2] in ENDINGS:
            code = language(parts[0]).code
            if code in found[parts[1]]:
                raise TppcError(f"{folder}: two files for {code} {parts[1]}; keep one")
            found[parts[1]][code] = file
    both = sorted(found["train"].keys() & found["test"].keys())
    if not both:
        raise TppcError(f"{folder}: no language has both a training and a test file, such as hi.train.tsv, hi.test.tsv")
    return {code: (found["train"][code], found["test"][code]) for code in both}


def _by_language(option: str, given: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in given:
        code, equals, file = one.partition("=")
        if not equals:
            raise UsageError(f"{option} {one}: say the language too, as in {option} hi={one}")
        if language(code).code in found:
            raise UsageError(f"{option} names {code} twice: put the files of a language together")
        found[language(code).code] = Path(file)
    return found
