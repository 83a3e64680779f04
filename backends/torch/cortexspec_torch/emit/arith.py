"""Elementwise operations in torch. Python's operators where they mean the same."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.op import Op
from cortexspec.ir.ops import arith
from cortexspec_torch.emit.base import emit, numbers_ahead

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
    arith.Abs: "torch.abs",
    arith.Relu: "torch.relu",
    arith.Sign: "torch.sign",
    arith.Sqrt: "torch.sqrt",
    arith.Exp: "torch.exp",
    arith.Expm1: "torch.expm1",
    arith.Log: "torch.log",
    arith.Log1p: "torch.log1p",
    arith.Tanh: "torch.tanh",
    arith.Sigmoid: "torch.sigmoid",
    arith.Sin: "torch.sin",
    arith.Cos: "torch.cos",
    arith.Floor: "torch.floor",
    arith.Ceil: "torch.ceil",
    arith.Round: "torch.round",
}


def _operator(sign: str):
    def write_operator(op: Op, write: Writer, a: Term, b: Term) -> str | Term:
        number = write.literals(sign, a, b) if sign in "+-*/" and write.results[0].type.dtype == "float" else None
        if number is not None:
            return number
        left, right = write.aligned(*numbers_ahead(write, a, b))
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


@emit.register(arith.Not)
def invert(op: arith.Not, write: Writer, x: Term) -> str:
    return f"~{write.array(x)}"


@emit.register
def softplus(op: arith.Softplus, write: Writer, x: Term) -> str:
    # torch's threshold of 20 would drop 2e-9, which float64 shows.
    return f"torch.nn.functional.softplus({write.array(x)}, threshold=40)"


@emit.register
def mod(op: arith.Mod, write: Writer, a: Term, b: Term) -> str:
    a_text, b_text = write.aligned(write.array(a), b)
    return f"torch.remainder({a_text}, {b_text})"


@emit.register(arith.Min)
@emit.register(arith.Max)
def extreme(op: arith.Min | arith.Max, write: Writer, a: Term, b: Term) -> str:
    # Not clamp: at a tie each operand gets one half of the cotangent.
    a_text, b_text = write.aligned(write.array(a), write.array(b))
    return f"torch.{'minimum' if isinstance(op, arith.Min) else 'maximum'}({a_text}, {b_text})"


@emit.register
def pow(op: arith.Pow, write: Writer, x: Term) -> str:
    x = write.array(x)
    match op.exponent:
        case 2:
            return f"torch.square({x})"
        case -1:
            return f"torch.reciprocal({x})"
        case 0.5:
            return f"torch.sqrt({x})"
        case _:
            return f"torch.pow({x}, {op.exponent!r})"


@emit.register
def power(op: arith.Power, write: Writer, a: Term, b: Term) -> str:
    a_text, b_text = write.aligned(write.array(a), write.array(b))
    return f"{write.helper('power')}({a_text}, {b_text})"


@emit.register
def where(op: arith.Where, write: Writer, condition: Term, a: Term, b: Term) -> str:
    a, b = numbers_ahead(write, a, b)
    if a.literal and b.literal:
        a = write.array(a)
    return f"torch.where({', '.join(write.aligned(write.array(condition), a, b))})"


@emit.register
def cast(op: arith.Cast, write: Writer, x: Term) -> str:
    x = write.array(x)
    match op.dtype:
        case "float":
            return f"{x}.to(FLOAT)"
        case "int":
            return f"{x}.to(torch.int64)"
        case "bool":
            return f"{x} != 0"
        case "bits":
            return f"{x}.to(torch.int64) & 0xFFFFFFFF"
