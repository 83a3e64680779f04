"""Explicit Euler: x(t + dt) = x + dt f(x, t). First order."""

from cortexspec.ir.module import Module
from cortexspec.passes.solvers.explicit import Tableau, step_of

TABLEAU = Tableau((), (), (1.0,))


def euler(module: Module) -> Module:
    """Writes `step`."""
    return step_of(module, TABLEAU)
