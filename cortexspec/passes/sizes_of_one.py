"""Write sizes of 1 in: what is summed, joined or coupled over one place then needs no operation.

No step of the default pipeline, where a program is to have the same operations for one instance and for fifty: only what an adjoint is
derived from goes through it, on backends where a call costs more than its arithmetic (`Backend.adjoint_pipeline`).
"""

from __future__ import annotations

from collections.abc import Mapping

from cortexspec.ir.module import Function
from cortexspec.ir.specialise import specialise


def sizes_of_one(function: Function, sizes: Mapping[str, int]) -> Function:
    """The function with 1 in the place of each size symbol that is bound to it."""
    ones = {symbol: size for symbol, size in sizes.items() if size == 1}
    return specialise(function, ones) if ones else function
