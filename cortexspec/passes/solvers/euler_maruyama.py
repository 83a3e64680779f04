"""Euler and Maruyama's method for white noise in the sense of Ito: x(t + dt) = x + dt f(x, t) + g(x, t) sqrt(dt) N(0, 1).

A noise has the unit 1/sqrt(time); the derivative is evaluated with N(0, 1)/sqrt(dt) in its place, one draw a step, trial and
element, keyed by the noise's name. Order 1/2 in each path, 1 where g is constant; order 1 in distribution.

Source: Maruyama 1955; Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, section 10.2.
"""

from __future__ import annotations

from collections.abc import Mapping

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, Value
from cortexspec.ir.ops import write
from cortexspec.passes.solvers.step import Slopes, step_with


def euler_maruyama(module: Module) -> Module:
    """Writes `step`, which reads `seed` and `trial` where there is noise."""
    return step_with(module, _integrate, _noise)


def _integrate(build: Builder, slopes: Slopes, dt: Value) -> dict[str, Value]:
    return {
        name: write.add(build, state, write.mul(build, dt, slope)) for name, (state, slope) in slopes.states.items()
    }


def _noise(build: Builder, noise: Value, inputs: Mapping[str, Value]) -> Value:
    """N(0, 1)/sqrt(dt), elements numbered along the axes by name; common to all trials where the noise has no trial axis."""
    own = [axis for axis in noise.type.axes if axis.role != "sample"]
    trial = inputs["trial"] if len(own) < len(noise.type.axes) else None
    drawn = write.normal(build, f"{noise.name}#0", own, inputs["seed"], trial, inputs["n"])
    return write.div(build, drawn, write.sqrt(build, inputs["dt"]))
