"""Measures of spike trains that are gathered along a run, against numpy on the stored train; pieces of any length."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec import library
from cortexspec.diagnostics import SpecError
from cortexspec.units import DIMENSIONLESS, unit_of

Array = np.ndarray[Any, Any]
DT = 0.5


def gathered(name: str, train: Array, lengths: tuple[int, ...] = (7, 1, 300), **settings: Any) -> Array:
    """train [trial, step, element] in kHz, given in pieces of these lengths, the last one for the rest."""
    entry = library.measures[name]
    given: Mapping[str, Any] = {**entry.settings, "dt": DT, "units": [DIMENSIONLESS / unit_of("ms")], **settings}
    found = entry.start(train.shape[0], [train.shape[2]], given)
    done = 0
    while done < train.shape[1]:
        length = lengths[0] if lengths else train.shape[1]
        lengths = lengths[1:]
        found.update([train[:, done : done + length]])
        done += length
    return np.asarray(found.result())


def train(steps: int = 4000, chance: tuple[float, ...] = (0.05, 0.2, 0.0, 0.01), seed: int = 0) -> Array:
    return (np.random.default_rng(seed).random((2, steps, len(chance))) < np.array(chance)) / DT


def test_rates_are_means_over_time() -> None:
    x = train()
    np.testing.assert_allclose(gathered("rate", x), x.mean(axis=1))


def test_intervals_between_spikes_across_pieces() -> None:
    x = train()
    found = gathered("cv_isi", x)
    for trial in range(2):
        expected = []
        for neuron in (0, 1, 3):
            intervals = np.diff(np.flatnonzero(x[trial, :, neuron]))
            expected.append(intervals.std() / intervals.mean())
        np.testing.assert_allclose(found[trial, [0, 1, 3]], expected)
        assert found[trial, 2] == pytest.approx(np.mean(expected))  # silent: as the others


def test_regular_and_random_trains_have_their_cv() -> None:
    regular = np.zeros((1, 1000, 1))
    regular[0, ::10] = 1
    assert gathered("cv_isi", regular)[0, 0] == pytest.approx(0, abs=1e-12)
    poisson = train(200_000, (0.01,))
    np.testing.assert_allclose(gathered("cv_isi", poisson), 1, atol=0.06)


def test_counts_in_bins_across_pieces() -> None:
    x = train()
    counts = np.rint(x * DT)[:, :3960].reshape(2, 99, 40, 4).sum(axis=2)  # the last bin is not whole
    with np.errstate(invalid="ignore"):
        expected = counts.var(axis=1, ddof=1) / counts.mean(axis=1)
    found = gathered("fano", x[:, :3990], bin=20.0)
    np.testing.assert_allclose(found[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    pure = gathered("fano", np.rint(x * DT)[:, :3990], bin=20.0, units=[DIMENSIONLESS])
    np.testing.assert_allclose(pure, found)


def test_heterogeneity_has_no_part_of_counting_noise() -> None:
    rng = np.random.default_rng(1)
    rates = rng.gamma(2.0, 0.01, 3000)
    x = (rng.random((1, 2000, 3000)) < rates) / DT
    expected = (rates**2).mean() / rates.mean() ** 2
    found = gathered("heterogeneity", x, stretch=10.0)
    halves = np.zeros((2, 3000))
    for step in range(2000):
        halves[step // 20 % 2] += x[0, step] / 1000
    assert found[0] == pytest.approx((halves[0] * halves[1]).mean() / x[0].mean() ** 2)
    assert found[0] == pytest.approx(expected, rel=0.02)
    counts = x[0].mean(axis=0)
    assert (counts**2).mean() / counts.mean() ** 2 > 1.015 * expected


def test_spectra_are_those_of_welch() -> None:
    signal = pytest.importorskip("scipy.signal")
    steps = np.arange(6000)
    x = np.random.default_rng(2).standard_normal((1, 6000, 2))
    x[0, :, 0] += np.sin(2 * np.pi * 0.125 * DT * steps)  # 125 Hz
    x[0, :, 1] += np.sin(2 * np.pi * 0.250 * DT * steps)
    np.testing.assert_allclose(gathered("peak_frequency", x, window=128.0)[0], [0.125, 0.25], atol=1 / 128)
    within = gathered("peak_frequency", x, window=128.0, low=0.2, high=0.3)[0]
    assert within[1] == pytest.approx(0.25) and 0.2 <= within[0] <= 0.3
    taper = np.sin(np.pi * np.arange(256) / 256) ** 2
    frequency, power = signal.welch(x[0], 1 / DT, taper, 256, detrend="constant", axis=0)
    inside = (frequency >= 0.1) & (frequency <= 0.15)
    # welch halves the last frequency, which has no partner; here it is left as the others are
    power[-1] *= 2
    expected = power[inside].sum(axis=0) / power[1:].sum(axis=0)
    np.testing.assert_allclose(gathered("band_power", x, window=128.0, low=0.1, high=0.15)[0], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("fano", {"bin": 0.7}),
        ("fano", {"bin": 1e5}),
        ("peak_frequency", {"window": 1.0}),
        ("peak_frequency", {"window": 16.0, "low": 0.51, "high": 0.52}),
        ("heterogeneity", {"stretch": 1e6}),
    ],
)
def test_times_that_do_not_fit_are_told(name: str, settings: Mapping[str, float]) -> None:
    with pytest.raises(SpecError, match="CS505"):
        gathered(name, train(), **settings)


SPEC = """
neuron crossing {
  param τ = 3 ms
  let drive = 1 V + 0.2 V*index
  state v = 0 V
  state u = 0 V
  u' = (drive - v)/τ
  v' = u/τ
  spike when v crosses 1 V
}

circuit some {
  population E[3] : crossing
  attribute E.φ : rad = 0.3 + 2*π*index/3
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_a_spec_measures_its_spikes(backend: str) -> None:
    if backend != "interpreter":
        pytest.importorskip(backend if backend == "jax" else "torch.nn")
    simulation = cs.compile(cs.parse(SPEC), "some", backend=backend, dtype="float64", dt="0.5 ms", solver="euler")
    names = {
        "rate_E": "mean(rate(E.spike))",
        "square": "mean(rate(E.spike, over = time)^2)",
        "cv": "mean(cv_isi(E.spike))",
    }
    names |= {"counts": "mean(fano(E.spike, bin = 20 ms))", "spread": "heterogeneity(E.spike, stretch = 10 ms)"}
    names |= {"peak": "mean(peak_frequency(E.v, window = 64 ms))"}
    names |= {
        "first": "harmonic(rate(E.spike), 1, feature = E.φ - 0.3)",
        "second": "harmonic(rate(E.spike), 2, feature = E.φ)",
    }
    names |= {
        "even": "mean(selectivity(rate(E.spike), over = E))",
        "width": "mean(circular_variance(rate(E.spike), over = E, feature = E.φ))",
    }
    found = simulation.measure(names, duration="400 ms")
    run = simulation.simulate(duration="400 ms", record=["E.spike", "E.v"])
    spikes, v = (np.asarray(run[name]).reshape(1, 800, 3) for name in ("E.spike", "E.v"))
    spikes = spikes / 1000  # shown in Hz, measured in kHz
    rate = spikes.mean(axis=1)
    assert rate.min() > 0
    assert found["rate_E"] == pytest.approx(rate.mean())
    assert found["square"] == pytest.approx((rate**2).mean())
    assert found["cv"] == pytest.approx(gathered("cv_isi", spikes).mean())
    assert found["counts"] == pytest.approx(gathered("fano", spikes, bin=20.0).mean())
    assert found["spread"] == pytest.approx(gathered("heterogeneity", spikes, stretch=10.0)[0])
    assert found["peak"] == pytest.approx(gathered("peak_frequency", v, window=64.0).mean())
    angles = 2 * np.pi * np.arange(3) / 3
    assert found["first"] == pytest.approx((rate[0] * np.cos(angles)).mean())
    assert found["second"] == pytest.approx((rate[0] * np.cos(2 * (angles + 0.3))).mean())
    selectivity = abs((rate[0] * np.exp(1j * angles)).sum()) / rate.sum()
    assert found["even"] == pytest.approx(selectivity)
    assert found["width"] == pytest.approx(1 - selectivity)
