"""The spiking workload in torch by hand: connections of the neurons that fired are gathered and added with `index_add_`."""

import numpy as np
import torch

from benchmarks.spiking_workload import DT, HELD, NEURONS, RESET, TAU, THRESHOLD, Case, Network, Program, rate_of


def programs(case: Case, network: Network) -> dict[str, Program]:
    return {"index_add": _by(case, network, rowwise=False), "index_add row by row": _by(case, network, rowwise=True)}


def _by(case: Case, network: Network, rowwise: bool) -> Program:
    """All connections in one call, or a call for each neuron that fired."""
    rows, target = torch.from_numpy(network.rows), torch.from_numpy(network.target.astype(np.int64))
    weight, start = torch.from_numpy(network.weight), torch.from_numpy(network.start)
    if rowwise:
        targets = [target[a:b] for a, b in zip(network.rows[:-1], network.rows[1:], strict=True)]
        weights = (
            [weight[a:b] for a, b in zip(network.rows[:-1], network.rows[1:], strict=True)]
            if case.each
            else [w.expand(len(t)) for w, t in zip(weight, targets, strict=True)]
        )
    decay = float(np.exp(-DT / TAU))
    gone = network.drive * (1 - decay)

    @torch.inference_mode()
    def run() -> torch.Tensor:
        v, held, fired = start.clone(), torch.zeros(NEURONS), torch.zeros(NEURONS)
        spikes = torch.zeros(0, dtype=torch.int64)
        for _ in range(case.steps):
            if len(spikes):
                if rowwise:
                    for j in spikes.tolist():
                        v.index_add_(0, targets[j], weights[j])
                else:
                    first, counts = rows[spikes], rows[spikes + 1] - rows[spikes]
                    ends = torch.cumsum(counts, 0)
                    edges = torch.repeat_interleave(first - ends + counts, counts) + torch.arange(int(ends[-1]))
                    given = weight[edges] if case.each else torch.repeat_interleave(weight[spikes], counts)
                    v.index_add_(0, target[edges], given)
            v.mul_(decay).add_(gone)
            refractory = held > 0
            v.masked_fill_(refractory, RESET)
            above = v > THRESHOLD
            held.sub_(1).clamp_min_(0).masked_fill_(above, HELD)
            v.masked_fill_(above, RESET)
            fired.add_(above)
            spikes = torch.nonzero(above).view(-1)
        return fired

    return Program(run, lambda: rate_of(run().numpy(), case))
