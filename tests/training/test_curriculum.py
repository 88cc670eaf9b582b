"""Stages follow one another exactly: each reads its own corpora, whatever the ranks and the interruptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from factory import write_corpus, write_mixture
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tppc.corpora.ahead import ahead
from tppc.corpora.corpus import Corpus
from tppc.corpora.sampling import PROPORTIONAL, Sampling, parse_sampling
from tppc.corpora.stream import PairBatch, PairStream
from tppc.errors import UsageError
from tppc.training.curriculum import (
    CurriculumSettings,
    Stage,
    StagedStream,
    begins_afresh,
    on_schedule,
    settled,
    stage_at,
    stages,
)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
    """tatoeba/en-hi of 90 pairs, wikidata/en-hi of 250, and tatoeba/all of 60 en-ja and 20 en-ar."""
    folder = tmp_path_factory.mktemp("curriculum")

    def rows(name: str, count: int) -> list[tuple[str, str]]:
        return [(f"{name}:{i}", f"{name}ट{i}") for i in range(count)]

    made = [
        write_corpus(folder / "tt", {"train": rows("tt", 90)}, "tatoeba/en-hi"),
        write_corpus(folder / "wd", {"train": rows("wd", 250)}, "wikidata/en-hi"),
        write_mixture(
            folder / "all", {"en-ja": {"train": rows("ja", 60)}, "en-ar": {"train": rows("ar", 20)}}, "tatoeba/all"
        ),
    ]
    return [Corpus(path) for path in made]


def read(settings: CurriculumSettings, corpora: Sequence[Corpus], **more: int) -> StagedStream:
    found = stages(settings, corpora, batch_size=20, **more)

    def opened(stage: Stage) -> PairStream:
        chosen = [corpora[i] for i in stage.corpora]
        return PairStream(chosen, batch_size=20, seed=stage.seed(7), sampling=stage.sampling, window=2)

    return StagedStream(found, opened)


def origin(batch: PairBatch) -> Counter[str]:
    return Counter(text.split(":")[0] for text in batch.src_text)


def test_text_and_toml_say_the_same() -> None:
    said = CurriculumSettings.model_validate("tatoeba, wikidata+opus")
    assert [s.corpora for s in said.stages] == [["tatoeba"], ["wikidata", "opus"]]
    assert said.optimizer == "fresh"
    table = {"stages": [{"corpora": ["tatoeba"]}, {"corpora": ["wikidata", "opus"]}]}
    assert CurriculumSettings.model_validate(table) == said
    assert CurriculumSettings.model_validate(said.model_dump(mode="json", exclude_none=True)) == said


@pytest.mark.parametrize(
    "wrong", [{"stages": []}, {"stages": [{"corpora": ["a"], "steps": 1, "epochs": 1}]}, {"stages": [{}]}]
)
def test_stages_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CurriculumSettings.model_validate(wrong)


def test_stages_get_their_corpora_by_name_source_or_path_and_one_epoch_each(corpora: list[Corpus]) -> None:
    path = str(corpora[1].path)
    settings = CurriculumSettings.model_validate(f"tatoeba,{path},tatoeba/all")
    found = stages(settings, corpora, batch_size=20, sampling=parse_sampling("equal"))
    assert [s.corpora for s in found] == [(0, 2), (1,), (2,)]
    # Equal: two corpora, the first of 90 pairs and the second of which one language has 60: 240 = 4 x 60 pairs.
    assert [(s.first, s.steps) for s in found] == [(0, 12), (12, 13), (25, 6)]
    assert [s.steps for s in stages(settings, corpora, batch_size=20, epochs=2.0)] == [17, 25, 8]
    assert [s.steps for s in stages(settings, corpora, batch_size=20, steps=5)] == [5, 5, 5]
    own = settings.model_copy(update={"stages": [s.model_copy(update={"steps": 3}) for s in settings.stages]})
    assert [s.steps for s in stages(own, corpora, batch_size=20, epochs=9.0)] == [3, 3, 3]


def test_without_a_curriculum_there_is_one_stage(corpora: list[Corpus]) -> None:
    (one,) = stages(None, corpora, batch_size=20)
    assert (one.corpora, one.first, one.steps, one.seed(7)) == ((0, 1, 2), 0, 21, 7)
    assert not begins_afresh(None, [one], 0)
    assert on_schedule(None, [one], 4) == (4, 21)


def test_a_run_without_pairs_is_one_stage_and_has_no_curriculum() -> None:
    (one,) = stages(None, [], batch_size=20, steps=9)
    assert (one.corpora, one.first, one.steps) == ((), 0, 9)
    with pytest.raises(UsageError, match="this run has none"):
        stages(CurriculumSettings.model_validate("tatoeba"), [], batch_size=20, steps=9)


def test_weights_of_the_run_are_those_of_the_corpora_of_a_stage(corpora: list[Corpus]) -> None:
    settings = CurriculumSettings.model_validate("tatoeba,wikidata+tatoeba/all")
    weights = Sampling(method="weights", weights=(1.0, 2.0, 3.0))
    first, second = stages(settings, corpora, batch_size=20, sampling=weights)
    assert (str(first.sampling), str(second.sampling)) == ("weights=1,3", "weights=2,3")


def test_settled_settings_give_the_same_stages_again(corpora: list[Corpus]) -> None:
    settings = CurriculumSettings.model_validate("tatoeba,wikidata")
    found = stages(settings, corpora, batch_size=20, epochs=2.5, sampling=parse_sampling("temperature=2"))
    written = CurriculumSettings.model_validate(settled(settings, found).model_dump(mode="json", exclude_none=True))
    assert stages(written, corpora, batch_size=20) == found


def test_names_that_mean_nothing_and_corpora_that_nobody_reads_are_told(corpora: list[Corpus]) -> None:
    with pytest.raises(
        UsageError, match=r"no corpus 'opus' in this run \(it has tatoeba/en-hi, wikidata/en-hi, tatoeba/all\)"
    ):
        stages(CurriculumSettings.model_validate("tatoeba,opus"), corpora, batch_size=20)
    with pytest.raises(UsageError, match=r"wd: no stage of the curriculum reads it"):
        stages(CurriculumSettings.model_validate("tatoeba"), corpora, batch_size=20)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from(["fresh", "kept"]))
def test_every_step_has_one_place(lengths: list[int], optimizer: str) -> None:
    found, first = [], 0
    for number, steps in enumerate(lengths):
        found.append(Stage(number, "s", (0,), PROPORTIONAL, first, steps))
        first += steps
    settings = CurriculumSettings.model_validate(
        {"stages": [{"corpora": ["s"]}] * len(lengths), "optimizer": optimizer}
    )
    places = [stage_at(found, step) for step in range(first)]
    assert [(s.number, inside) for s, inside in places] == [(i, j) for i, n in enumerate(lengths) for j in range(n)]
    schedule = [on_schedule(settings, found, step) for step in range(first)]
    afresh = [step for step in range(first) if begins_afresh(settings, found, step)]
    if optimizer == "fresh":
        assert schedule == [(j, n) for n in lengths for j in range(n)]
        assert afresh == [s.first for s in found[1:]]
    else:
        assert schedule == [(step, first) for step in range(first)]
        assert afresh == []


def test_each_stage_reads_its_own_corpora_whole_and_says_the_global_step(corpora: list[Corpus]) -> None:
    stream = read(CurriculumSettings.model_validate("tatoeba/en-hi,wikidata,tatoeba/all,tatoeba/en-hi"), corpora)
    batches = [stream.batch(step) for step in range(5 + 13 + 4 + 5)]
    assert [b.step for b in batches] == list(range(27))
    assert {o for b in batches[:5] for o in origin(b)} == {"tt"}
    assert {o for b in batches[5:18] for o in origin(b)} == {"wd"}
    assert {o for b in batches[18:22] for o in origin(b)} == {"ja", "ar"}
    assert len({t for b in batches[5:18] for t in b.src_text}) == 250
    assert len({t for b in batches[18:22] for t in b.src_text}) == 80
    first, last = ([t for b in part for t in b.src_text] for part in (batches[:5], batches[22:]))
    assert set(first) == set(last)
    assert first != last


def test_the_first_stage_is_the_run_that_has_only_that_stage(corpora: list[Corpus]) -> None:
    staged = read(CurriculumSettings.model_validate("tatoeba/en-hi,wikidata"), corpora[:2])
    alone = PairStream(corpora[:1], batch_size=20, seed=7, window=2)
    assert [staged.batch(s).src_text for s in range(5)] == [alone.batch(s).src_text for s in range(5)]


def test_a_run_taken_up_in_the_second_stage_on_other_ranks_reads_the_same_pairs(corpora: list[Corpus]) -> None:
    settings = CurriculumSettings.model_validate("tatoeba/en-hi,wikidata,tatoeba/all")
    unbroken = read(settings, corpora)
    order = [unbroken.batch(step).ids for step in range(22)]
    for start in (4, 5, 6, 17, 18, 21):
        again = read(settings, corpora)
        for world in (1, 2, 3):
            for step in range(start, 22):
                parts = [again.batch(step).slice_of_rank(rank, world).ids for rank in range(world)]
                assert [parts[i % world][i // world] for i in range(20)] == order[step]
    several = read(settings, corpora)
    assert [b.ids for b in ahead(several.batch, 3, 22, workers=3, depth=6)] == order[3:]


def test_a_corpus_elsewhere_may_be_a_stage(corpora: list[Corpus], tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(corpora[1].path), "/curriculum/wd", recursive=True)
    both = [corpora[0], Corpus("memory://curriculum/wd")]
    settings = CurriculumSettings.model_validate("tatoeba,memory://curriculum/wd")
    here = read(CurriculumSettings.model_validate("tatoeba,wikidata"), corpora[:2])
    there = read(settings, both)
    assert [there.batch(s).ids for s in range(18)] == [here.batch(s).ids for s in range(18)]
