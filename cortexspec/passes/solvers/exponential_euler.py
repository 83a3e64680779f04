"""Exponential Euler: each state's own decay is integrated exactly, everything else is held over the step. First order.

    x(t + dt) = x + dt * phi(a*dt) * f(x),   phi(z) = (exp(z) - 1)/z

a is what f multiplies x by, element by element, with the other states held (a conductance, a rate constant); a state that f
does not multiply by such a factor is stepped by Euler. Exact where f = a*x + b with a and b constant over the step.

Source: Hochbruck and Ostermann 2010, doi:10.1017/S0962492910000048; for gating variables Rush and Larsen 1978.
"""

from __future__ import annotations

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, Value
from cortexspec.ir.ops import write
from cortexspec.passes.solvers.explicit import Slopes, step_with
from cortexspec.passes.solvers.slopes import coefficients, phi


def exponential_euler(module: Module) -> Module:
    """Writes `step`."""
    return step_with(module, _integrate)


def _integrate(build: Builder, slopes: Slopes, dt: Value) -> dict[str, Value]:
    after: dict[str, Value] = {}
    for name, (state, slope) in slopes.states.items():
        (own,) = coefficients(build, slopes.lines, state, [slopes.free[name]])
        share = slope if own is None else write.mul(build, phi(build, write.mul(build, own, dt)), slope)
        after[name] = write.add(build, state, write.mul(build, dt, share))
    return after
