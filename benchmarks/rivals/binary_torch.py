"""`benchmarks.binary` in torch eager: every operation writes into an array made once; torch's own generator (MT19937)."""

from collections.abc import Callable, Mapping

import torch

from benchmarks.binary_workload import Case, Network, Program


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
    def run() -> tuple[torch.Tensor, torch.Tensor]:
        x, u, v = start.clone(), torch.empty_like(start), torch.empty_like(start)
        words = torch.empty((case.steps + 1, 1, case.replicas))
        torch.mm(places, x, out=words[0])
        for step in range(case.steps):
            p = torch.addmm(b, W, x, out=v).sigmoid_()
            torch.lt(u.uniform_(), p, out=x)
            torch.mm(places, x, out=words[step + 1])
        whole = words.to(torch.int64)
        joint = (whole[:-1] << case.neurons) | whole[1:]
        return x, torch.bincount(joint.view(-1), minlength=cells)

    return Program(run, lambda: run()[0].numpy(), lambda: run()[1].numpy().reshape(1 << case.neurons, -1))
