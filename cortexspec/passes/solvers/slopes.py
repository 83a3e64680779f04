"""How a state's slope depends on states, element by element: what the exponential solvers integrate exactly."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Div, Mul, Neg, Sub, Where
from cortexspec.ir.ops.shape import Expand


def dependent(lines: Sequence[Line], states: Collection[str]) -> set[str]:
    """The values that depend on the named ones, and these."""
    found = set(states)
    for line in lines:
        if any(operand.name in found for operand in line.operands):
            found.update(result.name for result in line.results)
    return found


def coefficients(
    build: Builder, lines: Sequence[Line], state: Value, outputs: Sequence[Value], still: Collection[str] = ()
) -> list[Value | None]:
    """What each output is multiplied by `state` with, along the elementwise path; None where it is not.

    A factor counts only if it depends neither on `state` nor on the states `still`. The rest (what passes through a
    contraction or a nonlinear function) stays outside the coefficient. The lines are those of `build`'s function.
    """
    moving = dependent(lines, {state.name, *still})
    of_state = dependent(lines, {state.name})
    found: dict[str, Value] = {state.name: write.const(build, 1.0)}
    for line in lines:
        if len(line.results) == 1 and line.result.name in of_state:
            coefficient = _coefficient(build, line, found, moving)
            if coefficient is not None:
                found[line.result.name] = coefficient
    return [found.get(output.name) for output in outputs]


def _coefficient(build: Builder, line: Line, known: dict[str, Value], moving: set[str]) -> Value | None:
    parts = [known.get(operand.name) for operand in line.operands]
    if all(part is None for part in parts):
        return None
    match line.op:
        case Add():
            a, b = parts
            return write.add(build, a, b) if a is not None and b is not None else a or b
        case Sub():
            a, b = parts
            if b is None:
                return a
            return write.neg(build, b) if a is None else write.sub(build, a, b)
        case Neg() if parts[0] is not None:
            return write.neg(build, parts[0])
        case Expand():
            return parts[0]
        case Mul():
            return _product(build, line.operands, parts, moving)
        case Div() if parts[0] is not None and line.operands[1].name not in moving:
            return write.div(build, parts[0], line.operands[1])
        case Where() if line.operands[0].name not in moving:
            return _chosen(build, line.operands[0], parts[1], parts[2])
        case _:
            return None


def _product(
    build: Builder, operands: Sequence[Value], parts: Sequence[Value | None], moving: set[str]
) -> Value | None:
    for part, other in ((parts[0], operands[1]), (parts[1], operands[0])):
        if part is not None and other.name not in moving:
            return write.mul(build, part, other)
    return None


def _chosen(build: Builder, condition: Value, a: Value | None, b: Value | None) -> Value:
    some = a if a is not None else b
    assert some is not None
    zero = write.zero_like(build, some)
    return write.where(build, condition, zero if a is None else a, zero if b is None else b)


def phi(build: Builder, z: Value) -> Value:
    """(exp(z) - 1)/z of a pure number, 1 at 0; its gradient is right there too."""
    one = write.const(build, 1.0)
    small = write.lt(build, write.abs(build, z), write.const(build, 1e-5))
    safe = write.where(build, small, one, z)
    near = write.add(build, one, write.mul(build, z, _series(build, z)))
    whole = write.div(build, write.expm1(build, safe), safe)
    return write.where(build, small, near, whole)


def _series(build: Builder, z: Value) -> Value:
    """1/2 + z/6 + z^2/24: the error of the series for phi is then below 1e-22 where it is used."""
    inner = write.add(build, write.const(build, 1 / 6), write.scale(build, z, 1 / 24))
    return write.add(build, write.const(build, 0.5), write.mul(build, z, inner))
