"""The stream: one global order, whatever the ranks and the interruptions; nothing lost, nothing doubled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from factory import write_corpus, write_mixture
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.corpora import shards
from tppc.corpora.ahead import ahead
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Shard
from tppc.corpora.sampling import parse_sampling
from tppc.corpora.stream import PairBatch, PairStream
from tppc.errors import TppcError, UsageError


def pairs(count: int, name: str = "") -> list[tuple[str, str]]:
    random = np.random.default_rng(count)
    return [(f"{name}{i} " + "x" * int(random.integers(1, 80)), f"{name}ト{i}") for i in range(count)]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
    """Three corpora of 1,003, 250 and 17 pairs, in row groups of 100 and shards of 400."""
    folder = tmp_path_factory.mktemp("corpora")
    patch = pytest.MonkeyPatch()
    patch.setattr(shards, "ROWS_PER_GROUP", 100)
    patch.setattr(shards, "ROWS_PER_SHARD", 400)
    made = [Corpus(write_corpus(folder / f"c{n}", {"train": pairs(n, f"c{n}:")})) for n in (1003, 250, 17)]
    patch.undo()
    assert [len(c.shards("train")) for c in made] == [3, 1, 1]
    return made


def texts(batches: list[PairBatch]) -> list[str]:
    return [t for b in batches for t in b.src_text]


def test_an_epoch_holds_every_pair_once_and_the_next_goes_on_without_a_gap(corpora: list[Corpus]) -> None:
    stream = PairStream(corpora[:1], batch_size=64, seed=3, window=4)
    order = texts([stream.batch(s) for s in range(-(-3 * 1003 // 64))])
    first, second, third = order[:1003], order[1003:2006], order[2006:3009]
    assert set(Counter(first).values()) == set(Counter(second).values()) == set(Counter(third).values()) == {1}
    assert set(first) == set(second) == set(third)
    assert first != second != third


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 300),
    window=st.integers(1, 9),
    which=st.sets(st.integers(0, 2), min_size=1),
    seed=st.integers(0, 99),
)
def test_no_pair_is_lost_or_doubled_in_an_epoch_of_any_shape(
    corpora: list[Corpus], batch: int, window: int, which: set[int], seed: int
) -> None:
    chosen = [corpora[i] for i in sorted(which)]
    stream = PairStream(chosen, batch_size=batch, seed=seed, window=window)
    total = sum(c.rows("train") for c in chosen)
    assert stream.epoch_pairs == total
    order = texts([stream.batch(s) for s in range(-(-2 * total // batch))])
    assert len(set(order[:total])) == total
    assert len(set(order[total : 2 * total])) == total


def test_any_batch_is_the_same_when_asked_for_first(corpora: list[Corpus]) -> None:
    """Resume is exact at every step, in the middle of an epoch and in the second."""
    unbroken = PairStream(corpora, batch_size=48, seed=1, window=5)
    order = [unbroken.batch(s).src_text for s in range(60)]
    for step in (59, 0, 31, 26, 27, 58):
        assert PairStream(corpora, batch_size=48, seed=1, window=5).batch(step).src_text == order[step]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks_share_a_batch_without_loss(corpora: list[Corpus], world: int) -> None:
    batch = PairStream(corpora, batch_size=50, seed=1).batch(7)
    parts = [batch.slice_of_rank(r, world) for r in range(world)]
    assert sorted(texts(parts)) == sorted(batch.src_text)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert np.concatenate([p.src_key for p in parts]).shape == batch.src_key.shape


def test_weights_hold_in_every_window_and_small_corpora_repeat(corpora: list[Corpus]) -> None:
    stream = PairStream(corpora, batch_size=60, seed=5, weights=[1, 1, 2], window=5)
    assert stream.epoch_pairs is None
    seen = Counter[str]()
    for window in range(6):
        found = Counter(t.split(":")[0] for t in texts([stream.batch(window * 5 + i) for i in range(5)]))
        assert found == {"c1003": 75, "c250": 75, "c17": 150}
        seen += found
    small = [t for s in range(30) for t in stream.batch(s).src_text if t.startswith("c17:")]
    assert set(Counter(small).values()) <= {900 // 17, 900 // 17 + 1}


def test_both_sides_and_keys_belong_together(corpora: list[Corpus]) -> None:
    from tppc.corpora.keys import side_key

    batch = PairStream(corpora, batch_size=100, seed=0).batch(3)
    for src, tgt, src_key, tgt_key in zip(batch.src_text, batch.tgt_text, batch.src_key, batch.tgt_key, strict=True):
        assert src.split(" ")[0] == tgt.replace("ト", "")
        assert (side_key(src), side_key(tgt)) == (src_key, tgt_key)


def test_length_buckets_leave_less_padding(corpora: list[Corpus]) -> None:
    def spread(window: int) -> float:
        stream = PairStream(corpora[:1], batch_size=50, seed=0, window=window)
        lengths = [[len(t) for t in stream.batch(s).src_text] for s in range(20)]
        return float(np.mean([max(row) - np.mean(row) for row in lengths]))

    assert spread(20) < 0.5 * spread(1)


def test_seeds_give_other_orders(corpora: list[Corpus]) -> None:
    one, other = (PairStream(corpora, batch_size=64, seed=s).batch(0).src_text for s in (0, 1))
    assert one != other


def test_bad_requests_are_refused(corpora: list[Corpus]) -> None:
    with pytest.raises(UsageError, match="positive weights"):
        PairStream(corpora, batch_size=8, seed=0, weights=[1, 2])
    with pytest.raises(UsageError, match="no corpus"):
        PairStream([], batch_size=8, seed=0)
    with pytest.raises(TppcError, match=r"no dev split \(it has train\).*--holdout"):
        PairStream(corpora, batch_size=8, seed=0, split="dev")


def test_a_damaged_shard_and_an_unfinished_folder_are_named(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"train": pairs(50)})
    corpus = Corpus(folder)
    shard = folder / corpus.shards("train")[0].path
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(TppcError, match=r"train-00000-of-00001\.parquet: its SHA-256 differs"):
        corpus.check_shards("train")
    shard.unlink()
    with pytest.raises(TppcError, match="lists this shard but it is not there"):
        Corpus(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(TppcError, match=r"no manifest\.json, so this is no finished corpus"):
        Corpus(folder)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A mixture of 900 pairs en-hi, 300 en-ja and 5 ja-hi, in row groups of 100; en-hi alone has a test split."""
    folder = tmp_path_factory.mktemp("mixture")
    patch = pytest.MonkeyPatch()
    patch.setattr(shards, "ROWS_PER_GROUP", 100)
    splits = {p: {"train": pairs(n, f"{p}:")} for p, n in (("en-hi", 900), ("en-ja", 300), ("ja-hi", 5))}
    made = write_mixture(folder / "m", {**splits, "en-hi": {**splits["en-hi"], "test": pairs(20, "test:")}})
    patch.undo()
    return Corpus(made)


def test_every_window_of_a_mixture_holds_its_language_pairs_as_the_whole_does(mixture: Corpus) -> None:
    stream = PairStream([mixture], batch_size=30, seed=2, window=4)
    for window in range(9):
        found = Counter(t.split(":")[0] for t in texts([stream.batch(window * 4 + i) for i in range(4)]))
        assert abs(found["en-hi"] - 120 * 900 / 1205) <= 2
        assert abs(found["en-ja"] - 120 * 300 / 1205) <= 2
    batches = [stream.batch(s) for s in range(-(-2 * 1205 // 30))]
    assert sum(len(set(b.tgt_lang)) > 1 for b in batches) > 0.9 * len(batches)
    order = texts(batches)
    assert len(set(order[:1205])) == len(set(order[1205:2410])) == 1205
    for batch in batches:
        for src, code in zip(batch.src_text, batch.tgt_lang, strict=True):
            assert src.split(":")[0].endswith(code)


def test_a_mixture_keeps_its_weight_beside_other_corpora(mixture: Corpus, corpora: list[Corpus]) -> None:
    stream = PairStream([mixture, corpora[2]], batch_size=60, seed=5, weights=[3, 1], window=4)
    found = Counter(t.split(":")[0] for s in range(8) for t in stream.batch(s).src_text)
    assert found["c17"] == 120
    assert abs(found["en-hi"] - 360 * 900 / 1205) <= 2
    assert PairStream([mixture], batch_size=8, seed=0, split="test").rows == 20


def test_one_pair_of_a_mixture_is_asked_for_by_name(mixture: Corpus) -> None:
    assert [str(p) for p in mixture.pairs] == ["en-hi", "en-ja", "ja-hi"]
    with pytest.raises(TppcError, match=r"several pairs \(en-hi, en-ja, ja-hi\), but here one is needed"):
        _ = mixture.pair
    assert mixture.scan("train", Pair("en", "ja")).collect().height == 300
    with pytest.raises(TppcError, match="no test split of en-ja"):
        mixture.shards("test", Pair("en", "ja"))


def test_threads_that_ask_at_the_same_time_get_the_same_batches(corpora: list[Corpus]) -> None:
    one, several = (PairStream(corpora, batch_size=30, seed=4, window=2) for _ in range(2))
    order = [one.batch(s).src_text for s in range(100)]
    assert [b.src_text for b in ahead(several.batch, 0, 100, workers=4, depth=8)] == order


def test_the_shards_of_an_epoch_come_one_after_the_other(
    corpora: list[Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a corpus elsewhere is fetched once an epoch, and the next shards can be fetched ahead."""
    opened: list[tuple[str, list[str]]] = []
    reading = Corpus.reading

    def seen(self: Corpus, shard: Shard, then: list[Shard]) -> object:
        opened.append((shard.path, [s.path for s in then]))
        return reading(self, shard, then)

    monkeypatch.setattr(Corpus, "reading", seen)
    stream = PairStream(corpora[:1], batch_size=50, seed=1, window=2)
    for step in range(3 * 1003 // 50):
        stream.batch(step)
    paths = [s.path for s in corpora[0].shards("train")]
    order = [path for path, _ in opened]
    assert [sorted(order[i : i + 3]) for i in (0, 3, 6)] == [paths] * 3
    assert order[:3] != order[3:6] or order[:3] != order[6:9]
    for number, (_, then) in enumerate(opened[:-2]):
        assert then == order[number + 1 : number + 3]


def test_equal_sampling_gives_corpora_and_their_language_pairs_the_same(mixture: Corpus, corpora: list[Corpus]) -> None:
    stream = PairStream([mixture, corpora[0]], batch_size=60, seed=5, window=4, sampling=parse_sampling("equal"))
    assert (stream.epoch_pairs, stream.pairs_an_epoch) == (None, 900 * 6)
    for window in range(3):
        found = Counter(t.split(":")[0] for i in range(4) for t in stream.batch(window * 4 + i).src_text)
        assert found == {"en-hi": 40, "en-ja": 40, "ja-hi": 40, "c1003": 120}
    few = Counter(t for s in range(32) for t in stream.batch(s).src_text if t.startswith("ja-hi:"))
    assert set(few.values()) == {320 // 5}
    epoch = {t for s in range(92) for t in stream.batch(s).src_text}
    assert len(epoch) == 900 + 300 + 5 + 1003


def test_temperature_lies_between_proportional_and_equal(mixture: Corpus) -> None:
    stream = PairStream([mixture], batch_size=100, seed=5, sampling=parse_sampling("temperature=2"))
    found = Counter(t.split(":")[0] for s in range(32) for t in stream.batch(s).src_text)
    roots = [n**0.5 for n in (900, 300, 5)]
    for pair, root in zip(("en-hi", "en-ja", "ja-hi"), roots, strict=True):
        assert abs(found[pair] - 3200 * root / sum(roots)) <= 2
    with pytest.raises(UsageError, match="give weights or the sampling equal, not both"):
        PairStream([mixture], batch_size=8, seed=0, sampling=parse_sampling("equal"), weights=[1])


def test_a_shard_with_other_rows_than_the_manifest_says_is_named(tmp_path: Path) -> None:
    folder, other = (write_corpus(tmp_path / str(n), {"train": pairs(n)}) for n in (50, 60))
    corpus = Corpus(folder)
    name = corpus.shards("train")[0].path
    (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(TppcError, match=r"train-00000-of-00001\.parquet: 60 rows, but the manifest says 50"):
        PairStream([corpus], batch_size=8, seed=0).batch(0)
    (folder / name).write_bytes(b"PAR1 this is none")
    with pytest.raises(TppcError, match=r"train-00000-of-00001\.parquet: not readable as Parquet"):
        PairStream([corpus], batch_size=8, seed=0).batch(0)


def test_names_of_rows_are_those_of_their_texts(corpora: list[Corpus]) -> None:
    rows = corpora[0].scan("train").collect()
    names = dict(zip(rows["src_text"], rows["source"].cast(str) + ":" + rows["source_id"], strict=True))
    batch = PairStream(corpora[:1], batch_size=50, seed=3).batch(2)
    assert batch.ids == [names[t] for t in batch.src_text]
    assert batch.slice_of_rank(1, 3).ids == batch.ids[1::3]


def test_the_head_of_a_split_is_read_from_as_many_shards_as_it_takes(corpora: list[Corpus]) -> None:
    whole = corpora[0].scan("train").select("src_text").collect()
    for rows in (1, 400, 401, 1003, 5000):
        assert corpora[0].head("train", rows, ["src_text"]).equals(whole.head(rows))
