"""Writes lines: each call applies an op's rule to its operands and gives the result a fresh name."""

from __future__ import annotations

from collections.abc import Iterable

from cortexspec.diagnostics import Span
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Op


class Builder:
    """Collects the lines of one function. `names` is shared by a function and the scan bodies inside it.

    The methods that write single ops (`add`, `mul`, `contract`, ...) are in `ir.ops.write`, as free functions `add(build, a, b)`,
    so that an operation added by a plugin reads like a built-in one.
    """

    def __init__(self, names: Names | None = None):
        self.names = names or Names()
        self.lines: list[Line] = []
        self.span: Span | None = None

    def emit(self, op: Op, *operands: Value, hint: str = "") -> tuple[Value, ...]:
        """Raises RuleError where the op's rule refuses the operands."""
        types = op.rule(*(operand.type for operand in operands))
        stem = hint or op.name.rpartition(".")[2]
        results = tuple(Value(self.names.fresh(stem), type_) for type_ in types)
        self.lines.append(Line(results, op, operands, self.span))
        return results

    def one(self, op: Op, *operands: Value, hint: str = "") -> Value:
        (result,) = self.emit(op, *operands, hint=hint)
        return result

    def function(
        self, name: str, inputs: Iterable[Value], outputs: Iterable[Value], output_names: Iterable[str] = ()
    ) -> Function:
        return Function(name, tuple(inputs), tuple(self.lines), tuple(outputs), tuple(output_names))


class Names:
    """Gives names that nothing uses yet; a taken stem gets a number."""

    def __init__(self, taken: Iterable[str] = ()):
        self._taken = set(taken)
        self._next: dict[str, int] = {}

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
