"""Adaptive solvers from torchdiffeq over the program's `derivative`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from cortexspec.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from cortexspec_torch.simulator import Circuit

# Our name -> torchdiffeq's.
SOLVERS = {"dopri5": "dopri5", "dopri8": "dopri8", "bosh3": "bosh3", "heun_adaptive": "adaptive_heun"}


def solve(
    circuit: Circuit,
    inputs: dict[str, torch.Tensor],
    states: Sequence[str],
    times: np.ndarray,
    solver: str,
    rtol: float,
    atol: float,
) -> dict[str, torch.Tensor]:
    """States at `times` (in ms), each with the times in front. `inputs` has the states at times[0] too.

    `derivative` gives the time derivative of each state, in the order of the module's states.
    Raises: SpecError CS915 where the solver gives up before the last time.
    """
    from torchdiffeq import odeint

    held = {name: value for name, value in inputs.items() if name not in states}
    names = list(states)

    def slope(t: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        given = {**held, **dict(zip(names, state, strict=True)), "t": t}
        outputs = circuit.run("derivative", given)
        return tuple(outputs[name].expand_as(now) for name, now in zip(names, state, strict=True))

    start = tuple(inputs[name] for name in names)
    at = torch.as_tensor(np.asarray(times), dtype=start[0].dtype, device=start[0].device)
    # Steps end at the times that are asked for: between them torchdiffeq interpolates with a lower order than the solver's.
    options = {"step_t": at[1:]}
    try:
        found = odeint(slope, start, at, rtol=rtol, atol=atol, method=SOLVERS[solver], options=options)
    except AssertionError as error:  # so torchdiffeq says that no step is small enough, or that a state is no number
        raise SpecError([Diagnostic("CS915", f"the solver {solver} stopped: {error}")]) from None
    return dict(zip(names, found, strict=True))
