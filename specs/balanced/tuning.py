"""The network of specs/balanced at several stimuli: spike counts of all neurons, and where the stimuli are from their preferences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cortexspec as cs
from cortexspec.runtime.spike_trains import SpikeTrains, trains_by

HERE = Path(__file__).parent
WARM_UP = 500.0  # ms


@dataclass(frozen=True)
class Tuned:
    """`halves[population]` [2, neuron, stimulus]: spike counts in the two halves of the time of each stimulus. `seconds` is all of it.

    `angles[population]` [neuron, stimulus]: of the stimulus from the neuron's preference. `trains`: of the first stimulus.
    """

    simulation: Any
    stimuli: np.ndarray
    seconds: float
    halves: Mapping[str, np.ndarray]
    angles: Mapping[str, np.ndarray]
    preferences: Mapping[str, np.ndarray]
    trains: Mapping[str, SpikeTrains]

    def counts(self, population: str) -> np.ndarray:
        return self.halves[population].sum(axis=0)

    def rates(self, population: str) -> np.ndarray:
        """In Hz, [neuron, stimulus]."""
        return self.counts(population) / self.seconds

    def heterogeneity(self, population: str, within: float = np.inf) -> tuple[float, float]:
        """q/ν² of all pairs of a neuron and a stimulus within this angle from its preference, and the standard error by leaving out one
        stimulus after the other; two halves make it free of the noise of counting."""
        one, other = self.halves[population]
        near = np.abs(self.angles[population]) <= within
        sums = np.stack([(x * near).sum(axis=0) for x in (one * other, (one + other) / 2, np.ones_like(one))])

        def ratio(kept: np.ndarray) -> float:
            squares, mean, count = kept.sum(axis=1)
            return float(squares * count / mean**2)

        without = [ratio(np.delete(sums, k, axis=1)) for k in range(len(self.stimuli))]
        return ratio(sums), float(np.std(without) * np.sqrt(len(without) - 1))


def simulated(
    N: int, K: int, stimuli: int, seconds: float, *, seed: int = 1, backend: str = "auto", **arguments: Any
) -> Tuned:
    """`arguments`: others of the circuit, as `τ_I = "12 ms"`."""
    simulation = cs.compile(
        HERE,
        "ring",
        {"N": N, "K": K, **arguments},
        backend=_fastest() if backend == "auto" else backend,
        dt="0.1 ms",
        solver="exact",
        seed=seed,
    )
    angles = 2 * np.pi * np.arange(stimuli) / stimuli
    runs = trains_by(simulation, "θ_s", angles.tolist(), 1000.0 * seconds, warm_up=WARM_UP)
    preferences = 2 * np.pi * np.arange(N) / N
    apart = (angles - preferences[:, None] + np.pi) % (2 * np.pi) - np.pi
    halves = {name: np.stack([run[name].halves for run in runs], axis=-1) for name in ("E", "I")}
    both = dict.fromkeys(("E", "I"), apart), dict.fromkeys(("E", "I"), preferences)
    return Tuned(simulation, angles, seconds, halves, *both, runs[0])


def _fastest() -> str:
    from cortexspec.runtime.registry import first_backend

    return first_backend(("jax", "torch"))
