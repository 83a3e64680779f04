"""What every version of the workload offers to the harness."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import Run


@dataclass(frozen=True)
class Program:
    """One version of the workload, its parameters and start bound.

    `forward` gives the potential of sp at the end, [B, R]; `step` does a training step's work; `value_and_gradients`
    does the same once more and returns the loss and its gradients by κ, γ, W and a, for tests.
    """

    forward: Callable[[], Any]
    step: Run
    value_and_gradients: Callable[[], tuple[float, tuple[Any, ...]]]


@dataclass(frozen=True)
class Training:
    """One version of a training step, its parameters and data bound.

    `step` makes an update and moves the parameters; `value_and_gradients` gives the loss and its gradients at the start.
    """

    step: Run
    value_and_gradients: Callable[[], tuple[float, tuple[Any, ...]]]
