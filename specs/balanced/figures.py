"""Figures of specs/balanced beside those that `cortexspec reproduce` draws, of the network and of its theory.

python specs/balanced/figures.py            # 2 x 2,000 neurons, 200 inputs each: about three minutes of a core
python specs/balanced/figures.py --neurons 10000 --inputs 500 --stimuli 12 --seconds 12

Written to results/figures: `raster.png`; `tuning.png`, examples of single neurons and the mean over each population; `rates.png`, the
distribution of rates; `heterogeneity.png`, against the time constant of inhibition; `spectrum.png`, with fast and with slow inhibition.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from cortexspec_mean_field import RiceTheory, network_of, rice_theory
from tuning import Tuned, simulated

from cortexspec.experiments import spike_figures
from cortexspec.experiments.spike_figures import Curves

FIGURES = Path("results") / "figures"  # where those of `cortexspec reproduce` are
CONSTANTS = (1.0, 3.0, 6.0, 12.0, 30.0)  # ms, of the synapses of inhibition
FAST, SLOW = 3.0, 12.0
PEAK = np.pi / 12  # what counts as the preferred stimulus, to either side
EXAMPLES = 5
_HZ = 1000  # in a rate of one a millisecond


def raster(tuned: Tuned) -> Path:
    return spike_figures.raster(FIGURES / "raster.png", tuned.trains)


def tuning(tuned: Tuned, theory: RiceTheory) -> Path:
    """Examples are neurons at even places in the order of their mean rates, without the most silent."""
    curves, chosen = {}, {}
    for name in ("E", "I"):
        angles, mean = _signed(theory.network.angles), theory.rates[theory.index(name)] * _HZ
        expected = (np.append(angles, np.pi), np.append(mean, mean[np.argmin(angles)]))  # π is -π
        curves[name] = Curves(tuned.rates(name), tuned.preferences[name], tuned.stimuli, expected)
        order = np.argsort(tuned.rates(name).mean(axis=1))
        chosen[name] = order[(np.linspace(0.3, 0.98, EXAMPLES) * (len(order) - 1)).astype(int)].tolist()
    return spike_figures.tuning_curves(FIGURES / "tuning.png", curves, chosen)


def rates(tuned: Tuned, theory: RiceTheory) -> Path:
    """Of neurons at their preferred and at the opposite stimulus; what is expected has the noise of counting as the network's have."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    expected: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for title, angle in (("preferred stimulus", 0.0), ("opposite stimulus", np.pi)):
        panels[title], expected[title] = {}, {}
        for name in ("E", "I"):
            near = np.abs(_signed(tuned.angles[name] - angle)) <= PEAK
            panels[title][name] = tuned.rates(name)[near]
            expected[title][name] = counted(theory, name, angle, tuned.seconds)
    return spike_figures.rate_distribution(FIGURES / "rates.png", panels, expected, 1 / tuned.seconds)


def counted(theory: RiceTheory, name: str, angle: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The density of count/time that a theory expects of Poisson counts: the density of rates, mixed."""
    place = int(np.argmin(np.abs(_signed(theory.network.angles - angle))))
    top = theory.top[theory.index(name), place]
    middle = (np.arange(4000) + 0.5) / 4000
    y = middle**4  # finely spaced where the density has its pole, at 0
    weights = theory.density(top * y, name, place) * top * 4 * middle**3 / 4000
    means = top * y * 1000 * seconds
    most = int(means.max() + 6 * np.sqrt(means.max()) + 10)
    counts = np.arange(most + 1)
    logs = np.cumsum(np.log(np.maximum(counts, 1)))
    chances = np.exp(counts[:, None] * np.log(means) - means - logs[:, None]) @ (weights / weights.sum())
    return counts / seconds, chances * seconds


def heterogeneity(found: Mapping[float, tuple[float, float]], orders: Mapping[str, Sequence[float]]) -> Path:
    """q/ν² at the preferred stimulus against the time constant of inhibition."""
    lines = {label: (np.array(CONSTANTS), np.array(values)) for label, values in orders.items()}
    values, errors = (np.array(one) for one in zip(*found.values(), strict=True))
    return spike_figures.against(
        FIGURES / "heterogeneity.png",
        ("time constant of inhibition (ms)", "q/ν² of E at its preference"),
        lines,
        {"network": (np.array(list(found)), values, errors)},
    )


def _signed(angles: np.ndarray) -> np.ndarray:
    return (angles + np.pi) % (2 * np.pi) - np.pi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=2000)
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--stimuli", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each stimulus")
    chosen = parser.parse_args()

    found: dict[float, tuple[float, float]] = {}
    orders: dict[str, list[float]] = {"theory, K to infinity": [], f"theory, K = {chosen.inputs}": []}
    trains = {}
    for constant in CONSTANTS:
        stimuli = chosen.stimuli if constant == FAST else max(chosen.stimuli // 3, 2)
        tuned = simulated(chosen.neurons, chosen.inputs, stimuli, chosen.seconds, τ_I=f"{constant} ms")
        network = network_of(tuned.simulation)
        theories = [rice_theory(network, order) for order in (np.inf, 2)]
        found[constant] = tuned.heterogeneity("E", PEAK)
        for label, theory in zip(orders, theories, strict=True):
            orders[label].append(peak_ratio(theory))
        if constant in (FAST, SLOW):
            trains[f"inhibition of {constant:g} ms"] = tuned.trains
        if constant == FAST:
            drawn = [raster(tuned), tuning(tuned, theories[1]), rates(tuned, theories[1])]
    drawn.append(heterogeneity(found, orders))
    both = {name: {label: each[name] for label, each in trains.items()} for name in ("E", "I")}
    drawn.append(spike_figures.spectra(FIGURES / "spectrum.png", both))
    print("\n".join(map(str, drawn)))


def peak_ratio(theory: RiceTheory) -> float:
    """q/ν² of E at the angle of the stimulus."""
    return float(theory.squares[0, 0] / theory.rates[0, 0] ** 2)


if __name__ == "__main__":
    main()
