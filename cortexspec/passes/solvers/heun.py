"""Heun's method (explicit trapezoid): the mean of the slopes at t and at the Euler point. Second order.

Source: Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section II.1.
"""

from cortexspec.ir.module import Module
from cortexspec.passes.solvers.explicit import Tableau, step_of

TABLEAU = Tableau((1.0,), ((1.0,),), (0.5, 0.5))


def heun(module: Module) -> Module:
    """Writes `step`."""
    return step_of(module, TABLEAU)
