"""The explicit midpoint method: the slope half a step ahead. Second order.

Source: Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section II.1.
"""

from cortexspec.ir.module import Module
from cortexspec.passes.solvers.explicit import Tableau, step_of

TABLEAU = Tableau((0.5,), ((0.5,),), (0.0, 1.0))


def midpoint(module: Module) -> Module:
    """Writes `step`."""
    return step_of(module, TABLEAU)
