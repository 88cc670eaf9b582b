"""The numbers of the geometry section, by hand on tiny arrays."""

import numpy as np
import pytest

from tppc.reports.geometry import Sides, change, cosine, distance, distances, joint_map, non_translations, separation


def test_cosine_and_distance_are_row_by_row() -> None:
    a, b = np.array([[3.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 4.0], [2.0, 2.0]])
    assert cosine(a, b) == pytest.approx([0.0, 1.0])
    assert distance(a, b) == pytest.approx([5.0, np.sqrt(2)])


def test_a_zero_vector_has_cosine_zero_with_everything() -> None:
    assert cosine(np.zeros((1, 2)), np.ones((1, 2))) == pytest.approx([0.0])


def test_separation_counts_ties_as_half() -> None:
    assert separation(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert separation(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0.0
    assert separation(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx(3.5 / 4)


def test_no_pair_is_its_own_non_translation_and_each_target_is_used_once() -> None:
    keys = np.arange(50, dtype=np.int64)
    partner = non_translations(keys, keys + 100, seed=1)
    assert (partner != keys).all()
    assert sorted(partner) == list(range(50))
    assert (partner == non_translations(keys, keys + 100, seed=1)).all()


def test_pairs_that_share_a_side_are_no_non_translations() -> None:
    src = np.array([1, 1, 1, 2], dtype=np.int64)  # three translations of one sentence
    partner = non_translations(src, np.array([5, 6, 7, 8], dtype=np.int64), seed=0)
    for i, j in enumerate(partner):
        assert j == -1 or src[i] != src[j]
    assert (non_translations(np.array([1, 1]), np.array([2, 3]), seed=0) == -1).all()


def test_change_is_the_paired_mean_with_an_interval_around_it() -> None:
    before = np.linspace(0.0, 1.0, 101)
    steady = change(before, before - 0.25, seed=0)
    assert (steady.before, steady.after) == pytest.approx((0.5, 0.25))
    assert (steady.mean, steady.low, steady.high) == pytest.approx((-0.25, -0.25, -0.25))
    noisy = change(before, before[::-1].copy(), seed=0)
    assert noisy.low < noisy.mean < noisy.high
    assert noisy.mean == pytest.approx(0.0, abs=1e-12)


def test_distances_by_hand() -> None:
    before = Sides(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 2.0], [2.0, 0.0]]))
    after = Sides(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 2.0]]))
    near, l2 = distances(before, after, np.array([1, 0]), seed=0)
    assert near.pairs_before == pytest.approx([1.0, 1.0])
    assert near.pairs_after == pytest.approx([0.0, 0.0])
    assert near.others_before == pytest.approx([0.0, 0.0])
    assert near.others_after == pytest.approx([1.0, 1.0])
    assert (near.separation_before, near.separation_after) == (0.0, 1.0)
    assert l2.pairs.mean == pytest.approx(1.0 - np.sqrt(5))
    assert near.others is not None
    assert near.others.mean == pytest.approx(1.0)


def test_two_encoders_may_differ_in_width_where_only_distances_are_asked() -> None:
    random = np.random.default_rng(0)
    narrow, wide = (Sides(random.normal(size=(4, h)), random.normal(size=(4, h))) for h in (2, 3))
    found, _ = distances(narrow, wide, np.array([-1, -1, -1, -1]), seed=0)
    assert found.pairs.n == 4
    assert found.others is None
    assert joint_map(narrow, wide, seed=0) is None


def test_the_map_is_one_fit_that_comes_out_the_same_each_time() -> None:
    random = np.random.default_rng(0)
    sides = [Sides(random.normal(size=(8, 5)), random.normal(size=(8, 5))) for _ in range(2)]
    one, two = (joint_map(sides[0], sides[1], seed=3) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.before.src.shape == one.after.tgt.shape == (8, 2)
    assert (one.after.src == two.after.src).all()


def test_an_untouched_encoder_lands_on_itself_in_the_joint_map() -> None:
    random = np.random.default_rng(1)
    sides = Sides(random.normal(size=(12, 6)), random.normal(size=(12, 6)))
    found = joint_map(sides, sides, seed=0)
    assert found is not None
    moved = np.linalg.norm(found.before.src - found.after.src, axis=1)
    spread = np.linalg.norm(found.before.src - found.before.src.mean(axis=0), axis=1)
    assert moved.max() < 0.2 * spread.mean()
