"""The workload in PyTorch by hand: torchdiffeq as a careful user writes it, and eager loops as fast as we could.

All go through autograd. `HAND_FUSED` holds the formulations that win somewhere; the harness times all of them and
keeps the fastest of each case. What was tried (training step, one core of a Xeon with AVX-512, torch 2.13):

- two states v, w and three fused operations a step: 1.1 to 1.3 times slower than the recurrence of second order;
- `addcmul`: its backward scales both factors by `value` at full size, so `mul`, then `add_`, is faster;
- `addmm_`, `baddbmm_` into the fresh product: saves a copy a step, 1.2 times faster than `addmm`;
- tanh with the offset 1/2 folded away: 1.2 times faster than sigmoid at large batches;
- one product with the concatenation of [x1, x, tanh x]: best with one region (few calls), 1.3 times slower with five;
- two Euler steps at once (x[n+2] and x[n+3] both read only x[n], x[n+1]): 1.15 times faster with one region;
- the parameters of one region folded by one product with constants: 1.3 times faster (half of the calls);
- batch first: 1.1 to 1.4 times slower, by the products with a 20 x 20 matrix;
- coupling as mean, then small product, instead of one 20 x 20 product: fewer operations a number, more calls: a tie.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from benchmarks.rivals.program import Program
from benchmarks.workload import (
    COUPLINGS,
    DT,
    GAIN,
    LAGGED_CONTEXT,
    LAGGED_COUPLING,
    POPULATIONS,
    SLOPE,
    STEPS,
    Array,
    Case,
    Parameters,
    coupling_signs,
    lagged_scale,
)

SP = POPULATIONS.index("sp")


def bind(module: nn.Module, start: tuple[Array, Array]) -> Program:
    """A program from a module that maps (v0, w0) to the potential of sp."""
    v0, w0 = (torch.from_numpy(x) for x in start)
    parameters = tuple(module.parameters())

    def forward() -> Tensor:
        with torch.no_grad():
            return module(v0, w0)

    def step() -> Tensor:
        for parameter in parameters:
            parameter.grad = None
        loss = module(v0, w0).square().mean()
        loss.backward()
        return loss

    def value_and_gradients() -> tuple[float, tuple[Array, ...]]:
        value = step().item()
        zero = [np.zeros(p.shape) for p in parameters]
        return value, tuple(z if p.grad is None else p.grad.numpy() for p, z in zip(parameters, zero, strict=True))

    return Program(forward, step, value_and_gradients)


class _Trained(nn.Module):
    """The four trained arrays, and constants of their type."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.kappa, self.gamma, self.W, self.a = (nn.Parameter(torch.from_numpy(x)) for x in parameters.as_tuple())
        self.regions = len(parameters.kappa)

    def constant(self, name: str, value: Array) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)).to(self.kappa.dtype))


# ---------------------------------------------------------------- torchdiffeq


class Torchdiffeq(_Trained):
    """Vectorised over regions, the couplings assembled once before the solver; only the ends of the run are kept.

    Time counts steps, so that the grid is exact in float32.
    """

    signs: Tensor
    others: Tensor
    ends: Tensor

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.constant("signs", coupling_signs())
        self.constant("others", 1 - np.eye(self.regions))
        self.constant("ends", np.array([0.0, STEPS]))

    def forward(self, v0: Tensor, w0: Tensor) -> Tensor:
        kappa = self.kappa
        S = torch.einsum("pqk,rk->rqp", self.signs, self.gamma)
        C = (0.1 * torch.sigmoid(self.a)[:, None] * self.W * self.others).T

        def derivative(t: Tensor, state: Tensor) -> Tensor:
            v, w = state
            r = torch.sigmoid(SLOPE * v) - 0.5
            u = torch.einsum("brq,rqp->brp", r, S) + (v.mean(2) @ C)[:, :, None]
            return torch.stack([DT * w, DT * (kappa * GAIN * u - 2 * kappa * w - kappa**2 * v)])

        grid = partial(_grid, self.ends)
        states = odeint(
            derivative, torch.stack([v0, w0]), self.ends, method="euler", options={"grid_constructor": grid}
        )
        return states[-1, 0, :, :, SP]


def _grid(ends: Tensor, *_: object) -> Tensor:
    return torch.arange(STEPS + 1, dtype=ends.dtype)


# ---------------------------------------------------------------- fused by hand


class _Lagged(_Trained):
    """x[n+2] = 2 l x[n+1] - l² x[n] + P tanh x[n] + Q x[n], batch last; see `workload.lagged_scale`."""

    signs: Tensor
    others: Tensor
    eye: Tensor

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.constant("signs", LAGGED_COUPLING * coupling_signs().reshape(16, -1).T)
        self.constant("others", LAGGED_CONTEXT * (1 - np.eye(self.regions)))
        self.constant("eye", np.eye(4))

    def first_two(self, v0: Tensor, w0: Tensor) -> tuple[Tensor, Tensor]:
        """x[0] and x[1], [R, 4, B]."""
        scale = lagged_scale()
        v0, w0 = v0.permute(1, 2, 0), w0.permute(1, 2, 0)
        x = (scale * v0).contiguous()
        return x, x.add(w0, alpha=scale * DT)

    def within(self, kappa: Tensor) -> Tensor:
        """P, a matrix a region. Shapes: kappa [R, 4, 1]; returns [R, 4, 4]."""
        return kappa * torch.mm(self.gamma, self.signs).view(self.regions, 4, 4)

    def between(self) -> Tensor:
        """Q without its factor κ. Shapes: returns [R, R]."""
        return torch.sigmoid(self.a).view(-1, 1) * self.others * self.W


class Flat(_Lagged):
    """P and Q - l² as two matrices over all [region, population] pairs."""

    blocks: Tensor

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.constant("blocks", np.eye(self.regions)[:, None, :, None])

    def forward(self, v0: Tensor, w0: Tensor) -> Tensor:
        n = 4 * self.regions
        kappa = self.kappa.view(-1, 4, 1)
        decay = torch.rsub(self.kappa, 1, alpha=DT).view(n, 1)
        P, Q = self.within(kappa).unsqueeze(2) * self.blocks, torch.diag((decay * decay).neg().view(n))
        if self.regions > 1:
            spread = (kappa * self.between().unsqueeze(1)).view(n, -1, 1).expand(-1, -1, 4)
            Q = Q + spread.reshape(n, n)
        P, twice = P.view(n, n), 2 * decay
        x, x1 = (state.view(n, -1) for state in self.first_two(v0, w0))
        for _ in range(STEPS - 1):
            x, x1 = x1, (twice * x1).addmm_(Q, x).addmm_(P, torch.tanh(x))
        return x1.view(self.regions, 4, -1)[:, SP].T / lagged_scale()


class ByRegion(_Lagged):
    """P, l² and 2 l as batched 4 x 4 products, whose gradients cost a third of those of a 20 x 20 product."""

    def forward(self, v0: Tensor, w0: Tensor) -> Tensor:
        kappa = self.kappa.view(-1, 4, 1)
        decay = torch.rsub(kappa, 1, alpha=DT)
        P, twice, square = self.within(kappa), 2 * decay * self.eye, (decay * decay).neg() * self.eye
        Q = self.between()
        x, x1 = self.first_two(v0, w0)
        for _ in range(STEPS - 1):
            new = torch.bmm(twice, x1).baddbmm_(square, x).baddbmm_(P, torch.tanh(x))
            if self.regions > 1:
                new = new.baddbmm_(kappa, torch.mm(Q, x.sum(1)).unsqueeze(1))
            x, x1 = x1, new
        return x1[:, SP].T / lagged_scale()


class TwoSteps(_Trained):
    """One region, two Euler steps at once: [x, x1] <- M [x, x1, tanh x, tanh x1].

    M = [[-l², 2l, P, 0], [-2l³, 3l², 2lP, P]] is linear in l, l², l³, κγ and lκγ, so it is one product with constants.
    """

    targets: Tensor
    assemble: Tensor
    prepare: Tensor

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        if self.regions != 1:
            raise ValueError("TwoSteps is written for one region")
        eye, zero, signs = np.eye(4), np.zeros((4, 4)), LAGGED_COUPLING * coupling_signs()
        place = {"-l2": (0, 0), "2l": (0, 1), "-2l3": (1, 0), "3l2": (1, 1)}
        features: list[Array] = []
        for factors in ({"2l": 2}, {"-l2": -1, "3l2": 3}, {"-2l3": -2}):
            for p in range(4):
                M = np.zeros((2, 4, 4, 4))
                for name, factor in factors.items():
                    row, column = place[name]
                    M[row, p, column, p] = factor
                features.append(M)
        for again in (False, True):
            for k in range(len(COUPLINGS)):
                M = np.zeros((2, 4, 4, 4))
                if again:
                    M[1, :, 2] = 2 * signs[:, :, k]
                else:
                    M[0, :, 2] = M[1, :, 3] = signs[:, :, k]
                features.append(M)
        self.constant("assemble", np.stack(features).reshape(32, 128))
        self.constant("targets", np.array([[t == p for _, t, _, _ in COUPLINGS] for p in POPULATIONS], float))
        self.constant("prepare", lagged_scale() * np.block([[eye, zero], [eye, DT * eye]]))

    def forward(self, v0: Tensor, w0: Tensor) -> Tensor:
        decay = torch.rsub(self.kappa, 1, alpha=DT)
        square = decay * decay
        kappa = torch.mm(self.kappa, self.targets)
        strength = kappa * self.gamma
        again = torch.rsub(kappa, 1, alpha=DT) * strength
        M = torch.mm(torch.cat([decay, square, square * decay, strength, again], 1), self.assemble).view(8, 16)
        x = torch.mm(self.prepare, torch.cat([v0, w0], 2).view(-1, 8).T)
        for _ in range(STEPS // 2):
            x = torch.mm(M, torch.cat([x, torch.tanh(x)]))
        return x[SP, :, None] / lagged_scale()


HAND_FUSED: dict[str, Callable[[Parameters], nn.Module]] = {"flat": Flat, "by region": ByRegion, "two steps": TwoSteps}


def torchdiffeq_program(parameters: Parameters, start: tuple[Array, Array]) -> Program:
    return bind(Torchdiffeq(parameters), start)


def hand_fused_programs(case: Case, parameters: Parameters, start: tuple[Array, Array]) -> dict[str, Program]:
    """Every formulation that is written for this case."""
    fitting = {name: make for name, make in HAND_FUSED.items() if case.regions == 1 or make is not TwoSteps}
    return {name: bind(make(parameters), start) for name, make in fitting.items()}
