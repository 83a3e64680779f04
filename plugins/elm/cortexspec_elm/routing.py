"""How inputs reach the synapses of a neuron with branches.

Source: Spieler et al. 2024, arXiv 2306.16922, and the authors' code (github AaronSpieler/elmneuron, commit 52e68a6).
"""

from __future__ import annotations

import numpy as np

from cortexspec.contracts.connection_rule import ConnectionRule, Ends
from cortexspec.ir.types import RuleError


def windows(ends: Ends) -> tuple[np.ndarray, np.ndarray]:
    """Each branch reads a stretch of consecutive inputs; stretches overlap where branches have more synapses than that takes.

    Branch i begins at input i*stride with stride = ceil(inputs/branches), and its synapse k reads input i*stride + k; a synapse
    beyond the last input stays unconnected. `interlaced`: the inputs are two halves, of which one is read by the even places and
    the other by the odd ones (NeuronIO has its excitatory inputs before the inhibitory ones). With as many synapses as inputs
    this is input j to synapse j. All neurons read the same. Port: [branch, synapse].
    Raises: RuleError CS501 for a port without these axes, CS504 where inputs are left over, or halves are not equal.
    """
    if len(ends.targets) != 3:
        raise RuleError("CS501", f"`windows` wants a port [branch, synapse], this one has {len(ends.targets) - 1} axes")
    neurons, branches, synapses = ends.targets
    stride = -(-ends.sources // branches)
    if synapses < stride:
        message = f"{branches} branches of {synapses} synapses cannot cover {ends.sources} inputs"
        raise RuleError("CS504", message, help=f"a branch needs at least {stride} synapses, or there are more branches")
    place = (np.arange(branches)[:, np.newaxis] * stride + np.arange(synapses)).ravel()
    connected = np.flatnonzero(place < ends.sources)
    source = place[connected]
    if ends.given.get("interlaced", False):
        if ends.sources % 2:
            raise RuleError("CS504", f"{ends.sources} inputs have no two halves of one size to interlace")
        source = (source % 2) * (ends.sources // 2) + source // 2
    target = np.arange(neurons)[:, np.newaxis] * branches * synapses + connected
    return target.ravel(), np.tile(source, neurons)


WINDOWS = ConnectionRule(
    "windows",
    options=("interlaced",),
    doc="consecutive inputs to each branch, overlapping where it has room for more",
    connect=windows,
)
