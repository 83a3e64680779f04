"""Adaptive solvers from SciPy over the function `derivative`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError

Array = np.ndarray[Any, Any]
Slopes = Callable[[Mapping[str, Array]], Mapping[str, Array]]

# Our name -> SciPy's. dopri8 is Dormand and Prince's method of order 8, dopri5 theirs of order 5, bosh3 Bogacki and
# Shampine's of order 3; radau, bdf and lsoda are for stiff circuits.
SOLVERS = {"dopri8": "DOP853", "dopri5": "RK45", "bosh3": "RK23", "radau": "Radau", "bdf": "BDF", "lsoda": "LSODA"}


def solve(
    slopes: Slopes, state: Mapping[str, Array], times: Array, solver: str, rtol: float, atol: float
) -> dict[str, Array]:
    """States at `times`, each with the times in front. `state` has the states at times[0].

    `slopes` gives each state's time derivative under its name, from the states and `t`.
    Raises: SpecError CS915 where the solver gives up before the last time.
    """
    start = {name: np.asarray(array, float) for name, array in state.items()}
    sizes = [array.size for array in start.values()]
    cuts = np.cumsum(sizes)[:-1]

    def unpack(flat: Array) -> dict[str, Array]:
        parts = zip(start.items(), np.split(flat, cuts), strict=True)
        return {name: part.reshape(array.shape) for (name, array), part in parts}

    def right_side(t: float, flat: Array) -> Array:
        now = unpack(flat)
        found = slopes({**now, "t": np.asarray(t)})
        return np.concatenate([np.broadcast_to(found[name], now[name].shape).ravel() for name in start])

    times = np.asarray(times, float)
    flat = np.concatenate([array.ravel() for array in start.values()])
    if len(times) == 1:
        return {name: array[np.newaxis] for name, array in unpack(flat).items()}
    integrate: Any = import_module("scipy.integrate")
    result = integrate.solve_ivp(
        right_side, (times[0], times[-1]), flat, method=SOLVERS[solver], t_eval=times, rtol=rtol, atol=atol
    )
    if not result.success:
        reached = float(result.t[-1]) if len(result.t) else float(times[0])
        raise SpecError([Diagnostic("CS915", f"the solver {solver} stopped after t = {reached:g}: {result.message}")])
    rows = [unpack(column) for column in result.y.T]
    return {name: np.stack([row[name] for row in rows]) for name in start}
