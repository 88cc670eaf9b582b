"""Step 4, `identify`: language ID, the costly columns, once, on what the cheap filters and dedup left.

Script, letters and common words settle most texts (`evidence.py`); the model is asked about the others, about each
distinct text once, and not again where the cache knows its answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tppc.builders.clean import bucket_name, write_funnel
from tppc.builders.language_id import code_switched, evidence, lid
from tppc.builders.language_id.lid_cache import Answers, folder_of, keys_of
from tppc.builders.recipe import LanguageId
from tppc.builders.rejects import Rejects
from tppc.builders.row_files import read_rows, write_rows
from tppc.corpora.languages import Language, parse_pair
from tppc.corpora.manifest import Funnel

_WRONG, _MIXED = "language", "mixed_language"


def identify(
    folder: Path,
    part: str,
    bucket: int,
    pair: str,
    settings: dict[str, Any],
    model: lid.Model | None = None,
    cached: bool = True,
) -> None:
    """Add the language-ID columns to a bucket that `merge` made, and refuse rows in another language.

    Args:
        cached: whether the cache is asked before the model. It decides no byte.
    """
    recipe = LanguageId.model_validate(settings)
    path = Path(part) / bucket_name(bucket)
    rejects, funnel = Rejects(), Funnel(read=0, kept={"train": 0})
    if path.is_file():
        rows = read_rows(path)
        model = model or lid.Model()
        known = _answers(rows, folder_of(model.sha256, pair)) if cached and recipe.enabled else None
        rows = with_languages(rows, pair, recipe, model, known)
        detail = pl.format(
            "src {} {}, tgt {} {}", *(_shown(f"{s}_{c}") for s in ("src", "tgt") for c in ("lid", "lid_score"))
        )
        out = rows.filter(pl.col("reason").is_not_null()).with_columns(detail=detail)
        rows = rows.filter(pl.col("reason").is_null()).drop("reason")
        rejected = dict(out.group_by("reason").len().sort("reason").iter_rows())
        funnel = Funnel(read=rows.height + out.height, rejected=rejected, kept={"train": rows.height})
        rejects.add_rows(out)
        write_rows(rows, folder / bucket_name(bucket))
        if known is not None:
            known.save()
    write_funnel(folder, funnel)
    rejects.save(folder)


def with_languages(
    rows: pl.DataFrame, pair: str, recipe: LanguageId, model: lid.Model, known: Answers | None = None
) -> pl.DataFrame:
    """The rows with `src_lid`, `src_lid_score`, `tgt_lid`, `tgt_lid_score`, and `reason`, null for those that pass."""
    src, tgt = parse_pair(pair).languages
    sides = [("src", src, tgt), ("tgt", tgt, src)]
    frames = []
    for side, own, other in sides:
        texts = rows[f"{side}_text"]
        distinct = texts.unique(maintain_order=True)
        verdicts = side_verdicts(distinct, own, other, recipe, model, known)
        if len(distinct) < len(texts):
            verdicts = pl.DataFrame({"text": texts}).join(verdicts, on="text", how="left", maintain_order="left")
        frames.append(verdicts.drop("text").rename(lambda name, side=side: f"{side}_{_COLUMN[name]}"))  # type: ignore[misc]
    rows = pl.concat([rows, *frames], how="horizontal")
    label = pl.lit(code_switched.LABEL)
    wrong = pl.any_horizontal("src_wrong", "tgt_wrong")
    switched = pl.any_horizontal(pl.col("src_lid", "tgt_lid") == label).fill_null(False) & (recipe.mixed == "refuse")
    reason = pl.when(wrong).then(pl.lit(_WRONG)).when(switched).then(pl.lit(_MIXED))
    return rows.with_columns(reason=reason).drop("src_wrong", "tgt_wrong")


def side_verdicts(
    texts: pl.Series,
    own: Language,
    other: Language,
    recipe: LanguageId,
    model: lid.Model,
    known: Answers | None = None,
) -> pl.DataFrame:
    """Columns `text`, `lid`, `score` and `wrong` for distinct texts that should be in `own`, of a pair with `other`."""
    if recipe.enabled:
        return _Side(own, other, recipe, model, known).verdicts(texts)
    blank = {"lid": pl.lit(None, pl.String), "score": pl.lit(None, pl.Float32), "wrong": pl.lit(False)}
    return pl.DataFrame({"text": texts}).with_columns(**blank)


_COLUMN = {"lid": "lid", "score": "lid_score", "wrong": "wrong"}


def _answers(rows: pl.DataFrame, folder: Path) -> Answers | None:
    keys = rows["order_key"]
    return Answers(folder, int(keys[0]), int(keys[-1])) if rows.height else None  # `merge` sorted them


def _shown(column: str) -> pl.Expr:
    value = pl.col(column)
    return (value.round(2) if column.endswith("score") else value).cast(pl.String).fill_null("-")


def _letters(texts: pl.Series) -> pl.Series:
    """Letters and marks of each text."""
    # Spaces are most of the rest, and quicker to count alone.
    rest = texts.str.count_matches(r"[^\p{L}\p{M} ]") + texts.str.count_matches(" ")
    return texts.str.len_chars() - rest


class _Side:
    """Judges the texts of one side of a pair."""

    def __init__(
        self, own: Language, other: Language, recipe: LanguageId, model: lid.Model, known: Answers | None
    ) -> None:
        self.own, self.other, self.recipe, self.model, self.known = own, other, recipe, model, known
        self.accepted = recipe.accepted(own)
        self.names = lid.names(model)

    def verdicts(self, texts: pl.Series) -> pl.DataFrame:
        """`text`, `lid`, `score`, `wrong` of distinct texts. Texts that are too short, or in a language that the model
        does not know, keep null and pass."""
        recipe, own = self.recipe, self.own
        parts = code_switched.parts(texts, own, self.other, recipe.mixed_share)
        judged, switched = parts["text"], parts["mixed"]
        blank = pl.Series([None] * len(texts), dtype=pl.String)
        sure = evidence.settled(judged, own, self.accepted) if recipe.shortcuts else blank
        able = not lid.known_languages(self.model).isdisjoint(self.accepted)
        left = sure.is_null().arg_true() if able else blank.is_not_null().arg_true()
        letters = _letters(judged.gather(left)) / own.length
        enough = letters >= recipe.min_letters
        ask, letters = left.filter(enough), letters.filter(enough)
        asked = lid.prepared(judged.gather(ask))
        labels, scores = self._asked(asked)
        wrong = self._wrong(asked, labels, scores, letters.to_numpy())
        if set(own.scripts) & set(self.other.scripts):
            switching = self._switching(asked, wrong, letters.to_numpy())
            switched, wrong = switched.scatter(ask.gather(np.flatnonzero(switching)), True), wrong & ~switching
        label = sure.scatter(ask, pl.Series(self.names).gather(labels))
        score = pl.Series([None] * len(texts), dtype=pl.Float32).scatter(ask, pl.Series(scores / lid.STEPS))
        found = pl.DataFrame(
            {
                "text": texts,
                "lid": label,
                "score": score,
                "wrong": (sure.is_not_null() & ~sure.is_in(self.accepted)).scatter(ask, pl.Series(wrong)),
                "mixed": switched,
            }
        )
        both = pl.col("mixed") & ~pl.col("wrong")
        return found.select(
            "text",
            lid=pl.when(both).then(pl.lit(code_switched.LABEL)).otherwise("lid"),
            score=pl.when(both).then(None).otherwise("score"),
            wrong="wrong",
        )

    def _asked(self, texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """The model's answers, out of the cache where it has them."""
        if self.known is None:
            return lid.answers(texts, self.model)
        found = keys_of(texts)
        new = np.flatnonzero(~self.known.look_up(found))
        found["label"][new], found["score"][new] = lid.answers(texts.gather(new), self.model)
        self.known.add(found[new])
        return found["label"], found["score"]

    def _wrong(self, texts: pl.Series, labels: np.ndarray, scores: np.ndarray, letters: np.ndarray) -> np.ndarray:
        """Which texts the model is sure of another language of, by their length."""
        steps = self.recipe.confidence
        which = np.searchsorted([c.letters for c in steps], letters, side="right") - 1
        min_other = np.array([c.min_other for c in steps])[which]
        max_expected = np.array([c.max_expected for c in steps])[which]
        mine = np.isin(labels, [i for i, name in enumerate(self.names) if name in self.accepted])
        score = scores / lid.STEPS
        wrong: np.ndarray = ~mine & (score >= min_other)
        # What another language leaves is all that its own can have; only where that is enough the model must say more.
        doubtful = np.flatnonzero(wrong & (1 - score >= max_expected))
        expected = lid.probabilities(texts.gather(doubtful), self.accepted, self.model)
        wrong[doubtful] = expected < max_expected[doubtful]
        return wrong

    def _switching(self, texts: pl.Series, wrong: np.ndarray, letters: np.ndarray) -> np.ndarray:
        """Which refused texts begin in one language of the pair and end in the other."""
        found = np.zeros(len(texts), bool)
        long = np.flatnonzero(wrong & (letters >= 3 * self.recipe.min_letters))
        least = self.recipe.confidence[0].min_other * lid.STEPS
        theirs = self.recipe.accepted(self.other)
        sides = []
        for end in code_switched.ends(texts.gather(long).to_list()):
            labels, scores = lid.answers(pl.Series(end, dtype=pl.String), self.model)
            names = np.where(scores >= least, np.array(self.names)[labels], "")
            sides.append((np.isin(names, self.accepted), np.isin(names, theirs)))
        (mine_1, theirs_1), (mine_2, theirs_2) = sides
        found[long] = (mine_1 & theirs_2) | (theirs_1 & mine_2)
        return found
