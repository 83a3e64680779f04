"""`emit`: how one operation reads in JAX. The families beside this file register their operations with it."""

from __future__ import annotations

from functools import singledispatch

from cortexspec.contracts.order import Order
from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.types import Type

ORDER = Order("transpose")
in_order, in_layout, spread = ORDER.in_order, ORDER.in_layout, ORDER.spread


@singledispatch
def emit(op: Op, write: Writer, *operands: Term) -> str | Term | None:
    """A Python expression for the result; a Term where no line is needed; None where the lines are written already.

    Raises NotImplementedError: `require_lowerings` finds such operations before a program is written.
    """
    raise NotImplementedError(op.name)


def dtype(type_: Type) -> str:
    """The dtype as the program spells it; `int` is what JAX makes of it: 64 bits only under x64."""
    return {"float": "FLOAT", "int": "int", "bool": "bool", "bits": "jnp.uint32"}[type_.dtype]
