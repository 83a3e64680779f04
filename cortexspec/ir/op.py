"""What an operation is: a frozen dataclass with a rule, a meaning and a pullback. Its fields are its attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from cortexspec.ir.module import Layout, Value
from cortexspec.ir.types import Type

if TYPE_CHECKING:
    from cortexspec.ir.builder import Builder

Array = np.ndarray[Any, Any]
_DTYPES = {"int": np.dtype("int64"), "bool": np.dtype("bool"), "bits": np.dtype("uint32")}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A NumPy array with a name for each of its axes, in the layout's order."""

    array: Array
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a meaning may know beside its operands: sizes of symbols, the layout, the float dtype."""

    sizes: Mapping[str, int]
    layout: Layout
    dtype: np.dtype[Any]

    # Axes by the identity of a type, which the entry keeps alive: a loop asks for the same types at every step.
    _axes: dict[int, tuple[Type, tuple[str, ...]]] = field(
        default_factory=dict[int, tuple[Type, tuple[str, ...]]], init=False, compare=False, repr=False
    )

    def shape(self, type_: Type) -> tuple[int, ...]:
        return tuple(type_.axis(name).size.evaluate(self.sizes) for name in self.axes(type_))

    def axes(self, type_: Type) -> tuple[str, ...]:
        known = self._axes.get(id(type_))
        if known is None:
            known = self._axes[id(type_)] = (type_, self.layout.sort(type_.names))
        return known[1]

    def numpy_dtype(self, type_: Type) -> np.dtype[Any]:
        return self.dtype if type_.dtype == "float" else _DTYPES[type_.dtype]


class Op:
    """Base of all operations.

    rule      types of the operands -> type(s) of the result(s); raises RuleError
    evaluate  the meaning on named tensors; `results` are the types that the rule gave
    pullback  (build, cotangents of the results, operands, results) -> one cotangent or None an operand, written in IR.
              A cotangent has exactly the axes of its operand. A result that nothing reads has cotangent None.
    """

    name: ClassVar[str]
    # Whether a save policy may keep the result for the reverse pass (gathers, renames, comparisons are always redone).
    saved: ClassVar[bool] = True

    def attributes(self) -> dict[str, Any]:
        """The fields by name."""
        entry: Any = self
        return {field.name: getattr(self, field.name) for field in fields(entry)}

    def rule(self, *operands: Any, **_: Any) -> tuple[Type, ...]:  # each op names its own operands
        raise NotImplementedError

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        raise NotImplementedError


def align(tensor: Tensor, axes: Sequence[str]) -> Array:
    """A view with a place (of size 1 where missing) for each of `axes`; both are in layout order, so nothing moves."""
    if tensor.axes == tuple(axes):
        return tensor.array
    index = tuple(slice(None) if axis in tensor.axes else np.newaxis for axis in axes)
    return tensor.array[index]


def transpose(array: Array, axes: Sequence[str], wanted: Sequence[str]) -> Array:
    """A view of the array with its axes in the order `wanted`."""
    axes = list(axes)
    return array.transpose([axes.index(name) for name in wanted])


def in_layout(array: Array, axes: Sequence[str], result: Type, context: Context) -> Tensor:
    """The array with its axes brought to the layout's order."""
    wanted = context.axes(result)
    return Tensor(transpose(array, axes, wanted), wanted)


OPS: dict[str, type[Op]] = {}
OpClass = TypeVar("OpClass", bound=type[Op])


def op(cls: OpClass) -> OpClass:
    """Enter an operation class into the registry under its `name`. Raises ValueError for a name that is taken."""
    if cls.name in OPS and OPS[cls.name].__qualname__ != cls.__qualname__:
        raise ValueError(f"operation {cls.name} is registered twice")
    OPS[cls.name] = cls
    return cls


Pullback = Callable[..., Sequence[Value | None]]
