"""One neuron with a connection onto itself: what noise does to its flux, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from cortexspec_binary.exact.noise import firing_probability
from cortexspec_binary.measures.entropy import binary_entropy


@dataclass(frozen=True, slots=True)
class SingleNeuron:
    """`silent` and `active`: the probability of firing next after silence (p0) and after firing (p1); `mean` is π1."""

    silent: float
    active: float
    mean: float
    entropy: float
    divergence: float
    flux: float


def single_neuron(weight: float, bias: float, *, t0: float = 1.0, sigma: float = 0.0) -> SingleNeuron:
    """p0 = E s(b), p1 = E s(w + b), π1 = p0/(1 - p1 + p0), I = h(π1) - (1 - π1) h(p0) - π1 h(p1).

    Flux has a maximum in sigma above 0 only where the coupling saturates the neuron. Units: bit; states in {0, 1}.
    Source: Metzner et al. 2026, arXiv 2605.14680 (as reported; the derivation is checked).
    """
    silent, active = (float(firing_probability(v / t0, sigma)) for v in (bias, weight + bias))
    stays_silent_after_firing = float(firing_probability(-(weight + bias) / t0, sigma))
    mean = silent / (stays_silent_after_firing + silent)
    total = float(binary_entropy(mean))
    scatter = float((1 - mean) * binary_entropy(silent) + mean * binary_entropy(active))
    return SingleNeuron(silent, active, mean, total, scatter, total - scatter)
