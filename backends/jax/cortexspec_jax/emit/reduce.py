"""Taking axes away, running sums and the order of elements in JAX."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.ops import reduce
from cortexspec_jax.emit.base import emit

FUNCTIONS: dict[type[Op], str] = {
    reduce.Sum: "jnp.sum",
    reduce.Mean: "jnp.mean",
    reduce.ReduceMax: "jnp.max",
    reduce.ReduceMin: "jnp.min",
    reduce.LogSumExp: "jax.nn.logsumexp",
    reduce.ArgMax: "jnp.argmax",
    reduce.Any: "jnp.any",
    reduce.All: "jnp.all",
}


@emit.register(reduce.Sum)
@emit.register(reduce.Mean)
@emit.register(reduce.ReduceMax)
@emit.register(reduce.ReduceMin)
@emit.register(reduce.LogSumExp)
@emit.register(reduce.ArgMax)
@emit.register(reduce.Any)
@emit.register(reduce.All)
def reduction(op: reduce.Reduction, write: Writer, x: Term) -> str | Term:
    over = tuple(sorted(x.axes.index(name) for name in op.over))
    if not over:
        return x
    places = str(over[0]) if len(over) == 1 else str(over)
    return f"{FUNCTIONS[type(op)]}({x}, axis={places})"


@emit.register
def cumulative_sum(op: reduce.CumulativeSum, write: Writer, x: Term) -> str:
    return f"jnp.cumsum({x}, axis={x.axes.index(op.axis)})"


@emit.register
def argsort(op: reduce.ArgSort, write: Writer, x: Term) -> str:
    return f"jnp.argsort({x}, axis={x.axes.index(op.axis)}, stable=True)"
