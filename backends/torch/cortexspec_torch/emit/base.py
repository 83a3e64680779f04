"""`emit`: how one operation reads in torch. The families beside this file register their operations with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.types import Type


@singledispatch
def emit(op: Op, write: Writer, *operands: Term) -> str | Term | None:
    """A Python expression for the result; a Term where no line is needed; None where the lines are written already.

    Raises NotImplementedError: `require_lowerings` finds such operations before a program is written.
    """
    raise NotImplementedError(op.name)


def dtype(type_: Type) -> str:
    """The dtype as the program spells it. `bits` are unsigned 32-bit words, kept in int64: torch cannot add uint32."""
    return {"float": "FLOAT", "int": "torch.int64", "bool": "torch.bool", "bits": "torch.int64"}[type_.dtype]


def in_order(text: str, axes: Sequence[str], wanted: Sequence[str]) -> str:
    """The array with its axes, now `axes`, in the order `wanted`."""
    if list(axes) == list(wanted):
        return text
    return f"{text}.permute({', '.join(str(list(axes).index(name)) for name in wanted)})"


def arranged(write: Writer, term: Term, wanted: Sequence[str]) -> str:
    """The term with its axes in the order `wanted`; of what a loop only reads the view is made in front of it."""
    text = in_order(term, term.axes, wanted)
    if text == term or term.block is write.block:
        return text
    return write.view(term, text, "_t")


def in_layout(write: Writer, text: str, axes: Sequence[str]) -> str | Term:
    """The array with its axes in the layout's order; a Term that is in order already costs no line."""
    wanted = write.layout.sort(tuple(axes))
    if isinstance(text, Term) and tuple(axes) == wanted:
        return write.same(text, write.results[0].type, wanted)
    return in_order(text, axes, wanted)


def spread(x: Term, axes: Sequence[str]) -> str:
    """The term with its axes in the order of `axes` and a place for each that it lacks."""
    if x.literal:
        return str(x)
    have = [name for name in axes if name in x.axes]
    text = in_order(x, x.axes, have)
    return text if have == list(axes) else f"{text}[{', '.join(':' if name in have else 'None' for name in axes)}]"
