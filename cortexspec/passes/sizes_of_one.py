"""Write sizes of 1 in: what is summed, joined or coupled over one place then needs no operation.

No step of the default pipeline, where a program is to be the same for one instance and for fifty. An engine that fuses a step to few
kernels names it first in its own (docs/decisions/0020); one where a call costs more than its arithmetic for what an adjoint is derived from
(`Backend.adjoint_pipeline`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cortexspec.ir.module import Function, State
from cortexspec.ir.specialise import specialise, specialise_type


def sizes_of_one(function: Function, sizes: Mapping[str, int]) -> Function:
    """The function with 1 in the place of each size symbol that is bound to it."""
    return specialise(function, _ones(sizes))


def states_of_one(states: Iterable[State], sizes: Mapping[str, int]) -> tuple[State, ...]:
    """The states as such functions have them."""
    ones = _ones(sizes)
    return tuple(
        replace(state, value=replace(state.value, type=specialise_type(state.value.type, ones))) for state in states
    )


def _ones(sizes: Mapping[str, int]) -> Mapping[str, int]:
    return {symbol: size for symbol, size in sizes.items() if size == 1}
