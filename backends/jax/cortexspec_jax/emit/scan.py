"""The loop in JAX: `lax.scan` over a function of its own."""

from __future__ import annotations

from cortexspec.contracts.program import Block, Term, Writer, identifier, margin
from cortexspec.ir.ops.scan import Scan
from cortexspec_jax.emit.base import dtype, emit


@emit.register
def scan(op: Scan, write: Writer, *operands: Term) -> None:
    """Consts are read from around the step function. Sums are carries that start at zero.

    `save = "carry"`: under JAX's own gradient the step is run anew in the reverse pass (`jax.checkpoint`).
    """
    results, outer, before = write.results, write.block, dict(write.terms)
    consts, carry, xs = op.split(operands)
    inputs = op.split(op.body.inputs)
    step = write.names.fresh(identifier(f"{op.over.name}_step"))
    carry_name, frame_name = write.names.fresh("carry"), write.names.fresh("frame")
    summed = results[op.carry + op.stack :]
    start = [str(write.array(term)) for term in carry] + [
        f"jnp.zeros({write.shape(value.type)}, dtype={dtype(value.type)})" for value in summed
    ]
    frames = [_front(term, term.axes.index(op.over.name)) for term in xs]

    write.block = inner = Block(outer.depth + 1)
    for value, term in zip(inputs[0], consts, strict=True):
        write.bind(value, write.same(term, value.type))
    carried = [write.declare(value) for value in inputs[1]]
    sums = [write.names.fresh(f"{identifier(value.name)}_sum") for value in op.body.outputs[op.carry + op.stack :]]
    read = [write.declare(value) for value in inputs[2]]
    if carried or sums:
        inner.add(f"{_tuple([*carried, *sums])} = {carry_name}", _margins(carried))
    if read:
        inner.add(f"{_tuple(read)} = {frame_name}", _margins(read))
    write.lines(op.body.body)
    outputs = [write.array(write.term(value)) for value in op.body.outputs]
    added = [f"{name} + {term}" for name, term in zip(sums, outputs[op.carry + op.stack :], strict=True)]
    inner.add(f"return ({_tuple([*outputs[: op.carry], *added])}), ({_tuple(outputs[op.carry : op.carry + op.stack])})")
    write.block, write.terms = outer, before

    if op.save == "carry":
        outer.add("@jax.checkpoint")
    outer.add(f"def {step}({carry_name}, {frame_name}):")
    outer.lines += inner.lines
    last = op.carry + op.stack
    stacked = [write.names.fresh(f"{identifier(value.name)}_stack") for value in op.body.outputs[op.carry : last]]
    names = [*(write.names.fresh(f"{name}_end") for name in carried), *stacked]
    names += [write.names.fresh(f"{identifier(value.name)}_sum") for value in op.body.outputs[last:]]
    left = [*names[: op.carry], *names[last:]]
    options = f", length={write.size(op.over.size)}" + (", reverse=True" if op.reverse else "")
    given = f"({_tuple(left)}), ({_tuple(stacked)})" if left or stacked else "_"
    outer.add(f"{given} = lax.scan({step}, ({_tuple(start)}), ({_tuple(frames)}){options})", op.over.name)
    for value, name in zip(results, names, strict=True):
        term = Term.of(name, value.type, write.axes(value.type), outer)
        if name in stacked and (place := term.axes.index(op.over.name)) != 0:
            outer.add(f"{name} = jnp.moveaxis({name}, 0, {place})", margin(value.type, term.axes))
        write.bind(value, term)


def _front(term: Term, place: int) -> str:
    return str(term) if place == 0 else f"jnp.moveaxis({term}, {place}, 0)"


def _tuple(texts: list[str] | list[Term]) -> str:
    return ", ".join(texts) + ("," if len(texts) == 1 else "")


def _margins(terms: list[Term]) -> str:
    return "; ".join(margin(term.type, term.axes) for term in terms)
