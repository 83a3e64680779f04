"""A value while an expression is being translated, with what the IR's types leave out: the written order of its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cortexspec.ir.module import Value
from cortexspec.ir.types import Axis, Type
from cortexspec.units import DIMENSIONLESS

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Operand:
    """`axes` are the names that this place of the spec writes, in written order.

    All other axes of the type are around the place and never written there (trial, instance, neuron): they are carried
    along, and no function, reduction or product touches them. `literal` holds the numbers of a constant, in coherent
    units, with its axes in the order of `axes`; `anonymous` says that the axes are those of a list of numbers, which
    take the names of what they meet, by position.
    """

    value: Value
    axes: tuple[str, ...] = ()
    literal: Array | None = field(default=None, compare=False)
    anonymous: bool = False

    @property
    def type(self) -> Type:
        return self.value.type

    @property
    def written(self) -> tuple[Axis, ...]:
        """The written axes with their sizes, in written order."""
        return tuple(self.value.type.axis(name) for name in self.axes)

    @property
    def around(self) -> tuple[Axis, ...]:
        """The axes that this place does not write."""
        return self.value.type.without(self.axes)

    @property
    def zero(self) -> bool:
        """The literal 0, which fits every unit."""
        return (
            self.literal is not None
            and self.literal.ndim == 0
            and self.literal == 0
            and self.value.type.unit == DIMENSIONLESS
            and self.value.type.dtype == "float"
        )


def after(value: Value, *sources: Operand) -> Operand:
    """The result of an operation: surviving axes keep the order in which the sources write them, new ones come last.

    An axis that stands around one source and is written by another is written.
    """
    order: list[str] = []
    for source in sorted(sources, key=lambda source: -len(source.axes)):
        order += [name for name in source.axes if name not in order and value.type.has(name)]
    known = {name for source in sources for name in source.type.names}
    order += [axis.name for axis in value.type.axes if axis.name not in known]
    return Operand(value, tuple(order))


def shape_of(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(size) for size in sizes)
