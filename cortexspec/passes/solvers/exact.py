"""The matrix exponential of what is linear in each neuron, its synapses per target neuron among it. Exact for linear neurons.

States whose slopes multiply one another by constants, element by element, make a block (v, the synaptic current and its
derivative). With A the block's matrix and f its slopes at t, the step is

    x(t + dt) = x + dt * phi(A*dt) f(x),   phi(Z) = (exp(Z) - 1) Z^-1

which is exp(A*dt) x + (what is held) where f = A x + held. phi stands in the upper right of exp([[A*dt, 1], [0, 0]]).
What is not linear, or passes from neuron to neuron, is held over the step as it was at t. The exponential depends on
parameters and dt alone, so `hoist` moves it out of the loop.

Source: Rotter and Diesmann 1999, doi:10.1007/s004220050570; phi by Saad 1992, doi:10.1137/0729014.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.passes.solvers.explicit import Slopes, step_with
from cortexspec.passes.solvers.slopes import coefficients, phi

Matrix = Mapping[tuple[str, str], Value]  # (state whose slope it is, state) -> coefficient


def exact(module: Module) -> Module:
    """Writes `step`."""
    return step_with(module, _integrate)


def _integrate(build: Builder, slopes: Slopes, dt: Value) -> dict[str, Value]:
    names = list(slopes.states)
    outputs = list(slopes.free.values())
    matrix: dict[tuple[str, str], Value] = {}
    for name, (state, _) in slopes.states.items():
        column = coefficients(build, slopes.lines, state, outputs, names)
        matrix |= {(row, name): entry for row, entry in zip(names, column, strict=True) if entry is not None}
    after: dict[str, Value] = {}
    for block in _blocks(names, matrix):
        after |= _stepped(build, block, matrix, slopes, dt)
    return after


def _blocks(names: Sequence[str], matrix: Matrix) -> list[list[str]]:
    """States that are tied to each other, directly or through others."""
    block_of = {name: [name] for name in names}
    for row, column in matrix:
        if block_of[row] is not block_of[column]:
            joined = [*block_of[row], *block_of[column]]
            for name in joined:
                block_of[name] = joined
    return list({id(block): sorted(block, key=names.index) for block in block_of.values()}.values())


def _stepped(build: Builder, block: list[str], matrix: Matrix, slopes: Slopes, dt: Value) -> dict[str, Value]:
    if len(block) == 1:
        state, slope = slopes.states[block[0]]
        own = matrix.get((block[0], block[0]))
        share = slope if own is None else write.mul(build, phi(build, write.mul(build, own, dt)), slope)
        return {block[0]: write.add(build, state, write.mul(build, dt, share))}
    weights, row_axis, column_axis = _phi_of(build, block, matrix, slopes, dt)
    after: dict[str, Value] = {}
    for i, row in enumerate(block):
        state = slopes.states[row][0]
        total: Value | None = None
        for j, column in enumerate(block):
            source, slope = slopes.states[column]
            entry = write.index(build, write.index(build, weights, row_axis, i), column_axis, len(block) + j)
            ratio = write.const(build, 1.0, state.type.unit / source.type.unit)
            term = write.mul(build, write.mul(build, entry, ratio), slope)
            total = term if total is None else write.add(build, total, term)
        assert total is not None
        after[row] = write.add(build, state, write.mul(build, dt, total))
    return after


def _phi_of(build: Builder, block: list[str], matrix: Matrix, slopes: Slopes, dt: Value) -> tuple[Value, str, str]:
    """exp([[A*dt, 1], [0, 0]]) in pure numbers, each state in its own unit; and the names of its two axes."""
    n = len(block)
    size = Size.of(2 * n)
    row_axis, column_axis = build.axis("row", size), build.axis("column", size)
    zero, one = write.const(build, 0.0), write.const(build, 1.0)
    rows: list[Value] = []
    for i, row in enumerate(block):
        entries = [zero] * (2 * n)
        entries[n + i] = one
        for j, column in enumerate(block):
            if (row, column) in matrix:
                unit = slopes.states[column][0].type.unit / slopes.states[row][0].type.unit
                pure = write.mul(build, matrix[row, column], write.const(build, 1.0, unit))
                entries[j] = write.mul(build, pure, dt)
        rows.append(write.stack(build, entries, column_axis))
    rows += [write.expand(build, zero, [column_axis])] * n
    whole = write.stack(build, rows, row_axis)
    return write.expm(build, whole, row_axis.name, column_axis.name), row_axis.name, column_axis.name
