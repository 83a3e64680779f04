"""A network of spiking neurons in single precision: rates and irregularity on one backend are those of the interpreter, within statistics.

A rounding that differs moves a spike by a step sooner or later, and from there on two runs are two samples of one network. Neurons of a
run share what the network as a whole does, so only whole runs are independent: each engine makes some, from other initial states.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cortexspec.contracts.backend import Backend
from cortexspec.ir.op import Array
from cortexspec.runtime.api import compile, parse
from cortexspec.testing.parity import Row, judged
from cortexspec.testing.settings import SINGLE
from cortexspec.testing.spiking import NETWORK

NEURONS, RUNS, DURATION, WARM_UP = 4000, 6, 1000.0, 200.0  # ms
IN_DEGREE = 90  # as with 1,000 neurons
CHANCE = 0.001  # how often two equal engines are told apart
MEASURES = {"rates": "mean(rate(E.spike))/1 Hz", "intervals": "mean(cv_isi(E.spike))"}


def statistics_on(
    backend: str, neurons: int = NEURONS, runs: int = RUNS, duration: float = DURATION, warm_up: float = WARM_UP
) -> dict[str, Array]:
    """[run]: the mean rate of the excitatory neurons in Hz, and the mean coefficient of variation of their intervals, in single precision."""
    simulation = compile(
        parse(NETWORK),
        "network",
        {"N": neurons, "p": IN_DEGREE / neurons},
        backend=backend,
        dtype="float32",
        solver="exact",
        dt="0.1 ms",
        seed=1,
    )
    time = {"duration": warm_up + duration, "warm_up": warm_up}
    found = [simulation.measure(MEASURES, first_trial=run, trials=1, **time) for run in range(runs)]
    return {name: np.array([float(one[name]) for one in found]) for name in MEASURES}


def apart(found: Array, wanted: Array) -> tuple[float, float]:
    """How many standard errors the means of two samples [run] are apart, and what `CHANCE` allows. Welch 1947, doi:10.1093/biomet/34.1-2.28."""
    from scipy import stats

    result = stats.ttest_ind(found, wanted, equal_var=False)
    return abs(float(result.statistic)), float(stats.t.isf(CHANCE / 2, result.df))


def statistics_rows(
    backend: Backend,
    neurons: int = NEURONS,
    runs: int = RUNS,
    duration: float = DURATION,
    warm_up: float = WARM_UP,
) -> Iterator[Row]:
    """A row for the rate and one for the coefficient of variation."""
    wanted, found = (statistics_on(name, neurons, runs, duration, warm_up) for name in ("interpreter", backend.name))
    for quantity in MEASURES:
        error, bound = apart(found[quantity], wanted[quantity])
        ours, theirs = (f"{x.mean():.4g} ± {x.std(ddof=1):.2g}" for x in (found[quantity], wanted[quantity]))
        note = f"{ours} against {theirs}, {runs} runs each"
        case = f"lif network of {neurons:,}, statistics"
        yield judged(
            Row(case, SINGLE.name, quantity, error, bound, f"{quantity} differ: {note}", note=note), backend.name
        )
