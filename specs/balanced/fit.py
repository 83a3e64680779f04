"""Constants of the circuit, recovered from the spikes of the simulated network by maximum likelihood, with error bars.

python specs/balanced/fit.py                   # three networks of 2 x 2,000 neurons, 200 inputs each, 8 stimuli of 3 s
python specs/balanced/fit.py --seeds 1         # one network
python specs/balanced/fit.py --law poisson     # counts taken for those of a Poisson process

Counts of the excitatory neurons alone are read, or with --population I of the inhibitory ones. The theory is that of the circuit
(`network_of`) with one constant unknown at a time: the time constant of inhibitory synapses, or the weight of inhibition among
inhibitory neurons.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from cortexspec_mean_field import BalancedNetwork, exponential, fit, log_likelihood_of_counts, network_of
from tuning import Tuned, simulated

MEMBRANE = 10.0  # ms
TRUTH = {"tau_I": 3.0, "J_II": 0.15, "J_EI": 0.125}  # ms; V/Hz, the sizes of weights of inhibition on I and on E
START = {"tau_I": 4.0, "J_II": 0.165, "J_EI": 0.12}


def builder(circuit: BalancedNetwork) -> Callable[[Mapping[str, Any]], BalancedNetwork]:
    """The circuit's network with some constants in the place of its own."""

    def build(parameters: Mapping[str, Any]) -> BalancedNetwork:
        share = np.array(
            [
                [1, parameters.get("J_EI", TRUTH["J_EI"]) / TRUTH["J_EI"]],
                [1, parameters.get("J_II", TRUTH["J_II"]) / TRUTH["J_II"]],
            ]
        )
        inhibitory = exponential(MEMBRANE, parameters.get("tau_I", TRUTH["tau_I"]))
        kernels = tuple((row[0], inhibitory) for row in circuit.kernels)
        return replace(circuit, weights=circuit.weights * share, kernels=kernels)

    return build


def recovered(tuned: Tuned, name: str, population: str = "E", law: Any = "rice") -> tuple[float, float]:
    """A constant and its standard error."""
    counts, angles = tuned.counts(population), tuned.angles[population]
    milliseconds = 1000 * tuned.seconds

    def density(theory: Any) -> Any:
        return log_likelihood_of_counts(theory, counts, milliseconds, angles, population, law)

    found = fit(builder(network_of(tuned.simulation)), {name: START[name]}, density)
    return found.values[name], found.errors[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=2000)
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--stimuli", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each stimulus")
    parser.add_argument("--seeds", type=int, default=3, help="networks, each with wiring of its own")
    parser.add_argument("--population", choices=("E", "I"), default="E", help="whose counts are read")
    parser.add_argument("--law", choices=("rice", "poisson"), default="rice", help="of the counts")
    chosen = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"tau_I": [], "J_II": []}
    for seed in range(1, chosen.seeds + 1):
        tuned = simulated(chosen.neurons, chosen.inputs, chosen.stimuli, chosen.seconds, seed=seed)
        for name, each in found.items():
            value, error = recovered(tuned, name, chosen.population, chosen.law)
            each.append((value, error))
            unit = "ms" if name == "tau_I" else "V/Hz"
            off = (value / TRUTH[name] - 1) * 100
            print(
                f"network {seed}: {name} = {value:.4g} ± {error:.2g} {unit}; truth {TRUTH[name]:g}: {off:+.1f} %, "
                f"{(value - TRUTH[name]) / error:+.1f} standard errors",
                flush=True,
            )
    for name, each in found.items() if chosen.seeds > 1 else ():
        values, errors = np.array(each).T
        print(
            f"{name} over {len(values)} networks: {values.mean():.4g} ± {values.std(ddof=1) / np.sqrt(len(values)):.2g} (standard error), "
            f"truth {TRUTH[name]:g}; they scatter by {values.std(ddof=1):.2g}, their error bars say {np.sqrt((errors**2).mean()):.2g}"
        )


if __name__ == "__main__":
    main()
