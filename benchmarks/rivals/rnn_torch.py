"""The workload of `benchmarks.rnn` in PyTorch by hand: loops through autograd, and torch's own RNN kernel.

The inputs of all steps are multiplied in one product in front of the loop, whose step is then one `addmm` and a relu in
place. Adam is the fused kernel. Which way round the batch lies is decided by measurement: both are here.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.rivals.program import Training
from benchmarks.rnn_workload import (
    BETA1,
    BETA2,
    EPSILON,
    LEARNING_RATE,
    NAMES,
    OFFSET,
    STRENGTH,
    Case,
    Problem,
)


class _Network(nn.Module):
    """The five arrays under their names in the workload."""

    W: Tensor
    V: Tensor
    b: Tensor
    U: Tensor
    c: Tensor

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        for name, array in problem.trained().items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(array.copy())))

    def frames(self, x: Tensor) -> Tensor:
        """The inputs [batch, time, channel] as `forward` wants them."""
        return x.transpose(0, 1).contiguous()

    def recurrent(self) -> Tensor:
        return self.W

    def gradients(self) -> Iterator[Tensor]:
        for name in NAMES:
            gradient = self.get_parameter(name).grad
            assert gradient is not None
            yield gradient


class BatchFirst(_Network):
    """h [batch, N]."""

    def forward(self, x: Tensor) -> Tensor:
        drive = torch.addmm(self.b, x.flatten(0, 1), self.V.t()).view(*x.shape[:2], -1)
        W = self.W.t()
        first, *rest = drive.unbind(0)
        h = torch.relu(first)
        for frame in rest:
            h = torch.addmm(frame, h, W).relu_()
        return torch.addmm(self.c, h, self.U.t())


class BatchLast(_Network):
    """h [N, batch]."""

    def frames(self, x: Tensor) -> Tensor:
        return x.permute(1, 2, 0).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        drive = torch.matmul(self.V, x) + self.b.unsqueeze(1)
        first, *rest = drive.unbind(0)
        h = torch.relu(first)
        for frame in rest:
            h = torch.addmm(frame, self.W, h).relu_()
        return torch.addmm(self.c.unsqueeze(1), self.U, h).t()


class Kernel(_Network):
    """torch.nn.RNN; its second bias is 0 and not trained."""

    def __init__(self, problem: Problem) -> None:
        nn.Module.__init__(self)
        arrays = {name: torch.from_numpy(array.copy()) for name, array in problem.trained().items()}
        self.rnn = nn.RNN(arrays["V"].shape[1], len(arrays["b"]), nonlinearity="relu", dtype=arrays["W"].dtype)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(arrays["W"])
            self.rnn.weight_ih_l0.copy_(arrays["V"])
            self.rnn.bias_ih_l0.copy_(arrays["b"])
            self.rnn.bias_hh_l0.zero_().requires_grad_(False)
        self.U, self.c = nn.Parameter(arrays["U"]), nn.Parameter(arrays["c"])

    def forward(self, x: Tensor) -> Tensor:
        _, end = self.rnn(x)
        return torch.addmm(self.c, end[0], self.U.t())

    def recurrent(self) -> Tensor:
        return self.rnn.weight_hh_l0

    def gradients(self) -> Iterator[Tensor]:
        rnn = self.rnn
        for parameter in (rnn.weight_hh_l0, rnn.weight_ih_l0, rnn.bias_ih_l0, self.U, self.c):
            assert parameter.grad is not None
            yield parameter.grad


LOOPS: dict[str, Callable[[Problem], _Network]] = {"loop, batch first": BatchFirst, "loop, batch last": BatchLast}


def penalty(W: Tensor, D: Tensor, off_diagonal: Tensor) -> Tensor:
    """λ sum |W| D C(|W|), through torch.matrix_exp and its own gradient."""
    A = W.abs()
    root = torch.rsqrt(A.sum(0) + OFFSET)
    C = torch.matrix_exp(root.unsqueeze(1) * A * root)
    return STRENGTH * torch.sum(A * D * C * off_diagonal)


def bind(case: Case, problem: Problem, make: Callable[[Problem], _Network]) -> Training:
    network = make(problem)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(trained, lr=LEARNING_RATE, betas=(BETA1, BETA2), eps=EPSILON, fused=True)
    x, label = network.frames(torch.from_numpy(problem.x)), torch.from_numpy(problem.label)
    D = torch.from_numpy(problem.D)
    off_diagonal = 1 - torch.eye(case.n, dtype=D.dtype)
    D_off = D * off_diagonal

    def backward() -> Tensor:
        adam.zero_grad(set_to_none=True)
        loss = cross_entropy(network(x), label)
        if case.penalty:
            loss = loss + penalty(network.recurrent(), D_off, off_diagonal)
        loss.backward()
        return loss

    def step() -> float:
        loss = backward()
        adam.step()
        return loss.item()

    def value_and_gradients() -> tuple[float, tuple[object, ...]]:
        loss = backward()
        return loss.item(), tuple(gradient.numpy().copy() for gradient in network.gradients())

    return Training(step, value_and_gradients)


def programs(case: Case, problem: Problem) -> dict[str, Training]:
    """Every formulation; torch's own kernel is among them."""
    made = {**LOOPS, "nn.RNN": Kernel}
    return {name: bind(case, problem, make) for name, make in made.items()}


def penalty_program(problem: Problem) -> Training:
    """Only the penalty, forward and backward, by W."""
    W = torch.from_numpy(problem.W.copy()).requires_grad_()
    D = torch.from_numpy(problem.D)
    off_diagonal = 1 - torch.eye(len(D), dtype=D.dtype)

    def value_and_gradients() -> tuple[float, tuple[object, ...]]:
        value = penalty(W, D, off_diagonal)
        (gradient,) = torch.autograd.grad(value, W)
        return value.item(), (gradient.numpy(),)

    return Training(value_and_gradients, value_and_gradients)
