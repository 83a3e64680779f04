"""`emit`: how one operation reads in torch. The families beside this file register their operations with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from cortexspec.contracts.order import Order
from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.types import Type

ORDER = Order("permute")
in_order, in_layout, spread = ORDER.in_order, ORDER.in_layout, ORDER.spread


@singledispatch
def emit(op: Op, write: Writer, *operands: Term) -> str | Term | None:
    """A Python expression for the result; a Term where no line is needed; None where the lines are written already.

    Raises NotImplementedError: `require_lowerings` finds such operations before a program is written.
    """
    raise NotImplementedError(op.name)


def dtype(type_: Type) -> str:
    """The dtype as the program spells it. `bits` are unsigned 32-bit words, kept in int64: torch cannot add uint32."""
    return {"float": "FLOAT", "int": "torch.int64", "bool": "torch.bool", "bits": "torch.int64"}[type_.dtype]


def numbers_ahead(write: Writer, *terms: Term) -> tuple[Term, ...]:
    """In a loop, numbers as arrays that are made in front of it: of a Python number each call makes one, which takes as long as
    the arithmetic on a small array."""
    return terms if write.block is write.top else tuple(write.array(term) for term in terms)


def arranged(write: Writer, term: Term, wanted: Sequence[str]) -> str:
    """The term with its axes in the order `wanted`; of what a loop only reads the view is made in front of it."""
    text = in_order(term, term.axes, wanted)
    if text == term or term.block is write.block:
        return text
    return write.view(term, text, "_t")
