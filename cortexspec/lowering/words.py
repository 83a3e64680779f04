"""The joint state of a group of binary neurons as one number, its word: neuron i is bit i."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import FunctionEntry
from cortexspec.ir.builder import Builder
from cortexspec.ir.ops import write
from cortexspec.lowering.declarations import TIME, TRIAL

WORD = "*word"  # no name that a spec can write
LONGEST = 24  # neurons of a word that single precision holds


def _word(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
    """Exact for as many neurons as `LONGEST` says. A neuron is on where its value exceeds 0.

    Shapes: x [trial, time, neuron] or without some of these; gives [trial, time].
    """
    (x,) = arguments
    on = write.cast(build, write.gt(build, x.value, write.zero_like(build, x.value)), "float")
    own = [name for name in x.axes if name not in (TRIAL.name, TIME.name)]
    if own:
        axis = x.type.axis(own[0])
        place = write.cast(build, write.iota(build, axis), "float")
        # A power is not exact on every engine, its nearest integer is.
        value = write.floor(
            build, write.add(build, write.power(build, write.const(build, 2.0), place), write.const(build, 0.5))
        )
        on = write.contract(build, on, value, own)
    return Operand(on, tuple(name for name in x.axes if name not in own))


ENTRY = FunctionEntry(WORD, _word, (1, 1), doc=_word.__doc__ or "")

__all__ = ["ENTRY", "LONGEST", "WORD"]
