"""Elementwise operations in JAX. Python's operators where they mean the same."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.ops import arith
from cortexspec_jax.emit.base import emit

OPERATORS: dict[type[Op], str] = {
    arith.Add: "+",
    arith.Sub: "-",
    arith.Mul: "*",
    arith.Div: "/",
    arith.FloorDiv: "//",
    arith.Lt: "<",
    arith.Le: "<=",
    arith.Gt: ">",
    arith.Ge: ">=",
    arith.Eq: "==",
    arith.Ne: "!=",
    arith.And: "&",
    arith.Or: "|",
}
FUNCTIONS: dict[type[Op], str] = {
    arith.Relu: "jax.nn.relu",
    arith.Sign: "jnp.sign",
    arith.Sqrt: "jnp.sqrt",
    arith.Exp: "jnp.exp",
    arith.Expm1: "jnp.expm1",
    arith.Log: "jnp.log",
    arith.Log1p: "jnp.log1p",
    arith.Tanh: "jnp.tanh",
    arith.Sigmoid: "jax.nn.sigmoid",
    arith.Softplus: "jax.nn.softplus",
    arith.Sin: "jnp.sin",
    arith.Cos: "jnp.cos",
    arith.Floor: "jnp.floor",
    arith.Ceil: "jnp.ceil",
    arith.Round: "jnp.round",
}


def _operator(sign: str):
    def write_operator(op: Op, write: Writer, a: Term, b: Term) -> str | Term:
        number = write.literals(sign, a, b) if sign in "+-*/" and write.results[0].type.dtype == "float" else None
        if number is not None:
            return number
        left, right = write.aligned(a, b)
        return f"{left} {sign} {right}"

    return write_operator


def _function(name: str):
    def write_function(op: Op, write: Writer, x: Term) -> str:
        return f"{name}({write.array(x)})"

    return write_function


for kind, sign in OPERATORS.items():
    emit.register(kind, _operator(sign))
for kind, name in FUNCTIONS.items():
    emit.register(kind, _function(name))


@emit.register
def neg(op: arith.Neg, write: Writer, x: Term) -> str:
    return f"-{write.array(x)}"


@emit.register
def absolute(op: arith.Abs, write: Writer, x: Term) -> str:
    # The slope of jnp.abs at 0 is 1.
    x = write.array(x)
    return f"{x} * jnp.sign({x})"


@emit.register(arith.Not)
def invert(op: arith.Not, write: Writer, x: Term) -> str:
    return f"~{write.array(x)}"


@emit.register
def mod(op: arith.Mod, write: Writer, a: Term, b: Term) -> str:
    a_text, b_text = write.aligned(a, b)
    return f"jnp.mod({a_text}, {b_text})"


@emit.register(arith.Min)
@emit.register(arith.Max)
def extreme(op: arith.Min | arith.Max, write: Writer, a: Term, b: Term) -> str:
    a_text, b_text = write.aligned(a, b)
    return f"jnp.{'minimum' if isinstance(op, arith.Min) else 'maximum'}({a_text}, {b_text})"


@emit.register
def pow(op: arith.Pow, write: Writer, x: Term) -> str:
    x = write.array(x)
    match op.exponent:
        case 2:
            return f"jnp.square({x})"
        case -1:
            return f"1.0 / {x}"
        case 0.5:
            return f"jnp.sqrt({x})"
        case _:
            whole = float(op.exponent).is_integer()
            return f"{x} ** {int(op.exponent) if whole else op.exponent!r}"


@emit.register
def power(op: arith.Power, write: Writer, a: Term, b: Term) -> str:
    a_text, b_text = write.aligned(write.array(a), write.array(b))
    return f"{write.helper('power')}({a_text}, {b_text})"


@emit.register
def where(op: arith.Where, write: Writer, condition: Term, a: Term, b: Term) -> str:
    if a.literal and b.literal:
        a = write.array(a)
    return f"jnp.where({', '.join(write.aligned(write.array(condition), a, b))})"


@emit.register
def cast(op: arith.Cast, write: Writer, x: Term) -> str:
    x = write.array(x)
    match op.dtype:
        case "float":
            return f"{x}.astype(FLOAT)"
        case "int":
            return f"{x}.astype(int)"
        case "bool":
            return f"{x} != 0"
        case "bits":
            return f"{x}.astype(jnp.uint32)"
