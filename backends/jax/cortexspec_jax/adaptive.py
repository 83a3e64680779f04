"""Adaptive solvers from diffrax over the program's `derivative`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from cortexspec_jax.simulator import Circuit

# Our name -> diffrax's class.
SOLVERS = {
    "tsit5": "Tsit5",
    "dopri5": "Dopri5",
    "dopri8": "Dopri8",
    "bosh3": "Bosh3",
    "heun_adaptive": "Heun",
    "kvaerno3": "Kvaerno3",
    "kvaerno5": "Kvaerno5",
}


def solve(
    circuit: Circuit,
    held: Mapping[str, Any],
    state: Mapping[str, Any],
    times: np.ndarray[Any, Any],
    solver: str,
    rtol: float,
    atol: float,
) -> dict[str, Any]:
    """States at `times` (in ms), each with the times in front; `state` is that at times[0].

    `derivative` gives the time derivative of each state under the state's name.
    Raises: SpecError CS915 where the solver gives up before the last time.
    """
    import diffrax

    function, names, output_names = circuit.table["derivative"]
    at = jnp.asarray(np.asarray(times), circuit.dtype)
    start = {name: jnp.asarray(np.asarray(value), circuit.dtype) for name, value in state.items()}

    def slope(t: Any, y: dict[str, Any], fixed: dict[str, Any]) -> dict[str, Any]:
        given = {**fixed, **y, "t": t}
        outputs = dict(zip(output_names, function(*(given[name] for name in names)), strict=True))
        return {name: jnp.broadcast_to(outputs[name], now.shape) for name, now in y.items()}

    fixed = {name: jnp.asarray(value) for name, value in held.items() if name in names and name not in start}
    # Steps end at the times that are asked for: between them a solver interpolates with a lower order than its own.
    controller = diffrax.ClipStepSizeController(diffrax.PIDController(rtol=rtol, atol=atol), step_ts=at)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(slope),
        getattr(diffrax, SOLVERS[solver])(),
        at[0],
        at[-1],
        None,
        start,
        fixed,
        saveat=diffrax.SaveAt(ts=at),
        stepsize_controller=controller,
        max_steps=100_000,
        throw=False,
    )
    if not bool(diffrax.is_successful(solution.result)):
        why = " ".join(str(diffrax.RESULTS[solution.result]).split())
        raise SpecError([Diagnostic("CS915", f"the solver {solver} stopped: {why}")])
    assert solution.ys is not None
    return dict(solution.ys)
