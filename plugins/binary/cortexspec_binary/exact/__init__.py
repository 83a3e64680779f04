"""What can be said of a small binary network without running it: its transition matrix, its stationary law, exact information.

`exact(weights, biases, ...)` gives an `ExactNetwork`; `value_and_gradient` differentiates fluxes by weights and biases.
"""

from cortexspec_binary.exact.circuit import ExactCircuit, exact_of
from cortexspec_binary.exact.gradient import Flux, Gradient, value_and_gradient
from cortexspec_binary.exact.network import LARGEST, ExactNetwork, exact
from cortexspec_binary.exact.noise import firing_probability
from cortexspec_binary.exact.optimise import best_biases, midpoint_biases
from cortexspec_binary.exact.single import SingleNeuron, single_neuron
from cortexspec_binary.exact.stationary import power_iteration, state_reduction
from cortexspec_binary.exact.transition import as_zero_one, on_and_off, state_values, transition_matrix

__all__ = [
    "LARGEST",
    "ExactCircuit",
    "ExactNetwork",
    "Flux",
    "Gradient",
    "SingleNeuron",
    "as_zero_one",
    "best_biases",
    "exact",
    "exact_of",
    "firing_probability",
    "midpoint_biases",
    "on_and_off",
    "power_iteration",
    "single_neuron",
    "state_reduction",
    "state_values",
    "transition_matrix",
    "value_and_gradient",
]
