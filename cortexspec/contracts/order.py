"""Arrays of a program with their axes in a wanted order, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortexspec.contracts.program import Term, Writer


@dataclass(frozen=True)
class Order:
    """`permute`: the method with which an array of the target changes the order of its axes."""

    permute: str

    def in_order(self, text: str, axes: Sequence[str], wanted: Sequence[str]) -> str:
        """The array with its axes, now `axes`, in the order `wanted`."""
        if list(axes) == list(wanted):
            return text
        return f"{text}.{self.permute}({', '.join(str(list(axes).index(name)) for name in wanted)})"

    def in_layout(self, write: Writer, text: str, axes: Sequence[str]) -> str | Term:
        """The array with its axes in the layout's order; a Term that is in order already costs no line."""
        wanted = write.layout.sort(tuple(axes))
        if isinstance(text, Term) and tuple(axes) == wanted:
            return write.same(text, write.results[0].type, wanted)
        return self.in_order(text, axes, wanted)

    def spread(self, x: Term, axes: Sequence[str]) -> str:
        """The term with its axes in the order of `axes` and a place for each that it lacks."""
        if x.literal:
            return str(x)
        have = [name for name in axes if name in x.axes]
        text = self.in_order(x, x.axes, have)
        return text if have == list(axes) else f"{text}[{', '.join(':' if name in have else 'None' for name in axes)}]"
