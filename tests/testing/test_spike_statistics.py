"""Statistics of a spiking network on two engines: what is told apart, and what is not."""

import numpy as np
import pytest

from cortexspec.runtime.registry import load_backend
from cortexspec.testing.spike_statistics import MOST, apart, statistics_on, statistics_rows

FEW = {"neurons": 300, "runs": 3, "duration": 150.0, "warm_up": 20.0}


def test_samples_are_apart_by_the_standard_error_of_their_means() -> None:
    rng = np.random.default_rng(0)
    told = [apart(rng.normal(20, 1, 6), rng.normal(20 + far, 1, 6)) for far in (0, 0, 0, 0, 5, 5)]
    assert [far > MOST for far in told] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_network_has_the_statistics_of_the_interpreters(backend: str) -> None:
    """300 neurons; `conformance --all` runs 4,000 for a second, six times."""
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    rows = list(statistics_rows(load_backend(backend), **FEW))
    assert [(row.quantity, row.verdict) for row in rows] == [("rates", "holds"), ("intervals", "holds")]


def test_runs_differ() -> None:
    found = statistics_on("interpreter", **FEW)
    assert found["intervals"].min() > 0.1 and found["rates"].min() > 5
    assert len(set(found["rates"])) == FEW["runs"]
