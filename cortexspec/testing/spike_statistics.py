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
IN_DEGREE, WEIGHT, DRIVE = (
    360,
    "0.4 mV",
    "21 mV",
)  # irregular: the coefficient of variation of the intervals is about 0.7
MOST = 4.0  # standard errors, of which two equal engines are further apart once in 400 times
MEASURES = {"rates": "mean(rate(E.spike))/1 Hz", "intervals": "mean(cv_isi(E.spike))"}


def statistics_on(
    backend: str, neurons: int = NEURONS, runs: int = RUNS, duration: float = DURATION, warm_up: float = WARM_UP
) -> dict[str, Array]:
    """[run]: of the excitatory neurons the mean rate in Hz and the mean coefficient of variation of intervals, in single precision."""
    simulation = compile(
        parse(NETWORK),
        "network",
        {"N": neurons, "p": min(IN_DEGREE / neurons, 0.3), "J": WEIGHT, "μ": DRIVE},
        backend=backend,
        dtype="float32",
        solver="exact",
        dt="0.1 ms",
        seed=1,
    )
    whole = warm_up + duration
    found = [
        simulation.measure(MEASURES, duration=whole, warm_up=warm_up, trials=1, first_trial=run) for run in range(runs)
    ]
    return {name: np.array([float(one[name]) for one in found]) for name in MEASURES}


def apart(found: Array, wanted: Array) -> float:
    """How many standard errors the means of two samples [run] are apart. Welch 1947, doi:10.1093/biomet/34.1-2.28."""
    error = np.sqrt(found.var(ddof=1) / len(found) + wanted.var(ddof=1) / len(wanted))
    return float(abs(found.mean() - wanted.mean()) / error)


def statistics_rows(
    backend: Backend,
    neurons: int = NEURONS,
    runs: int = RUNS,
    duration: float = DURATION,
    warm_up: float = WARM_UP,
) -> Iterator[Row]:
    """A row for the rate and one for the coefficient of variation."""
    wanted, found = (statistics_on(name, neurons, runs, duration, warm_up) for name in ("interpreter", backend.name))
    case = f"lif network of {neurons:,}, statistics"
    for quantity in MEASURES:
        error = apart(found[quantity], wanted[quantity])
        ours, theirs = (f"{x.mean():.4g} ± {x.std(ddof=1):.2g}" for x in (found[quantity], wanted[quantity]))
        note = f"{ours} against {theirs}, {runs} runs each"
        row = Row(case, SINGLE.name, quantity, error, MOST, f"{quantity} differ: {note}", note=note)
        yield judged(row, backend.name)
