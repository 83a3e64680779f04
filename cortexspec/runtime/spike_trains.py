"""What populations fire in a run of any length: counts of each neuron, how many fire in each step, and the trains of a few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.contracts.measure import MeasureEntry
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.tree import Argument, Call, Name
from cortexspec.ir.op import Array
from cortexspec.runtime.given import read_inputs
from cortexspec.runtime.measure import Called, Plan, measured
from cortexspec.runtime.quantities import Quantity, coherent, whole_steps

if TYPE_CHECKING:
    from cortexspec.runtime.simulation import Simulation

_SHOWN = 100
_STRETCH = 100.0  # in the unit of time
ARRAYS = ("halves", "together", "times", "neurons", "shown")


@dataclass(frozen=True, slots=True)
class SpikeTrains:
    """What a population fires in one trial, after the warm-up. Times in the unit of the circuit's time, ms where it has one.

    Shapes: halves [2, neuron], counts in the even and the odd ones of stretches of a tenth of a second, so that the noise of one is
    not that of the other; together [step], how many spikes there are in each; times and neurons [spike], of those that are `shown`,
    spread evenly over the population.
    """

    dt: float
    halves: Array
    together: Array
    times: Array
    neurons: Array
    shown: Array

    def arrays(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in ARRAYS}

    @property
    def counts(self) -> Array:
        """Spikes of each neuron [neuron]."""
        return self.halves.sum(axis=0)

    @property
    def duration(self) -> float:
        return self.dt * len(self.together)

    @property
    def rates(self) -> Array:
        """Of each neuron [neuron], in kHz where times are in ms."""
        return self.counts / self.duration

    @property
    def activity(self) -> Array:
        """The rate of the mean neuron in each step [step]."""
        return self.together / (self.dt * len(self.counts))


class _Watching:
    """Gathers the trains of the first trial."""

    def __init__(self, elements: int, dt: float, shown: int):
        self.dt, self.shown = dt, np.unique(np.linspace(0, elements - 1, min(shown, elements)).round().astype(int))
        self.stretch = max(round(_STRETCH / dt), 1)
        self.halves: Array = np.zeros((2, elements))
        self.together: list[Array] = []
        self.spikes: list[Array] = []  # [2, spike]: step and neuron
        self.done = 0

    def update(self, pieces: Sequence[Array]) -> None:
        spikes = np.rint(pieces[0][0] * self.dt)  # [step, element]
        half = (np.arange(len(spikes)) + self.done) // self.stretch % 2
        for place in (0, 1):
            self.halves[place] += spikes[half == place].sum(axis=0)
        self.together.append(spikes.sum(axis=1))
        step, place = np.nonzero(spikes[:, self.shown])
        self.spikes.append(np.stack([step + self.done, self.shown[place]]))
        self.done += len(spikes)

    def result(self) -> Array:
        return np.zeros(1)

    def trains(self) -> SpikeTrains:
        steps, neurons = np.concatenate(self.spikes, axis=1)
        return SpikeTrains(
            self.dt, self.halves, np.concatenate(self.together), (steps + 1) * self.dt, neurons, self.shown
        )


def spiking(simulation: Simulation) -> tuple[str, ...]:
    """The populations that spike; sources that a connection has in place are none."""
    in_place = {f"{one.path}.source" for one in simulation.model.projections}
    return tuple(one.path for one in simulation.model.populations if one.spike is not None and one.path not in in_place)


def spike_trains(
    simulation: Simulation,
    duration: Quantity | None = None,
    *,
    warm_up: Quantity = 0.0,
    inputs: Mapping[str, Any] | None = None,
    populations: Sequence[str] = (),
    shown: int = _SHOWN,
    seed: int | None = None,
) -> dict[str, SpikeTrains]:
    """What each population fires in one trial of this length after the warm-up (all that spike but sources in place, where none is named).

    Nothing of the run is kept but this. `shown`: so many neurons of each have their trains told.
    Raises: SpecError CS915 where a number leaves the finite ones.
    """
    dt = simulation.settings.dt or 1.0
    watching: dict[str, _Watching] = {}

    def begin(path: str) -> Callable[[int, Sequence[int], Mapping[str, Any]], _Watching]:
        def start(trials: int, elements: Sequence[int], settings: Mapping[str, Any]) -> _Watching:
            watching[path] = _Watching(elements[0], dt, shown)
            return watching[path]

        return start

    calls: list[Called] = []
    for path in populations or spiking(simulation):
        entry = MeasureEntry(f"trains of {path}", begin(path), any_unit=True)
        train = parse_expression(f"{path}.spike")
        call = Call(Name(entry.name), (Argument(train),))
        calls.append(Called(entry.name, entry, (train,), {}, call, (f"{path}.spike",)))
    before = whole_steps(coherent(warm_up, simulation.model.time_unit, "the warm-up"), dt)
    given = read_inputs(simulation.model, simulation.plain, inputs or {}, 1)
    plan = Plan(tuple(calls), (), {}, {}, {})
    measured(simulation, plan, given, steps=simulation.steps(duration), warm_up=before, seed=seed)
    return {path: one.trains() for path, one in watching.items()}


def trains_by(
    simulation: Simulation,
    parameter: str,
    values: Sequence[Quantity],
    duration: Quantity | None = None,
    *,
    warm_up: Quantity = 0.0,
    populations: Sequence[str] = (),
    shown: int = _SHOWN,
) -> list[dict[str, SpikeTrains]]:
    """`spike_trains` of a run at each value of a parameter, such as the angle of a stimulus, of the same wiring and with other draws.

    The parameter has its old value afterwards.
    """
    before = simulation.parameters()[parameter]
    found: list[dict[str, SpikeTrains]] = []
    try:
        for place, value in enumerate(values):
            simulation.set_parameters({parameter: value})
            seed = simulation.settings.seed + place
            run = spike_trains(simulation, duration, warm_up=warm_up, populations=populations, shown=shown, seed=seed)
            found.append(run)
    finally:
        simulation.set_parameters({parameter: before})
    return found
