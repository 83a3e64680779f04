"""The workload of `benchmarks.elm` in torch by hand: a loop under autograd, by `einsum` with the batch first, or by `baddbmm` with it last.

The second is also run with its step under `torch.compile`, which is made for the loop's shapes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.elm_workload import BRANCHES, DECAY_R, GAIN, MEMORY, NAMES, N, Problem, Program

Trained = dict[str, Tensor]
Carry = tuple[Tensor, Tensor, Tensor]


def einsum_step(p: Trained, fixed: Trained, frame: Tensor, m: Tensor, r: Tensor, a: Tensor) -> Carry:
    """m [batch, N, memory], r and a [batch, N]."""
    v = torch.cat([frame, a], 1)
    s = torch.einsum("jk,bjk->bj", p["w"], v[:, fixed["pre"]]).reshape(len(v), N, BRANCHES)
    kept = fixed["decay"] * m
    q = torch.cat([GAIN * s, kept], 2)
    h = torch.relu(torch.einsum("nij,bnj->bni", p["W1"], q) + p["c1"]).square()
    m = kept + fixed["rate"] * torch.tanh(2 / 3 * (torch.einsum("nij,bnj->bni", p["W2"], h) + p["c2"]))
    z = torch.einsum("nm,bnm->bn", p["Wy"], m)
    r = DECAY_R * r + (1 - DECAY_R) * z
    return m, r, torch.relu(z - r + p["b"])


def last_step(p: Trained, fixed: Trained, frame: Tensor, m: Tensor, r: Tensor, a: Tensor) -> Carry:
    """m [N, memory, batch], r and a [N, batch]."""
    v = torch.cat([frame, a])
    s = (p["w"][..., None] * v[fixed["pre"]]).sum(1).reshape(N, BRANCHES, -1)
    kept = fixed["decay"][:, None] * m
    h = torch.relu(torch.baddbmm(p["c1"][..., None], p["W1"], torch.cat([GAIN * s, kept], 1))).square()
    m = kept + fixed["rate"][:, None] * torch.tanh(2 / 3 * torch.baddbmm(p["c2"][..., None], p["W2"], h))
    z = torch.bmm(p["Wy"][:, None], m)[:, 0]
    r = DECAY_R * r + (1 - DECAY_R) * z
    return m, r, torch.relu(z - r + p["b"][:, None])


def bind(problem: Problem, step: Callable[..., Carry], last: bool) -> Program:
    x = torch.as_tensor(problem.x.transpose(1, 2, 0) if last else problem.x.transpose(1, 0, 2)).contiguous()
    p = {name: torch.as_tensor(array).clone().requires_grad_() for name, array in problem.trained().items()}
    given: dict[str, Any] = {"decay": problem.decay, "rate": problem.rate}
    fixed = {name: torch.as_tensor(array, dtype=x.dtype) for name, array in given.items()}
    fixed["pre"] = torch.as_tensor(problem.pre)
    batch = len(problem.x)
    shapes = [(N, MEMORY, batch), (N, batch)] if last else [(batch, N, MEMORY), (batch, N)]

    def loss() -> Tensor:
        m, r = (torch.zeros(shape, dtype=x.dtype) for shape in shapes)
        a, kept = r, []
        for frame in x:
            m, r, a = step(p, fixed, frame, m, r, a)
            kept.append(a)
        return (torch.stack(kept) - 1).square().mean()

    @torch.no_grad()
    def forward() -> Tensor:
        return loss()

    def train() -> tuple[Tensor, tuple[Tensor, ...]]:
        value = loss()
        return value, torch.autograd.grad(value, [p[name] for name in NAMES])

    def value_and_gradients() -> tuple[float, dict[str, np.ndarray[Any, Any]]]:
        value, gradients = train()
        return float(value.detach()), {name: one.numpy() for name, one in zip(NAMES, gradients, strict=True)}

    return Program(forward, train, value_and_gradients)


def programs(problem: Problem, compiled: bool = True) -> dict[str, Program]:
    """Every formulation, by name; those of `torch.compile` take minutes to make."""
    found = {
        "einsum, batch first": bind(problem, einsum_step, last=False),
        "baddbmm, batch last": bind(problem, last_step, last=True),
    }
    if compiled:
        made = torch.compile(last_step, dynamic=False)
        found["baddbmm, batch last, compiled step"] = bind(problem, made, last=True)
    return found
