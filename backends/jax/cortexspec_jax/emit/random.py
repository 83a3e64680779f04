"""Draws in JAX: each is one call of a helper that the program carries with it."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.ops import random
from cortexspec_jax.emit.base import emit, in_layout, spread

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
    """The axes of the keys (the trial's sample axis) come first, then the elements in the order that counts them."""
    (result,) = op.rule(*(term.type for term in operands))
    keys = operands[op.arguments :]
    names = {name for key in keys for name in key.axes}
    outer = [name for name in write.axes(result) if name in names]
    axes = [*outer, *(axis.name for axis in op.axes)]
    high, low = random.site_words(op.site)
    shape = ", ".join(write.size(axis.size) for axis in op.axes) + ("," if len(op.axes) == 1 else "")
    given = [f"(0x{high:08x}, 0x{low:08x})", f"({shape})", *(spread(write.array(key), outer) for key in keys)]
    if op.name != "random.bits" and op.name != "random.bernoulli" and op.name != "random.permutation":
        given.append("dtype=FLOAT")
    given += [
        f"{name}={spread(write.array(x), axes)}" for name, x in zip(NAMES.get(type(op), ()), operands, strict=False)
    ]
    return in_layout(write, f"{write.helper(SITES[type(op)])}({', '.join(given)})", axes)
