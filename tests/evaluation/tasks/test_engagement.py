"""Social engagement: files, candidates, the loss of negative sampling, ranks, trivial baselines, the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.load import Encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.engagement import answers, projections
from tppc.evaluation.engagement import data as engagement_data
from tppc.evaluation.engagement.data import EngagementData, draw_candidates, files_of, load_engagement
from tppc.evaluation.engagement.interactions import read_interactions, read_users
from tppc.evaluation.engagement.projections import ProjectionTraining, learn, noise, ranks, scaled
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.predictions import read_predictions, results_of
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.tasks import engagement

Write = Callable[[str, str], Path]


# --- files


def test_the_three_forms_hold_the_same(write: Write, tmp_path: Path) -> None:
    import polars as pl

    rows = [("u1", "a text"), ("2", "another\u2028text")]
    tsv = write("a.tsv", "user\ttext\n" + "".join(f"{u}\t{t}\n" for u, t in rows))
    lines = write("a.jsonl", "".join(json.dumps({"user": u, "text": t, "likes": 3}) + "\n" for u, t in rows))
    parquet = tmp_path / "a.parquet"
    pl.DataFrame({"user": ["u1", "2"], "text": [t for _, t in rows]}).write_parquet(parquet)
    read = read_interactions(tsv)
    assert [(one.user, one.text, one.item) for one in read] == [(u, t, t) for u, t in rows]
    assert read_interactions(lines) == read == read_interactions(parquet)
    [one] = read_interactions(write("b.jsonl", '{"user": 7, "text": "x", "item": 12}\n'))
    assert (one.user, one.item) == ("7", "12")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.tsv", "u\tx\nu\n", "line 2: 1 tab-separated columns"),
        ("a.tsv", "u\tx\n\tx\n", "line 2: 'user' is missing"),
        ("a.tsv", "u\t \n", "line 1: an empty text"),
        ("a.jsonl", '{"user": "u", "text": "x"}\nnonsense\n', "line 2: not a JSON object"),
        ("a.jsonl", '{"user": 1.5, "text": "x"}\n', "line 1: 'user' is missing"),
        ("a.jsonl", '{"user": "u", "text": 5}\n', "line 1: an empty text"),
        ("a.tsv", "", "no interaction"),
    ],
)
def test_a_malformed_line_is_named(write: Write, name: str, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=f"{name}.*{fault}"):
        read_interactions(write(name, text))


@given(st.binary(max_size=60), st.sampled_from(["x.tsv", "x.jsonl", "x.parquet"]))
@settings(deadline=None)
def test_any_bytes_are_interactions_or_an_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(data)
    try:
        found = read_interactions(path)
    except TppcError as error:
        fault = str(error)
    else:
        fault = str(path) * bool(found)
    assert str(path) in fault


def test_vectors_of_users(write: Write) -> None:
    found = read_users(write("u.jsonl", '{"user": "a", "vector": [1, 2.5]}\n{"user": 3, "vector": [0, 1]}\n'))
    assert (dict(found.number), found.vectors.tolist()) == ({"a": 0, "3": 1}, [[1, 2.5], [0, 1]])
    for line, fault in {
        '{"user": "b", "vector": [1]}': "line 2: 1 numbers where others have 2",
        '{"user": "a", "vector": [1, 2]}': "line 2: user a for the second time",
        '{"user": "b", "vector": [1, "x"]}': "line 2: no vector of finite numbers",
        '{"user": "b", "vector": [1, NaN]}': "line 2: no vector of finite numbers",
    }.items():
        with pytest.raises(TppcError, match=fault):
            read_users(write("v.jsonl", '{"user": "a", "vector": [1, 2]}\n' + line + "\n"))


# --- data


def load(write: Write, train: str, test: str, **options: Path) -> EngagementData:
    return load_engagement(write("t.train.tsv", train), write("t.test.tsv", test), "hi", **options)


def test_what_training_shows_is_not_tested_and_all_is_said(write: Write) -> None:
    data = load(write, "u\ta\nu\ta\nv\tb\n", "u\ta\nu\tb\nw\tb\nv\tc\n")
    assert [(data.texts[i]) for _, i in data.test] == ["b", "b", "c"]
    assert len(data.train) == 2
    notes = " | ".join(data.notes)
    assert "1 of 3 interactions repeat another" in notes
    assert "1 of 4 engagements are in t.train.tsv: not tested" in notes
    assert "the users of 1 of 3 test engagements have no training engagement: ranked last" in notes
    assert "down to 2 candidates an engagement" in notes  # u took a and b, so c alone is left beside the right one
    with pytest.raises(TppcError, match="no engagement is left"):
        load(write, "u\ta\n", "u\ta\n")


def test_one_item_with_two_texts_is_an_error(write: Write) -> None:
    files = [write(f"{n}.jsonl", f'{{"user": "u", "item": 1, "text": "{t}"}}\n') for n, t in (("a", "x"), ("b", "y"))]
    with pytest.raises(TppcError, match="item 1 has two texts"):
        load_engagement(*files, "en")


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 19)), min_size=1), st.integers(20, 40))
def test_candidates_are_never_engaged_with_and_never_twice(engaged: set[tuple[int, int]], items: int) -> None:
    pairs = np.array(sorted(engaged))
    found = draw_candidates(pairs, pairs, items)
    for (user, _), row in zip(pairs.tolist(), found.tolist(), strict=True):
        drawn = [item for item in row if item >= 0]
        taken = {i for u, i in engaged if u == user}
        assert sorted(drawn) == sorted(set(range(items)) - taken)  # fewer than 999: all there are


def test_candidates_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engagement_data, "CANDIDATES", 4)
    test = np.array([[0, 3]] * 6_000)
    drawn = draw_candidates(np.array([[0, 3], [0, 5], [1, 0]]), test, 9)
    counts = np.bincount(drawn.reshape(-1), minlength=9)
    assert counts[[3, 5]].tolist() == [0, 0]
    # 18,000 draws over 7 items, none twice in a row of three: standard deviation 38.
    assert counts[[0, 1, 2, 4, 6, 7, 8]] == pytest.approx(18_000 / 7, abs=190)


# --- scores


def test_scores_of_ranks_by_hand() -> None:
    assert engagement.score([[1, 1], [10, 10], [11, 11], [4, 4]]) == {
        "hits@10": 0.75, "mrr": pytest.approx((1 + 1 / 10 + 1 / 11 + 1 / 4) / 4)
    }  # fmt: skip


@given(st.integers(1, 3), st.integers(0, 3), st.integers(0, 2))
def test_the_expectation_is_the_mean_over_all_orders_of_ties(own_ties: int, above: int, below: int) -> None:
    # Candidates by score: `above` better ones, the right one among `own_ties` - 1 equals, `below` worse ones.
    total = above + own_ties + below
    places = [above + 1 + order.index(0) for order in permutations(range(own_ties))]
    hits, reciprocal = engagement.expected([[above + 1, above + own_ties]])
    assert total >= max(places)
    assert reciprocal[0] == pytest.approx(np.mean([1 / place for place in places]))
    assert hits[0] == pytest.approx(np.mean([place <= 10 for place in places]))
    assert engagement.expected([[8, 12]])[0][0] == pytest.approx(3 / 5)


def test_trivial_baselines_are_exact(write: Write) -> None:
    # Training engages with a three times, with b once, with c never; test asks a, b and c of users who took nothing.
    data = load(write, "p\ta\nq\ta\nr\ta\nr\tb\n", "x\ta\ny\tb\nz\tc\nz2\tc\n")
    values = {one[0].encoder: np.array(one[0].values) for one in answers.trivial_answers(data)}
    assert values["random order"].tolist() == [[1, 3]] * 4
    assert values["popularity"].tolist() == [[1, 1], [2, 2], [3, 3], [3, 3]]
    random = results_of(next(iter(answers.trivial_answers(data)))[0])
    assert [r.value for r in random] == [1.0, pytest.approx((1 + 1 / 2 + 1 / 3) / 3)]


# --- learning


def test_noise_is_frequency_to_the_power() -> None:
    shares = np.diff(noise(np.array([0] * 16 + [2]), 4, 0.75), prepend=0.0)
    assert shares == pytest.approx([8 / 9, 0, 1 / 9, 0])


def test_scaling_leaves_out_what_does_not_vary() -> None:
    vectors = np.array([[5.0, 1, 3], [5, 3, 3], [5, 5, 9]], dtype=np.float32)
    assert scaled(vectors, np.array([0, 1, 1])).tolist() == [[0, -1, 0], [0, 1, 0], [0, 3, 0]]


@pytest.fixture(scope="module")
def tastes() -> tuple[EngagementData, np.ndarray]:
    """60 users who like the third of 300 texts that is nearest to their taste; a text's vector tells its place."""
    random = np.random.default_rng(0)
    places, wants = random.normal(size=(300, 6)), random.normal(size=(60, 6))
    near = np.argsort(-(wants @ places.T), axis=1)[:, :30]
    pairs = [(user, item) for user in range(60) for item in random.permutation(near[user])[:16].tolist()]
    train = np.array([p for i, p in enumerate(pairs) if i % 16 < 12])
    test = np.array([p for i, p in enumerate(pairs) if i % 16 >= 12])
    drawn = draw_candidates(np.concatenate([train, test]), test, 300)
    data = EngagementData("t", "en", "0", [str(i) for i in range(300)], train, test, 60, drawn, None, ())
    vectors = np.tanh(places @ random.normal(size=(6, 24))) + 7  # a large common direction, as encoders have
    return data, vectors.astype(np.float32)


QUICK = ProjectionTraining(dimensions=16, epochs=8, lr=0.02, batch_size=120, drawn=64, least_steps=0)


def test_vectors_that_tell_the_taste_beat_vectors_that_do_not(tastes: tuple[EngagementData, np.ndarray]) -> None:
    data, vectors = tastes
    chance = engagement.score(next(iter(answers.trivial_answers(data)))[0].values)["hits@10"]
    blind = np.random.default_rng(1).normal(size=vectors.shape).astype(np.float32)
    found = []
    for given_vectors in (vectors, blind):
        ready = scaled(given_vectors, data.train[:, 1])
        found.append(engagement.score(ranks(learn(data, ready, QUICK, 0), data, ready))["hits@10"])
    assert found[0] > 3 * chance
    assert found[1] < 2 * chance


def test_a_seed_decides_everything_and_the_global_state_is_left(tastes: tuple[EngagementData, np.ndarray]) -> None:
    data, vectors = tastes
    ready, short = scaled(vectors, data.train[:, 1]), QUICK.model_copy(update={"epochs": 1})
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, second, other = (ranks(learn(data, ready, short, seed), data, ready) for seed in (0, 0, 1))
    assert first.tolist() == second.tolist() != other.tolist()
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_collapsed_encoder_gets_the_last_rank(tastes: tuple[EngagementData, np.ndarray]) -> None:
    data, vectors = tastes
    ready = scaled(np.ones_like(vectors), data.train[:, 1])
    found = ranks(learn(data, ready, QUICK.model_copy(update={"epochs": 1}), 0), data, ready)
    assert found[:, 0].tolist() == (1 + (data.candidates >= 0).sum(1)).tolist()


def test_few_interactions_get_more_epochs(tastes: tuple[EngagementData, np.ndarray]) -> None:
    data, vectors = tastes
    ready = scaled(vectors, data.train[:, 1])
    some = QUICK.model_copy(update={"epochs": 1})
    # 720 interactions are 6 steps an epoch: 13 steps need 3 epochs.
    same = [some.model_copy(update=change) for change in ({"epochs": 3}, {"least_steps": 13}, {"epochs": 2})]
    first, second, fewer = (ranks(learn(data, ready, config, 0), data, ready).tolist() for config in same)
    assert first == second != fewer


def test_numbers_that_are_not_finite_end_it(tastes: tuple[EngagementData, np.ndarray]) -> None:
    data, vectors = tastes
    with pytest.raises(TppcError, match="x: the projections diverged in epoch 1 of 8"):
        learn(data, np.full_like(vectors, np.nan), QUICK, 0, what="x")


def test_given_vectors_of_users_stay_as_they_are(write: Write) -> None:
    users = write("users.jsonl", '{"user": "u", "vector": [1, 2]}\n{"user": "v", "vector": [3, 1]}\n')
    data = load(write, "u\ta\nv\tb\nw\ta\n", "u\tb\nw\tb\n", users=users)
    assert "1 of 2 test engagements have no vector in users.jsonl" in " ".join(data.notes)
    ready = scaled(np.eye(2, 3, dtype=np.float32), data.train[:, 1])
    model = learn(data, ready, QUICK, 0)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"text.weight", "text.bias", "user.1.weight", "user.1.bias"}
    assert ranks(model, data, ready)[1].tolist() == [1, 1]  # w is not known, but nothing stands against its only text


def test_an_engagement_is_never_its_own_negative(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    # Two users and two texts, all four engagements: there is nothing to draw that counts.
    data = load(write, "u\ta\nu\tb\nv\ta\nv\tb\n", "u\tc\n")
    losses: list[float] = []
    plain = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: (losses.append(float(self.detach())), plain(self))[1])
    vectors = np.eye(3, dtype=np.float32)
    model = learn(data, vectors, ProjectionTraining(epochs=1, least_steps=1, negatives=1_000), 0)
    assert losses[0] < 5  # the positives alone: four of about log 2; any negative would weigh hundreds
    assert isinstance(model, projections.Projections)


# --- the whole road


def test_end_to_end_with_predictions(tiny: Encoder, write: Write, tmp_path: Path) -> None:
    lines = [f"u{u}\ttext {'good' if u % 2 else 'bad'} {chr(97 + i)}\n" for u in range(6) for i in range(8)]
    data = load(write, "".join(lines[::2]), "".join(lines[1::2]))
    said: list[str] = []
    found = evaluate(
        "engagement", {"baseline": tiny, "trained": tiny}, data, (0, 1), QUICK,
        predictions=tmp_path / "p", say=said.append,
    )  # fmt: skip
    assert len(found) == (2 + 2 * 2) * 2
    assert {r.protocol.split(";")[0] for r in found if r.role != "trivial"} == {"in-language"}
    by_role = [[r.value for r in found if r.role == role] for role in ("baseline", "trained")]
    assert by_role[0] == by_role[1]
    again = [
        r for file in sorted((tmp_path / "p").iterdir()) for one in read_predictions(file) for r in results_of(one)
    ]
    assert sorted(map(repr, again)) == sorted(map(repr, found))
    assert any("down to" in line for line in said)
    for wrong in ("retrieval", "ner"):
        with pytest.raises(UsageError):
            evaluate(wrong, {"trained": tiny}, data, (0,))
    with pytest.raises(UsageError, match="set up by ProjectionTraining"):
        evaluate("engagement", {"trained": tiny}, data, (0,), FineTuning())


def test_files_by_language(write: Write, tmp_path: Path) -> None:
    for name in ("hi.train.tsv", "hi.test.jsonl", "en.train.tsv", "notes.txt"):
        write(f"d/{name}", "u\ta\n")
    assert files_of(str(tmp_path / "d"), [], []) == {"hi": (tmp_path / "d/hi.train.tsv", tmp_path / "d/hi.test.jsonl")}
    assert list(files_of("sample", [], [])) == ["en"]
    assert list(files_of(None, ["hi=a"], ["hi=b"])) == ["hi"]
    for data, train, test, fault in [
        (None, [], [], "say what to learn from"),
        (None, ["hi=a"], ["ar=b"], "ar needs both --train and --test"),
        (None, ["a"], [], "say the language too"),
        (None, ["hi=a", "hi=b"], ["hi=c"], "names hi twice"),
        ("x", [], ["hi=a"], "brings its own test files"),
    ]:
        with pytest.raises(UsageError, match=fault):
            files_of(data, train, test)
    with pytest.raises(TppcError, match="no such folder"):
        files_of(str(tmp_path / "none"), [], [])
