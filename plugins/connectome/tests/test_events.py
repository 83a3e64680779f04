"""Functional measures: by hand, and from the shipped events as they were shipped."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_connectome import events
from cortexspec_connectome.formats import read_field

DATA = Path(__file__).parents[3] / "specs" / "microns_rnn" / "microns"
WITH_EVENTS = ("5_3_4", "4_7_2")


@pytest.mark.parametrize("name", WITH_EVENTS)
def test_the_shipped_matrices_come_out_of_the_shipped_events(name: str) -> None:
    field = read_field(DATA / f"field_{name}.npz")
    assert np.abs(events.correlation(field.trains) - field.stored["corr"]).max() < 1e-14
    assert np.abs(events.tiling_coefficient(field.trains) - field.stored["sttc"]).max() < 1e-14


def test_the_shipped_precision_is_a_graphical_lasso_and_comes_out_again() -> None:
    field = read_field(DATA / "field_5_3_4.npz")
    covariance, shipped = np.cov(events.counts(field.trains), ddof=0), field.stored["precision"]
    alpha = 4.7e-4  # to two digits; the conditions themselves tell it better
    off = ~np.eye(len(shipped), dtype=bool) & (shipped != 0)
    alpha = float(np.median(np.abs(np.linalg.inv(shipped) - covariance)[off]))
    assert alpha == pytest.approx(4.7e-4, abs=5e-6)
    assert events.lasso_gap(covariance, shipped, alpha) < 2e-6
    assert events.lasso_gap(covariance, shipped, alpha * 1.2) > 5e-5
    found = events.precision(field.trains, alpha)
    assert events.lasso_gap(covariance, found, alpha) < 1e-9
    assert np.array_equal(found == 0, shipped == 0)
    assert np.abs(found - shipped).max() < 1e-3 * np.abs(shipped).max()


def test_rates_are_those_of_the_page() -> None:
    rates = read_field(DATA / "field_5_3_4.npz").rates
    assert rates.min() >= 0.1 and rates.max() <= 1.5


def test_counts_by_hand() -> None:
    found = events.counts([np.array([0.0, 0.05, 0.25]), np.array([0.39, 0.85])])
    assert found.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0]]  # 0.95 s are four bins; the event at 0.85 s is after them


def test_tiling_by_hand() -> None:
    """One event each, 0.05 s apart: P = 1 both ways, T = 0.2/1.15, so (1 - T)/(1 - T) = 1. Then 0.5 s apart: P = 0, -T."""
    one, near, far = np.array([1.0]), np.array([1.05]), np.array([1.5])
    assert events.tiling_coefficient([one, near])[0, 1] == pytest.approx(1)
    duration = 1.6
    found = events.tiling_coefficient([one, far])[0, 1]
    assert found == pytest.approx(-0.2 / duration)
    assert events.tiling_coefficient([one, np.array([1.1])], half_window=0.1 + 1e-12)[0, 1] == pytest.approx(1)


def test_what_is_covered_counts_once_and_ends_with_the_record() -> None:
    train = np.array([0.05, 0.1, 1.0])
    assert events._covered(train, 0.1, 1.05) == pytest.approx((0.2 + 0.15) / 1.05)


def test_a_trial_by_trial_loop_gives_the_same_tiling() -> None:
    draw = np.random.default_rng(0)
    trains = [np.sort(draw.random(30) * 50) for _ in range(4)]
    end = max(train[-1] for train in trains) + 0.1
    grid = np.linspace(0, end, 400_001)

    def near(times: np.ndarray, train: np.ndarray) -> float:
        return float(np.mean([np.abs(train - t).min() <= 0.1 for t in times]))

    found = events.tiling_coefficient(trains)
    covered = [np.mean(np.min(np.abs(grid[:, None] - train[None]), axis=1) <= 0.1) for train in trains[:2]]
    p = near(trains[0], trains[1]), near(trains[1], trains[0])
    expected = sum((p[k] - covered[1 - k]) / (1 - p[k] * covered[1 - k]) for k in (0, 1)) / 2
    assert found[0, 1] == pytest.approx(expected, abs=2e-5)
    assert np.array_equal(found, found.T) and np.array_equal(np.diag(found), np.ones(4))


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (lambda: events.tiling_coefficient([np.array([1.0]), np.array([])]), "cell 1 has no event"),
        (lambda: events.correlation([np.array([1.0, 2.0]), np.array([])]), "cell 1 has the same count"),
        (lambda: events.correlation([np.array([0.1])]), "fewer than two bins"),
        (lambda: events.record_of([np.array([])]), "no cell has an event"),
    ],
)
def test_what_cannot_be_measured_is_told(compute, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compute()
