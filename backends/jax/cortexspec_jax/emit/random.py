"""Draws in JAX: each is one call of a helper that the program carries with it."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.ops import random
from cortexspec_jax.emit.base import emit, spread

NAMES: dict[type[Op], tuple[str, ...]] = {random.Bernoulli: ("p",), random.Poisson: ("mean",)}

SITES = {
    random.Bits: "draw_bits",
    random.Uniform: "draw_uniform",
    random.Normal: "draw_normal",
    random.Bernoulli: "draw_bernoulli",
    random.Poisson: "draw_poisson",
    random.Permutation: "draw_permutation",
}


@emit.register(random.Bits)
@emit.register(random.Uniform)
@emit.register(random.Normal)
@emit.register(random.Bernoulli)
@emit.register(random.Poisson)
@emit.register(random.Permutation)
def draw(op: random.Draw, write: Writer, *operands: Term) -> str | Term:
    """Keys and elements have the places that their axes have in the result: nothing is made in another order and turned."""
    (result,) = op.rule(*(term.type for term in operands))
    keys = operands[op.arguments :]
    axes = write.axes(result)
    high, low = random.site_words(op.site)
    places = "".join(f"({write.size(axis.size)}, {axes.index(axis.name)}), " for axis in op.axes)
    given = [f"(0x{high:08x}, 0x{low:08x})", f"counted({places}rank={len(axes)})"]
    given += [spread(write.array(key), axes) if key.axes else write.array(key) for key in keys]
    if isinstance(op, random.Permutation):
        given.append(f"axis={axes.index(op.axes[0].name)}")
    elif not isinstance(op, (random.Bits, random.Bernoulli)):
        given.append("dtype=FLOAT")
    given += [
        f"{name}={spread(write.array(x), axes)}" for name, x in zip(NAMES.get(type(op), ()), operands, strict=False)
    ]
    write.helper("counted")
    return f"{write.helper(SITES[type(op)])}({', '.join(given)})"


@emit.register
def word(op: random.Word, write: Writer, p: Term, *keys: Term) -> str | Term:
    (result,) = op.rule(p.type, *(key.type for key in keys))
    (own,) = op.axes
    axes = write.axes(result)
    high, low = random.site_words(op.site)
    given = [f"(0x{high:08x}, 0x{low:08x})", str(write.size(own.size))]
    given += [spread(write.array(key), axes) if key.axes else str(write.array(key)) for key in keys]
    rows = spread(write.array(p), (own.name, *axes))
    return f"{write.helper('draw_word')}({', '.join(given)}, p={rows})"
