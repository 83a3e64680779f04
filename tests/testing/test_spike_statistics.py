"""Statistics of a spiking network on two engines: what is told apart, and what is not."""

import numpy as np
import pytest

from cortexspec.runtime.registry import load_backend
from cortexspec.testing.spike_statistics import MOST, apart, statistics_on, statistics_rows

FEW = {"neurons": 200, "duration": 200.0, "warm_up": 20.0}


def test_means_are_apart_by_their_standard_errors() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(20, 1, 400)
    assert apart(wanted, wanted) == 0
    assert apart(wanted + rng.normal(0, 1, 400), wanted) < MOST
    assert apart(wanted + rng.normal(0.5, 1, 400), wanted) == pytest.approx(10, abs=MOST)
    wanted[:200] = np.nan  # neurons with too few spikes
    assert apart(rng.normal(20, 1, 400), wanted) < MOST


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_network_has_the_statistics_of_the_interpreters(backend: str) -> None:
    """200 neurons; `conformance --all` runs a second of 4,000."""
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    rows = list(statistics_rows(load_backend(backend), **FEW))
    assert [(row.quantity, row.verdict) for row in rows] == [("rates", "holds"), ("intervals", "holds")]


def test_the_network_is_irregular_and_another_one_has_other_statistics() -> None:
    one, other = (statistics_on("interpreter", wiring=seed, **FEW) for seed in (1, 2))
    assert np.nanmean(one.cv) > 0.3 and one.rates.mean() > 10
    assert one.spikes != other.spikes
