"""Taking axes away, running sums and the order of elements in torch."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.ops import reduce
from cortexspec_torch.emit.base import emit

FUNCTIONS: dict[type[Op], str] = {
    reduce.Sum: "torch.sum",
    reduce.Mean: "torch.mean",
    reduce.ReduceMax: "torch.amax",
    reduce.ReduceMin: "torch.amin",
    reduce.LogSumExp: "torch.logsumexp",
    reduce.ArgMax: "torch.argmax",
    reduce.Any: "torch.any",
    reduce.All: "torch.all",
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
    return f"{FUNCTIONS[type(op)]}({x}, dim={places})"


@emit.register
def cumulative_sum(op: reduce.CumulativeSum, write: Writer, x: Term) -> str:
    return f"torch.cumsum({x}, dim={x.axes.index(op.axis)})"


@emit.register
def argsort(op: reduce.ArgSort, write: Writer, x: Term) -> str:
    return f"torch.argsort({x}, dim={x.axes.index(op.axis)}, stable=True)"
