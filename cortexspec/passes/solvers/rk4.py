"""The classical Runge-Kutta method (not the 3/8 rule that torchdiffeq calls rk4). Fourth order.

Source: Kutta 1901; Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section II.1.
"""

from cortexspec.ir.module import Module
from cortexspec.passes.solvers.explicit import Tableau, step_of

TABLEAU = Tableau((0.5, 0.5, 1.0), ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))


def rk4(module: Module) -> Module:
    """Writes `step`."""
    return step_of(module, TABLEAU)
