"""Writes lines: each call applies an op's rule to its operands and gives the result a fresh name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cortexspec.diagnostics import Span
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Role


class Builder:
    """Collects the lines of one function. `names` is shared by a function and the scan bodies inside it; `sizes` says what
    size symbols are worth, where that is known already.

    What writes single ops (`add`, `mul`, `contract`, ...) is in `ir.ops.write`, as free functions `add(build, a, b)`,
    so that an operation added by a plugin reads like a built-in one.
    """

    def __init__(self, names: Names | None = None):
        self.names = names or Names()
        self.lines: list[Line] = []
        self.span: Span | None = None
        self.sizes: Mapping[str, int] = {}

    def emit(self, op: Op, *operands: Value, hint: str = "") -> tuple[Value, ...]:
        """Raises RuleError where the op's rule refuses the operands."""
        for operand in operands:
            self.names.take_axes(operand.type.axes)
        types = op.rule(*(operand.type for operand in operands))
        stem = hint or op.name.rpartition(".")[2]
        results = tuple(Value(self.names.fresh(stem), type_) for type_ in types)
        self.lines.append(Line(results, op, operands, self.span))
        return results

    def one(self, op: Op, *operands: Value, hint: str = "") -> Value:
        (result,) = self.emit(op, *operands, hint=hint)
        return result

    def axis(self, stem: str, size: Size | int | str, role: Role = "plain") -> Axis:
        """An axis whose name no value seen so far has: renaming to a name in use would capture it."""
        return Axis(self.names.fresh_axis(stem), Size.of(size), role)

    def function(
        self, name: str, inputs: Iterable[Value], outputs: Iterable[Value], output_names: Iterable[str] = ()
    ) -> Function:
        return Function(name, tuple(inputs), tuple(self.lines), tuple(outputs), tuple(output_names))


class Names:
    """Gives names that nothing uses yet; a taken stem gets a number."""

    def __init__(self, taken: Iterable[str] = ()):
        self._taken = set(taken)
        self._axes: set[str] = set()
        self._next: dict[str, int] = {}

    @staticmethod
    def of(*functions: Function) -> Names:
        """The names of all values and axes in the functions and in the scan bodies inside them."""
        names = Names()
        for function in functions:
            names.take_function(function)
        return names

    def take_function(self, function: Function) -> None:
        for value in function.inputs:
            self.take_value(value)
        for line in function.body:
            for value in line.results:
                self.take_value(value)
            for inside in line.op.attributes().values():
                if isinstance(inside, Function):
                    self.take_function(inside)
                elif isinstance(inside, Axis):
                    self.take_axes([inside])

    def take_value(self, value: Value) -> None:
        self._taken.add(value.name)
        self.take_axes(value.type.axes)

    def take_axes(self, axes: Iterable[Axis]) -> None:
        self._axes.update(axis.name for axis in axes)

    def fresh_axis(self, stem: str) -> str:
        """A name for a new axis: `stem~1`, `stem~2`, ..., which no spec can write."""
        stem = stem.partition("~")[0]
        number = 1
        while f"{stem}~{number}" in self._axes:
            number += 1
        self._axes.add(f"{stem}~{number}")
        return f"{stem}~{number}"

    def take(self, name: str) -> None:
        self._taken.add(name)

    def fresh(self, stem: str) -> str:
        if stem not in self._taken:
            self._taken.add(stem)
            return stem
        number = self._next.get(stem, 1)
        while f"{stem}_{number}" in self._taken:
            number += 1
        self._next[stem] = number + 1
        name = f"{stem}_{number}"
        self._taken.add(name)
        return name
