"""What is counted while a network runs."""

import numpy as np
import pytest
from cortexspec_binary.measures import (
    JointCounts,
    PairCounts,
    lagged_correlation,
    pairwise_flux,
    pairwise_transfer_entropy,
    random_groups,
    words,
)
from cortexspec_binary.measures.information import flux, transfer_entropy

from cortexspec.diagnostics import SpecError

DRAW = np.random.default_rng(3)
STATES = DRAW.integers(0, 2, (4, 57, 5))


def slow_table(parts: list[np.ndarray], lags: list[int]) -> np.ndarray:
    """The same counts, one transition at a time."""
    found = np.zeros((parts[0].shape[0], *(2 ** part.shape[-1] for part in parts)), int)
    for run in range(len(found)):
        for t in range(parts[0].shape[1] - max(lags)):
            place = [
                sum(int(bit) << i for i, bit in enumerate(part[run, t + lag]))
                for part, lag in zip(parts, lags, strict=True)
            ]
            found[(run, *place)] += 1
    return found


def test_a_word_has_neuron_i_as_bit_i_whatever_the_states_are() -> None:
    states = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1]])
    assert words(states).tolist() == [0, 1, 6]
    assert words(2 * states - 1).tolist() == [0, 1, 6]
    assert words(states.astype(bool)).tolist() == [0, 1, 6]
    many = np.arange(40) % 3 == 0
    assert int(words(many)) == sum(1 << i for i in range(40) if i % 3 == 0)
    with pytest.raises(ValueError, match="62"):
        words(np.zeros((1, 63)))


@pytest.mark.parametrize("lags", [[0, 1], [0, 3], [0, 0, 1], [2, 0], [0]])
@pytest.mark.parametrize("cut", [[57], [1] * 57, [2, 30, 25], [0, 57]])
def test_chunks_count_what_the_whole_run_does(lags: list[int], cut: list[int]) -> None:
    parts = [STATES[..., :3], STATES[..., 2:4], STATES[..., 2:4]][: len(lags)]
    counts = JointCounts([part.shape[-1] for part in parts], lags, runs=4)
    first = 0
    for steps in cut:
        counts.update(*(part[:, first : first + steps] for part in parts))
        first += steps
    assert (counts.table == slow_table(parts, lags)).all()
    assert counts.transitions.tolist() == [57 - max(lags)] * 4


def test_pooled_counts_are_the_sum_over_runs() -> None:
    parts = [STATES[..., :2], STATES[..., :2]]
    alone = JointCounts([2, 2], [0, 1], runs=4).update(*parts)
    together = JointCounts([2, 2], [0, 1], runs=4, pooled=True).update(*parts)
    assert (alone.table.sum(axis=0) == together.table).all()


def test_a_histogram_that_would_not_fit_is_refused_before_it_is_made() -> None:
    with pytest.raises(SpecError) as error:
        JointCounts([30, 30], [0, 1])
    (one,) = error.value.diagnostics
    assert one.code == "CS931" and "30 + 30 binary neurons takes 8 EiB" in one.message
    with pytest.raises(SpecError, match="for each of 64 runs"):
        JointCounts([12, 12], [0, 1], runs=64)
    assert JointCounts([12, 12], [0, 1], runs=64, pooled=True).table.size == 2**24
    with pytest.raises(SpecError, match="CS931"):
        PairCounts(100_000, 100_000)


@pytest.mark.parametrize("per_run", [True, False])
@pytest.mark.parametrize("lag", [1, 2])
def test_pair_counts_are_the_histograms_of_all_pairs(per_run: bool, lag: int) -> None:
    counts = PairCounts(5, 4, lag, runs=4, per_run=per_run, conditional=True)
    for first in range(0, 57, 10):
        counts.update(STATES[:, first : first + 10], STATES[:, first : first + 10, 1:])
    for target in range(5):
        for source in range(4):
            y, x = STATES[..., target : target + 1], STATES[..., source + 1 : source + 2]
            both = JointCounts([1, 1], [0, lag], runs=4, pooled=not per_run).update(x, y).table
            three = JointCounts([1, 1, 1], [0, 0, lag], runs=4, pooled=not per_run).update(x, y, y).table
            assert (counts.tables[..., target, source, :, :] == both).all()
            assert (counts.conditional_tables[..., target, source, :, :, :] == three).all()


def test_measures_of_pairs_are_those_of_their_histograms() -> None:
    counts = PairCounts(5, 5, runs=4, conditional=True).update(STATES, STATES)
    x, y = STATES[..., 1:2], STATES[..., 4:5]
    pair = JointCounts([1, 1], [0, 1], runs=4, pooled=True).update(x, y).table
    three = JointCounts([1, 1, 1], [0, 0, 1], runs=4, pooled=True).update(x, y, y).table
    assert pairwise_flux(counts.tables)[4, 1] == pytest.approx(float(flux(pair)), abs=1e-14)
    assert pairwise_transfer_entropy(counts.conditional_tables)[4, 1] == pytest.approx(float(transfer_entropy(three)))
    before, after = (np.concatenate([run[a:b] for run in STATES]) for a, b in ((None, -1), (1, None)))
    expected = np.corrcoef(before.T, after.T)[5:, :5]
    np.testing.assert_allclose(lagged_correlation(counts.tables), expected, atol=1e-13)


def test_random_groups_repeat_no_neuron() -> None:
    groups = random_groups(20, 6, 50, seed=1)
    assert groups.shape == (50, 6) and (np.diff(groups, axis=1) > 0).all() and groups.max() < 20
    with pytest.raises(ValueError, match="cannot be drawn"):
        random_groups(3, 4, 1)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("parts", [2, 3])
def test_a_chunk_that_is_as_large_as_its_table_is_counted_by_itself(
    pooled: bool, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortexspec_binary.measures.counts._BLOCK", 8)
    lags, given = [0, 1, 1][:parts], [STATES[..., :2], STATES[..., 2:3], STATES[..., 3:4]][:parts]
    counts = JointCounts([part.shape[-1] for part in given], lags, 4, pooled=pooled)
    for first in range(0, 57, 20):
        counts.update(*(part[:, first : first + 20] for part in given))
    expected = slow_table(given, lags)
    assert np.array_equal(counts.table, expected.sum(axis=0) if pooled else expected)


def test_a_transition_may_occur_more_often_than_a_small_counter_holds() -> None:
    states = np.zeros((1, 70_000), np.int32)
    states[0, 5] = 7
    counts = JointCounts([8, 8], [0, 1], 1, pooled=True).update_words(states, states)
    assert counts.table[0, 0] == 69_997 and counts.table[0, 7] == counts.table[7, 0] == 1
