"""The stationary law of a finite Markov chain, found in two ways that share nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError

Array = np.ndarray[Any, Any]


def state_reduction(matrix: Array) -> Array:
    """π with π = π P, by state reduction: no subtraction, so that each entry is exact to rounding, however small.

    Shapes: matrix P [s, s'], rows sum to 1; returns [s].
    Source: Grassmann, Taksar & Heyman 1985 (GTH).
    Raises: SpecError CS933 where a state cannot be left within floating point.
    """
    reduced = np.array(matrix, float)
    states = len(reduced)
    for last in range(states - 1, 0, -1):
        leaving = reduced[last, :last].sum()
        if leaving <= 0:
            raise _trapped(last)
        reduced[:last, last] /= leaving
        reduced[:last, :last] += np.outer(reduced[:last, last], reduced[last, :last])
    law = np.ones(states)
    for state in range(1, states):
        law[state] = law[:state] @ reduced[:state, state]
        if law[state] > 1e200:  # the first states may be as good as never visited
            law[: state + 1] /= law[state]
    return law / law.sum()


def power_iteration(matrix: Array, tolerance: float = 1e-15, most: int = 200_000) -> Array:
    """π as the law after many steps from the uniform one.

    Shapes: matrix P [s, s']; returns [s].
    Raises: SpecError CS933 where it has not settled after `most` steps.
    """
    law = np.full(len(matrix), 1.0 / len(matrix))
    for _ in range(most):
        following = law @ matrix
        following /= following.sum()
        if np.abs(following - law).max() <= tolerance:
            return following
        law = following
    message = f"the law of the network still moves after {most} steps"
    help = "use `state_reduction`, or a larger t0: the network is all but trapped"
    raise SpecError([Diagnostic("CS933", message, help=help)])


def _trapped(state: int) -> SpecError:
    message = (
        f"the network has no single stationary law: it never leaves the states above {state}, within floating point"
    )
    return SpecError([Diagnostic("CS933", message, help="a larger t0, smaller weights, or a law after a finite time")])
