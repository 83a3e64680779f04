"""Entropy, information flux and their companions for binary networks, from counts gathered while a network runs.

`counts` and `pairs` gather, chunk by chunk; `entropy` and `information` make estimates of the counts. Nothing here knows how
the states were made.
"""

from cortexspec_binary.measures.counts import JointCounts, require_room
from cortexspec_binary.measures.entropy import binary_entropy, entropy, nsb_entropy
from cortexspec_binary.measures.information import (
    bias,
    cells,
    divergence,
    flux,
    pooled,
    shuffled_flux,
    shuffled_transfer_entropy,
    transfer_entropy,
)
from cortexspec_binary.measures.pairs import (
    PairCounts,
    flux_of_correlation,
    lagged_correlation,
    pairwise_flux,
    pairwise_transfer_entropy,
    root_mean_square,
)
from cortexspec_binary.measures.words import random_groups, words

__all__ = [
    "JointCounts",
    "PairCounts",
    "bias",
    "binary_entropy",
    "cells",
    "divergence",
    "entropy",
    "flux",
    "flux_of_correlation",
    "lagged_correlation",
    "nsb_entropy",
    "pairwise_flux",
    "pairwise_transfer_entropy",
    "pooled",
    "random_groups",
    "require_room",
    "root_mean_square",
    "shuffled_flux",
    "shuffled_transfer_entropy",
    "transfer_entropy",
    "words",
]
