"""Exact flux as a spec names it: `measure f = exact_flux(core.x[core = 0..2], core.x[core = 3..5])`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec.contracts.measure import AnalysisEntry, Call, Circuit, Reader
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_binary.exact.circuit import Probe, probed
from cortexspec_binary.exact.gradient import Flux, by_inputs

Array = np.ndarray[Any, Any]


class ExactFluxes:
    """Fluxes of one network, each a call: what they share, the stationary law above all, is found once."""

    def __init__(self, circuit: Circuit, calls: Sequence[Call]):
        self.circuit = circuit
        found, self.probe = probed(circuit.simulation)
        self.network = found.network
        self.terms = [self._term(call) for call in calls]
        self.values: Array = np.array([self.network.flux(one.sources, one.targets, one.lag) for one in self.terms])

    def _term(self, call: Call) -> Flux:
        lag = call.settings["lag"]
        if not isinstance(lag, int) or isinstance(lag, bool) or lag < 1:
            message = f"the lag of `exact_flux` is a whole number of steps, at least 1, not {lag}"
            raise SpecError([Diagnostic("CS505", message)])
        groups = [neurons_read(self.probe, argument) for argument in call.arguments]
        return Flux(groups[0], groups[-1], lag)

    def pull_back(self, cotangents: Array, wrt: Sequence[str]) -> Mapping[str, Array]:
        """The gradient by raw parameters: that by each neuron's input in each state, followed back through the update
        and, for states that stay at their start, through that."""
        terms = [
            Flux(one.sources, one.targets, one.lag, float(factor))
            for one, factor in zip(self.terms, cotangents, strict=True)
        ]
        _, by_input = by_inputs(self.network, terms)
        by_drive = by_input * self.network.t0  # the drive is the input over the softness
        self._refuse_noise(wrt)
        return self._through(by_drive, {}, wrt)

    def _through(self, by_drive: Array, noise: Mapping[int, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """What `by_drive` [2^n, n] makes of each parameter."""
        probe, trials = self.probe, len(by_drive)
        function = probe.function(dict(zip(probe.drive_names, probe.drive, strict=True)))
        values = probe.inputs_of(function, probe.given(probe.states, [False] * len(probe.coins), noise, trials), trials)
        held = [one.value for one in probe.module.states if one.value.name not in probe.states]
        read = {value.name for value in function.inputs}
        asked = [name for name in (*wrt, *(value.name for value in held)) if name in read]
        found = self.circuit.pull_back(function, values, self._cotangents(by_drive), asked)
        total: dict[str, Array] = {
            name: np.asarray(found.get(name, np.zeros_like(probe.values[name])), float) for name in wrt
        }
        starts = {value.name: self._over_trials(value, found[value.name]) for value in held if value.name in found}
        init = probe.module.function("init")
        begun = [name for name in wrt if name in {value.name for value in init.inputs}]
        if begun and starts:
            back = self.circuit.pull_back(init, probe.inputs_of(init, probe.values, 1), starts, begun)
            total |= {name: total[name] + back[name] for name in begun}
        return total

    def _cotangents(self, by_drive: Array) -> dict[str, Array]:
        """That of each coin's drive, as the module wants it."""
        made: dict[str, Array] = {}
        first = 0
        for number in self.probe.owners().values():
            value = self.probe.drive[number]
            last = first + self.probe.count(self.probe.coins[number])
            made[self.probe.drive_names[number]] = self.probe.arranged(value, by_drive[:, first:last])
            first = last
        return made

    def _over_trials(self, value: Any, array: Array) -> Array:
        place = self.probe.module.layout.sort(value.type.names).index("trial")
        return np.asarray(array).sum(axis=place, keepdims=True)

    def _refuse_noise(self, wrt: Sequence[str]) -> None:
        """Raises: SpecError CS925 for a parameter of the noise, which is averaged before the gradient is taken."""
        probe = self.probe
        if not probe.normals:
            return
        one = {number: np.ones((1, probe.length(line.results[0]))) for number, line in enumerate(probe.normals)}
        alike = np.ones((len(self.network.matrix), self.network.neurons))
        loud, quiet = self._through(alike, one, wrt), self._through(alike, {}, wrt)
        for name in wrt:
            if not np.allclose(loud[name], quiet[name]):
                message = f"`exact_flux` has no gradient by `{name}`, which scales the noise"
                raise SpecError([Diagnostic("CS925", message, help="train it with `optimizer = evolution(...)`")])


def neurons_read(probe: Probe, argument: Reader) -> tuple[int, ...]:
    """The indices of the neurons that an argument reads. Raises: SpecError CS934 where it reads something else."""
    read = argument(probe.states)
    bits: Array = np.concatenate(list(probe.states.values()), axis=1)
    found: list[int] = []
    for column in np.broadcast_to(read, (len(bits), read.shape[1])).T:
        alike = np.flatnonzero((bits == column[:, None]).all(axis=0))
        if len(alike) != 1 or int(alike[0]) in found:
            message = "`exact_flux` is of neurons, each once: an argument is `core.x`, or some of it, as in `core.x[core = 0..2]`"
            raise SpecError([Diagnostic("CS934", message)])
        found.append(int(alike[0]))
    return tuple(found)


ANALYSES = (
    AnalysisEntry(
        "exact_flux",
        ExactFluxes,
        (1, 2),
        {"lag": 1},
        "flux of the stationary network of at most 10 neurons, without a run, in bit; it has a gradient",
        differentiable=True,
    ),
)
