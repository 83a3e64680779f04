"""Mean-field theory of balanced spiking networks: what `use mean_field` brings to a spec, and the same as functions of arrays."""

from cortexspec.contracts.plugin import Plugin
from cortexspec_mean_field.circuit import network_of
from cortexspec_mean_field.ensemble import Ensemble, Process, selectivity
from cortexspec_mean_field.entries import ANALYSES
from cortexspec_mean_field.fit import Fit, fit
from cortexspec_mean_field.kernels import Kernel, exponential, linear_kernel, mean_kernel
from cortexspec_mean_field.likelihood import log_densities, log_likelihood, log_likelihood_of_counts
from cortexspec_mean_field.network import BalancedNetwork, cosine_profile, grid, network, von_mises_profile
from cortexspec_mean_field.theory import RiceTheory, gradient, rice_theory

plugin = Plugin("mean_field", entries=ANALYSES)

__all__ = [
    "BalancedNetwork",
    "Ensemble",
    "Fit",
    "Kernel",
    "Process",
    "RiceTheory",
    "cosine_profile",
    "exponential",
    "fit",
    "gradient",
    "grid",
    "linear_kernel",
    "log_densities",
    "log_likelihood",
    "log_likelihood_of_counts",
    "mean_kernel",
    "network",
    "network_of",
    "plugin",
    "rice_theory",
    "selectivity",
    "von_mises_profile",
]
