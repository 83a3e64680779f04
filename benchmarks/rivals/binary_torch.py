"""`benchmarks.binary` in torch eager: every operation writes into an array made once.

`programs` draw with torch's own generator (MT19937), `with_our_bits` the numbers that CortexSpec draws.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from benchmarks.binary_workload import Array, Case, Network, Program, flux_of
from benchmarks.rivals.our_bits import PARITY, ROTATIONS, trial_keys


def programs(case: Case, network: Network) -> Mapping[str, Program]:
    """Every formulation, by name."""
    torch.manual_seed(0)
    if case.histogram:
        return {"product": _counted(case, network)}
    found = {"dense": _dense(case, network), "dense, replicas first": _replicas_first(case, network)}
    if case.density < 1:
        found["csr"] = _csr(case, network)
    return found


def _run(case: Case, start: torch.Tensor, drive: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """`drive(x, out)` gives W x + b."""
    x, u, v = start.clone(), torch.empty_like(start), torch.empty_like(start)
    for _ in range(case.steps):
        p = drive(x, v).sigmoid_()
        torch.lt(u.uniform_(), p, out=x)
    return x


def _dense(case: Case, network: Network) -> Program:
    W, b, start = torch.from_numpy(network.W), torch.from_numpy(network.b)[:, None], torch.from_numpy(network.start)

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return _run(case, start, lambda x, out: torch.addmm(b, W, x, out=out))

    return Program(run, lambda: run().numpy())


def _replicas_first(case: Case, network: Network) -> Program:
    W, b = torch.from_numpy(network.W).T.contiguous(), torch.from_numpy(network.b)
    start = torch.from_numpy(network.start).T.contiguous()

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return _run(case, start, lambda x, out: torch.addmm(b, x, W, out=out))

    return Program(run, lambda: run().numpy().T)


def with_our_bits(case: Case, network: Network) -> Program:
    """32-bit words in int32, which overflows as unsigned words do; a shift to the right leaves the sign's copies to be masked."""
    W, b, start = (torch.from_numpy(x) for x in (network.W, network.b[:, None], network.start))
    neurons = torch.arange(case.neurons, dtype=torch.int32)[:, None]
    product = W.to_sparse_csr() if case.density < 1 else W

    @torch.inference_mode()
    def run() -> torch.Tensor:
        key = tuple(_signed(word)[None] for word in trial_keys(case.replicas))
        x, v = start.clone(), torch.empty_like(start)
        for step in range(case.steps):
            k0, k1 = _threefry(key, (torch.zeros(1, 1, dtype=torch.int32), torch.full((1, 1), step, dtype=torch.int32)))
            first, _ = _threefry((k0, k1), (torch.zeros_like(neurons), neurons))
            p = torch.mm(product, x, out=v).add_(b).sigmoid_()
            torch.lt(first.to(torch.int64) & 0xFFFFFFFF, (p * 2.0**32).to(torch.int64), out=x)
        return x

    return Program(run, lambda: run().numpy())


def _signed(words: Array) -> torch.Tensor:
    return torch.from_numpy(words.view(np.int32))


def _threefry(key: tuple[torch.Tensor, ...], counter: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    k0, k1 = key
    schedule = (k0, k1, k0 ^ k1 ^ PARITY)
    x0, x1 = (
        (counter[0] + k0) + torch.zeros_like(counter[1] + k1),
        (counter[1] + k1) + torch.zeros_like(counter[0] + k0),
    )
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x0 += x1
            low = (x1 >> (32 - rotation)) & ((1 << rotation) - 1)
            x1 = (x1 << rotation).bitwise_or_(low).bitwise_xor_(x0)
        x0 += schedule[(block + 1) % 3]
        x1 += schedule[(block + 2) % 3] + (block + 1)
    return x0, x1


def _csr(case: Case, network: Network) -> Program:
    W, b, start = (
        torch.from_numpy(network.W).to_sparse_csr(),
        torch.from_numpy(network.b)[:, None],
        torch.from_numpy(network.start),
    )

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return _run(case, start, lambda x, out: torch.mm(W, x, out=out).add_(b))

    return Program(run, lambda: run().numpy())


def _counted(case: Case, network: Network) -> Program:
    W, b, start = torch.from_numpy(network.W), torch.from_numpy(network.b)[:, None], torch.from_numpy(network.start)
    places = (2.0 ** torch.arange(case.neurons))[None]
    cells = 1 << 2 * case.neurons

    @torch.inference_mode()
    def run() -> torch.Tensor:
        x, u, v = start.clone(), torch.empty_like(start), torch.empty_like(start)
        words = torch.empty((case.steps + 1, 1, case.replicas))
        torch.mm(places, x, out=words[0])
        for step in range(case.steps):
            p = torch.addmm(b, W, x, out=v).sigmoid_()
            torch.lt(u.uniform_(), p, out=x)
            torch.mm(places, x, out=words[step + 1])
        whole = words.to(torch.int64)
        joint = (whole[:-1] << case.neurons) | whole[1:]
        return torch.bincount(joint.view(-1), minlength=cells)

    return Program(run, flux=lambda: flux_of(run().numpy().reshape(1 << case.neurons, -1)))
