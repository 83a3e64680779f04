"""One or more cases an operation: what a backend's lowerings are compared on. A new operation without a case fails the suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.inline import inline
from cortexspec.ir.module import Function, Layout, Module, Value
from cortexspec.ir.op import Array, Op
from cortexspec.ir.ops import arith, constant, events, indexing, linear, random, recurrence, reduce, shape, spike
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.units import DIMENSIONLESS, unit_of

A, B, C = Axis("a", Size.of(3)), Axis("b", Size.of(4)), Axis("c", Size.of(2))
A2, B2, AB = Axis("a2", Size.of(3)), Axis("b2", Size.of(4)), Axis("ab", Size.of(12))
SAMPLE = Axis("sample", Size.symbol("sample"), "sample")
HEIGHT, WIDTH, CHANNEL, OUT = (
    Axis("height", Size.of(5)),
    Axis("width", Size.of(6)),
    Axis("channel", Size.of(2)),
    Axis("out", Size.of(4)),
)
KH, KW = Axis("kh", Size.of(3)), Axis("kw", Size.of(5))
LAYOUTS = (
    Layout(("sample", "a", "a2", "b", "b2", "ab", "c", "out", "channel", "height", "width", "kh", "kw", "p", "q")),
    Layout(("q", "p", "kw", "kh", "channel", "height", "width", "out", "c", "b2", "b", "ab", "a2", "a", "sample")),
)
SIZES = {"sample": 2}
VOLTS = unit_of("mV")


@dataclass(frozen=True)
class Case:
    """An operation with operand types and arrays; `arrays` have their axes sorted by name. `slope`: gradients are compared."""

    op: Op
    types: tuple[Type, ...]
    arrays: tuple[Array, ...]
    slope: bool = True
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.op.name}{'-' + self.note if self.note else ''}"


@dataclass(frozen=True)
class Trial:
    """A case as a module of two functions over the inputs x0, x1, ...: `value` gives the results and the scalar `loss`;
    `pullback` gives the cotangents of `loss` by the float operands, from the operation's own pullback."""

    module: Module
    inputs: Mapping[str, Array] = field(default_factory=dict[str, Array])
    wrt: tuple[str, ...] = ()


def trial(case: Case, layout: Layout) -> Trial:
    """Loss: the sum of each float result times fixed weights."""
    values = tuple(Value(f"x{i}", type_) for i, type_ in enumerate(case.types))
    inputs = {
        value.name: array.transpose([sorted(value.type.names).index(n) for n in layout.sort(value.type.names)])
        for value, array in zip(values, case.arrays, strict=True)
    }
    build = Builder()
    for value in values:
        build.names.take_value(value)
    results = build.emit(case.op, *values)
    cotangents = [_weights(build, result) for result in results]
    outputs = list(results)
    names = [f"y{i}" for i in range(len(results))]
    flowing = [(r, w) for r, w in zip(results, cotangents, strict=True) if w is not None]
    wrt = tuple(v.name for v in values if v.type.dtype == "float") if case.slope and flowing else ()
    functions: dict[str, Function] = {}
    if wrt:
        terms = [build.one(reduce.Sum(_names(r)), build.one(arith.Mul(), r, w)) for r, w in flowing]
        loss = terms[0]
        for term in terms[1:]:
            loss = build.one(arith.Add(), loss, term)
        functions["value"] = build.function("value", values, [*outputs, loss], [*names, "loss"])
        back = Builder()
        for value in values:
            back.names.take_value(value)
        again = back.emit(case.op, *values)
        flows = case.op.pullback(back, [_weights(back, r) for r in again], values, again)
        kept = [(f"d{v.name}", flow) for v, flow in zip(values, flows, strict=True) if flow is not None]
        functions["pullback"] = back.function("pullback", values, [f for _, f in kept], [n for n, _ in kept])
    else:
        functions["value"] = build.function("value", values, outputs, names)
    return Trial(Module(f"trial of {case.name}", functions=functions, layout=layout), inputs, wrt)


def joined(trials: Sequence[Trial]) -> Trial:
    """Many trials of one layout in a module of one: a compiler then runs once, not once an operation. Names get the number of
    their trial in front; the loss is the sum of theirs.
    """
    inputs: dict[str, Array] = {}
    functions: dict[str, Function] = {}
    wrt = [f"{place}.{name}" for place, one in enumerate(trials) for name in one.wrt]
    for kind in ("value", "pullback"):
        build = Builder()
        given: list[Value] = []
        results: dict[str, Value] = {}
        losses: list[Value] = []
        for place, one in enumerate(trials):
            function = one.module.functions.get(kind)
            if function is None:
                continue
            own = {value.name: Value(f"{place}.{value.name}", value.type) for value in function.inputs}
            for value in own.values():
                build.names.take_value(value)
            given += own.values()
            inputs |= {own[name].name: array for name, array in one.inputs.items()}
            found = inline(build, function, own)
            losses += [found["loss"]] if "loss" in found else []
            results |= {_numbered(name, place): value for name, value in found.items() if name != "loss"}
        if kind == "value" and losses:
            total = losses[0]
            for loss in losses[1:]:
                total = build.one(arith.Add(), total, loss)
            results["loss"] = total
        if results:
            functions[kind] = build.function(kind, given, list(results.values()), list(results))
    layout = trials[0].module.layout
    return Trial(Module(f"{len(trials)} operations", functions=functions, layout=layout), inputs, tuple(wrt))


def _numbered(name: str, place: int) -> str:
    """`dx0` is the cotangent of `x0`, and keeps its `d` in front."""
    return f"d{place}.{name[1:]}" if name.startswith("d") else f"{place}.{name}"


def _names(value: Value) -> tuple[str, ...]:
    return tuple(axis.name for axis in value.type.axes)


def _weights(build: Builder, result: Value) -> Value | None:
    """A number for each element that tells it from its neighbours, by sines of the places."""
    if result.type.dtype != "float":
        return None
    weight = build.one(constant.Const(1.0))
    for i, axis in enumerate(result.type.axes):
        place = build.one(arith.Cast("float"), build.one(constant.Iota(axis)))
        angle = build.one(arith.Add(), place, build.one(constant.Const(0.7 + i)))
        weight = build.one(arith.Mul(), weight, build.one(arith.Sin(), angle))
    return weight


def floats(type_: Type, low: float = -2.0, high: float = 2.0, seed: int = 0) -> Array:
    shape_ = [axis.size.evaluate(SIZES) for axis in type_.axes]
    return np.random.default_rng([seed, len(shape_)]).uniform(low, high, shape_)


def integers(type_: Type, high: int, seed: int = 0) -> Array:
    shape_ = [axis.size.evaluate(SIZES) for axis in type_.axes]
    return np.random.default_rng([seed, 7]).integers(0, high, shape_)


def _float(*axes: Axis) -> Type:
    return Type(axes)


def _elementwise() -> list[Case]:
    x, y = _float(A, SAMPLE), _float(B, SAMPLE)
    cases: list[Case] = []
    for kind in (arith.Add, arith.Sub, arith.Mul, arith.Div, arith.Mod, arith.Min, arith.Max):
        arrays = (floats(x, 0.5, 5), floats(y, 0.5, 2, 1))
        cases.append(Case(kind(), (x, y), arrays))
        cases.append(Case(kind(), (Type(), y), (np.array(1.3), floats(y, 0.5, 2, 1)), note="scalar"))
    for kind in (arith.Min, arith.Max):
        same = floats(x)
        cases.append(Case(kind(), (x, x), (same, same.copy()), note="tie"))
    for kind in (arith.Neg, arith.Abs, arith.Relu, arith.Sign, arith.Exp, arith.Expm1, arith.Tanh, arith.Sigmoid):
        cases.append(Case(kind(), (x,), (floats(x),)))
    for kind in (arith.Softplus, arith.Sin, arith.Cos, arith.Floor, arith.Ceil, arith.Round):
        cases.append(Case(kind(), (x,), (floats(x),)))
    far = np.array([[-700.0, -40.0], [-1e-9, 30.0], [39.0, 600.0]])
    cases += [Case(kind(), (x,), (far,), note="far") for kind in (arith.Sigmoid, arith.Softplus, arith.Tanh)]
    zero = np.array([[-1.0, 0.0], [0.0, 2.0], [0.5, -0.5]])
    cases += [Case(kind(), (x,), (zero,), note="zero") for kind in (arith.Relu, arith.Abs, arith.Sign)]
    halves = np.array([[-1.5, 0.5], [1.5, 2.5], [3.5, -0.5]])
    cases.append(Case(arith.Round(), (x,), (halves,), note="halves"))
    for kind in (arith.Sqrt, arith.Log, arith.Log1p):
        cases.append(Case(kind(), (x,), (floats(x, 0.1, 3),)))
    for exponent in (2, 3, -1, 0.5, 1.7, -2):
        cases.append(Case(arith.Pow(exponent), (x,), (floats(x, 0.2, 2),), note=str(exponent)))
    cases.append(Case(arith.Pow(3), (x,), (floats(x),), note="negative"))
    base = floats(x, 0.2, 2)
    base[0] = -1.5
    cases.append(Case(arith.Power(), (x, _float(SAMPLE)), (base, np.array([2.0, 3.0]))))
    for kind in (arith.Lt, arith.Le, arith.Gt, arith.Ge, arith.Eq, arith.Ne):
        a, b = np.round(floats(x)), np.round(floats(y, seed=1))
        cases.append(Case(kind(), (x, y), (a, b), slope=False))
    whole, other = Type((A, SAMPLE), "int"), Type((B, SAMPLE), "int")
    for kind in (arith.Add, arith.Mul, arith.FloorDiv, arith.Mod, arith.Lt):
        arrays = (integers(whole, 20) - 10, integers(other, 4, 1) + 1)
        cases.append(Case(kind(), (whole, other), arrays, slope=False, note="int"))
    truth, more = Type((A, SAMPLE), "bool"), Type((B, SAMPLE), "bool")
    for kind in (arith.And, arith.Or):
        cases.append(Case(kind(), (truth, more), (integers(truth, 2) > 0, integers(more, 2, 1) > 0), slope=False))
    cases.append(Case(arith.Not(), (truth,), (integers(truth, 2) > 0,), slope=False))
    cases.append(Case(arith.Where(), (truth, x, y), (integers(truth, 2) > 0, floats(x), floats(y, seed=1))))
    cases.append(Case(arith.Cast("int"), (x,), (floats(x, -5, 5),), slope=False))
    cases.append(Case(arith.Cast("float"), (truth,), (integers(truth, 2) > 0,), slope=False, note="bool"))
    cases.append(Case(arith.Cast("float"), (whole,), (integers(whole, 9),), slope=False, note="int"))
    cases.append(Case(arith.Cast("float"), (x,), (floats(x),), note="float"))
    return cases


def _constants() -> list[Case]:
    anchor = _float(SAMPLE)
    values = tuple(float(i) / 3 for i in range(12))
    cases = [
        Case(constant.Const(1.25), (), ()),
        Case(constant.Const(3, "int"), (), (), note="int"),
        Case(constant.Const(True, "bool"), (), (), note="bool"),
        Case(constant.Const(-0.5), (), (), note="negative"),
        Case(constant.Table(values, (B, A)), (), ()),
        Case(constant.Iota(B), (), ()),
        Case(constant.Identity(A, A2), (), ()),
        Case(constant.SizeOf(A), (), ()),
        Case(shape.Expand((A, B)), (anchor,), (floats(anchor),)),
        Case(shape.Expand((A, SAMPLE)), (_float(B),), (floats(_float(B)),), note="sample"),
    ]
    return [case for case in cases if "sample" not in case.note]


def _shapes() -> list[Case]:
    x = _float(A, B, SAMPLE)
    wide, square = _float(AB, SAMPLE), _float(A, A2, SAMPLE)
    part, seven = Axis("p", Size.of(2)), Axis("q", Size.of(7))
    other = _float(C, A, SAMPLE)
    one = floats
    return [
        Case(shape.Rename((("a", "a2"),)), (x,), (one(x),)),
        Case(shape.Rename((("a", "b"), ("b", "a"))), (x,), (one(x),), note="swap"),
        Case(shape.Merge(("a", "b"), AB), (x,), (one(x),)),
        Case(shape.Merge(("b", "a"), AB), (x,), (one(x),), note="turned"),
        Case(shape.Split("ab", (A, B)), (wide,), (one(wide),)),
        Case(shape.Split("ab", (B, A)), (wide,), (one(wide),), note="turned"),
        Case(shape.Concat(("b", "c"), Axis("q", Size.of(6))), (x, other), (one(x), one(other, seed=1))),
        Case(shape.Slice("b", Size.of(1), Size.of(3), part), (x,), (one(x),)),
        Case(shape.Pad("b", Size.of(1), Size.of(2), seven), (x,), (one(x),)),
        Case(shape.Index("b", Size.of(2)), (x,), (one(x),)),
        Case(shape.Diagonal("a", "a2", Axis("p", Size.of(3))), (square,), (one(square),)),
        Case(shape.Flip("b"), (x,), (one(x),)),
        Case(shape.InUnit(VOLTS), (x,), (one(x),)),
    ]


def _reductions() -> list[Case]:
    x, whole, truth = _float(A, B, SAMPLE), Type((A, B, SAMPLE), "int"), Type((A, B, SAMPLE), "bool")
    cases: list[Case] = []
    for kind in (reduce.Sum, reduce.Mean, reduce.ReduceMax, reduce.ReduceMin, reduce.LogSumExp):
        for over in (("b",), ("a", "sample"), ("a", "b", "sample")):
            cases.append(Case(kind(over), (x,), (floats(x),), note="".join(over)))
    ties = np.round(floats(x))
    for kind in (reduce.ReduceMax, reduce.ReduceMin):
        cases.append(Case(kind(("a", "b")), (x,), (ties,), note="ties"))
    cases.append(Case(reduce.Sum(("b",)), (whole,), (integers(whole, 9),), slope=False, note="int"))
    cases.append(Case(reduce.ArgMax(("b",)), (x,), (ties,), slope=False))
    for kind in (reduce.Any, reduce.All):
        cases.append(Case(kind(("b", "sample")), (truth,), (integers(truth, 2) > 0,), slope=False))
    cases.append(Case(reduce.CumulativeSum("b"), (x,), (floats(x),)))
    cases.append(Case(reduce.ArgSort("b"), (x,), (ties,), slope=False))
    cases.append(Case(reduce.ArgSort("a"), (whole,), (integers(whole, 3),), slope=False, note="int"))
    return cases


def _linear() -> list[Case]:
    matrix, vector, block = _float(A, B), _float(B, SAMPLE), _float(A, B, SAMPLE)
    both = _float(A, C, SAMPLE)
    operand_pairs: Sequence[tuple[Type, Type, tuple[str, ...]]] = (
        (matrix, vector, ("b",)),
        (vector, matrix, ("b",)),
        (vector, _float(B), ("b",)),
        (_float(B), _float(B), ("b",)),
        (block, both, ("a",)),
        (block, both, ("a", "sample")),
        (block, block, ("a", "b")),
        (matrix, _float(C), ()),
        (_float(A), block, ("a",)),
        (_float(A, B, C), _float(B, C, SAMPLE), ("b", "c")),
        (_float(A, B, C), _float(A, C, SAMPLE), ("c",)),
        (matrix, _float(), ()),
    )
    cases = [
        Case(linear.Contract(over), (a, b), (floats(a), floats(b, seed=1)), note=f"{i}")
        for i, (a, b, over) in enumerate(operand_pairs)
    ]
    image, kernel = _float(CHANNEL, HEIGHT, WIDTH, SAMPLE), _float(OUT, CHANNEL, KH, KW)
    bare, many = _float(CHANNEL, HEIGHT, WIDTH), _float(CHANNEL, HEIGHT, WIDTH, SAMPLE, A)
    z, per_channel = _float(OUT, HEIGHT, WIDTH, SAMPLE), _float(CHANNEL, KH, KW)
    conv = linear.Conv2d("channel", "height", "width", "out", "kh", "kw")
    deep = linear.DepthwiseConv2d("channel", "height", "width", "kh", "kw")
    for note, x in (("", image), ("bare", bare), ("many", many)):
        cases.append(Case(conv, (x, kernel), (floats(x), floats(kernel, seed=1)), note=note))
        cases.append(Case(deep, (x, per_channel), (floats(x), floats(per_channel, seed=1)), note=note))
    weight = linear.Conv2dKernel("channel", "height", "width", "out", KH, KW)
    cases.append(Case(weight, (image, z), (floats(image), floats(z, seed=1))))
    weight = linear.DepthwiseConv2dKernel("channel", "height", "width", KH, KW)
    cases.append(Case(weight, (image, image), (floats(image), floats(image, seed=1))))
    p, q = Axis("p", Size.of(3)), Axis("q", Size.of(4))
    cases.append(Case(linear.PoolMatrix(HEIGHT, p), (), ()))
    for note, x in (("", image), ("bare", _float(HEIGHT, WIDTH)), ("many", many)):
        cases.append(Case(linear.AdaptiveAveragePool2d("height", "width", p, q), (x,), (floats(x),), note=note))
    p, q = Axis("p", Size.of(5)), Axis("q", Size.of(3))
    cases.append(Case(linear.AdaptiveAveragePool2d("height", "width", p, q), (image,), (floats(image),), note="even"))
    square = _float(A, A2)
    cases.append(Case(linear.Expm("a", "a2"), (square,), (floats(square),)))
    batch = _float(A, A2, SAMPLE)
    cases.append(Case(linear.Expm("a2", "a"), (batch,), (floats(batch),), note="batch"))
    for note, x, factor in (("", square, 1.0), ("large", square, 9.0), ("batch", batch, 1.0)):
        case = Case(linear.ExpmFrechet("a", "a2"), (x, batch), (factor * floats(x), floats(batch, seed=1)), note=note)
        cases.append(case)
    cases.append(Case(linear.Expm("a", "a2"), (square,), (9.0 * floats(square),), note="large"))
    firm = floats(square) + 4 * np.eye(3)
    right = _float(A, SAMPLE)
    cases.append(Case(linear.Solve("a", "a2"), (square, right), (firm, floats(right))))
    cases.append(Case(linear.Solve("a2", "a"), (square, _float(A2)), (firm, floats(_float(A2))), note="turned"))
    return cases


def _recurrences() -> list[Case]:
    steps, before, after = Axis("time", Size.of(5)), Axis("b", Size.of(4)), Axis("b2", Size.of(4))
    z, matrix = _float(before, SAMPLE), _float(before, after)
    arrays = (floats(z), 0.5 * floats(matrix, seed=1))

    def of(*curved: tuple[str, int, int]) -> recurrence.Recurrence:
        names = tuple(name for name, _, _ in curved)
        starts, stops = (tuple(Size.of(entry[i]) for entry in curved) for i in (1, 2))
        return recurrence.Recurrence(steps, "b2", "b", names, starts, stops)

    forward = of(("tanh", 1, 2), ("sigmoid", 2, 3))
    kinds = (("", forward), ("linear", of()), ("exp", of(("exp", 3, 4))))
    cases = [Case(kind, (z, matrix), arrays, note=note) for note, kind in kinds]
    shifts = (("rows", _float(after)), ("samples", _float(after, SAMPLE)))
    for note, shift in shifts:
        cases.append(Case(forward, (z, matrix, shift), (*arrays, floats(shift, seed=2)), note=note))
    none_at_all = replace(forward, over=Axis("time", Size.of(0)))
    cases.append(Case(none_at_all, (z, matrix), arrays, note="no step"))
    stack = _float(before, SAMPLE, steps)
    states = (floats(z), floats(stack, seed=3), floats(stack, seed=4), arrays[1])
    for given in ((True, True, True), (True, False, False), (False, False, True)):
        flows = [x for x, has in zip((z, stack, stack), given, strict=True) if has]
        for shift in ("none", "rows", "samples") if given == (True, True, True) else ("none",):
            backward = recurrence.RecurrenceBackward(**forward.attributes(), given=given, shift=shift)
            drawn = [floats(x, seed=5 + i) for i, x in enumerate(flows)]
            note = f"{shift} {sum(given)}{'' if given[0] else ' later'}"
            cases.append(Case(backward, (z, stack, stack, matrix, *flows), (*states, *drawn), slope=False, note=note))
    return cases


def _indexing() -> list[Case]:
    x = _float(A, B, SAMPLE)
    places: Sequence[tuple[str, Type]] = (
        ("", Type((C,), "int")),
        ("none", Type((), "int")),
        ("two", Type((C, A2), "int")),
        ("shared", Type((SAMPLE,), "int")),
        ("shared-more", Type((A, C), "int")),
        ("same-name", Type((B,), "int")),
    )
    cases = [
        Case(indexing.Gather("b"), (x, index), (floats(x), integers(index, 4)), note=note) for note, index in places
    ]
    p = Axis("p", Size.of(5))
    values = _float(A, C, SAMPLE)
    scatters: Sequence[tuple[str, Type, Type, tuple[str, ...]]] = (
        ("", values, Type((C,), "int"), ("c",)),
        ("two", values, Type((C, A), "int"), ("a", "c")),
        ("none", values, Type((), "int"), ()),
        ("shared", values, Type((C, SAMPLE), "int"), ("c",)),
        ("places", values, Type((SAMPLE,), "int"), ()),
        ("spread", _float(C), Type((C, A), "int"), ("c",)),
    )
    for note, given, index, over in scatters:
        cases.append(Case(indexing.ScatterAdd(p, over), (given, index), (floats(given), integers(index, 5)), note=note))
    for axis in x.axes:
        row, index = x.with_axes(x.without([axis.name])), Type((), "int")
        arrays = (floats(x), floats(row, seed=1), integers(index, 2))
        cases.append(Case(indexing.Put(axis.name), (x, row, index), arrays, note=axis.name))
    return cases


def _sparse_products() -> list[Case]:
    """Rows [a] with two places each [c] in x, one of them filled up with a weight of 0."""
    cases: list[Case] = []
    for note, x in (("", _float(B, SAMPLE)), ("vector", _float(B)), ("more", _float(B, KW, SAMPLE))):
        weight, index = _float(A, C), Type((A, C), "int")
        weights = floats(weight)
        weights[1, 1] = 0.0
        arrays = (weights, integers(index, 4), floats(x, seed=2))
        cases.append(Case(linear.SparseProduct("c", "b"), (weight, index, x), arrays, note=note))
    return cases


def _deliveries() -> list[Case]:
    """Four sources [b] with 3, 0, 2 and 7 connections [ab], of which the second source and the last are silent; three targets [a]."""
    row, rows = Axis("row", Size.of(5)), np.array([0, 3, 3, 5, 12])
    slot = Axis("c", Size.of(2))
    index, target = Type((AB,), "int"), np.array([0, 2, 2, 1, 1, 0, 0, 1, 1, 2, 2, 2])
    delays, now = np.arange(12) % 2, np.array(7)
    cases: list[Case] = []
    for note, rest, own, weight, delay in (
        ("", (), (), _float(), (0,)),
        ("source", (), (), _float(B), (1,)),
        ("edge", (), (), _float(AB), ()),
        ("samples", (SAMPLE,), (SAMPLE,), _float(AB), ()),
        ("shared", (SAMPLE,), (), _float(B), (1,)),
        ("more", (KW, SAMPLE), (SAMPLE,), _float(AB), (1,)),
    ):
        z, ring = _float(B, *own), _float(slot, A, *rest)
        sent = floats(z, seed=3)
        sent[[1, 3]] = 0.0
        places: tuple[tuple[Type, Array], ...] = ((Type((row,), "int"), rows), (index, target))
        when: tuple[tuple[Type, Array], ...] = ((Type((), "int"), now), *(() if delay else ((index, delays),)))
        arrived, factor = (ring, floats(ring)), (weight, floats(weight, seed=2))
        reached = floats(z, seed=4)
        reached[[0, 1]] = 0.0
        if own:
            reached[2, ..., 0] = 0.0
        asked = (*when, (z, reached))
        for op, given, more in (
            (events.Deliver("b", "c", "a", delay), ((z, sent), *places, factor, arrived, *when), ""),
            (events.Collect(B, "c", "a", delay), (*places, factor, arrived, *when), ""),
            (events.Deliver("b", "c", "a", delay), ((z, sent), *places, factor, arrived, *asked), "reached"),
            (events.Collect(B, "c", "a", delay), (*places, factor, arrived, *asked), "reached"),
            (events.PerEdge("b", "c", "a", delay), ((z, sent), *places, arrived, *when), ""),
        ):
            types, arrays = zip(*given, strict=True)
            cases.append(Case(op, types, arrays, note="-".join(filter(None, (note, more)))))
    return cases


def _draws() -> list[Case]:
    seed, trial_, step = Type((), "int"), Type((SAMPLE,), "int"), Type((), "int")
    keys = (np.array(123456), np.array([3, 8]), np.array(11))
    cases: list[Case] = []
    for kind in (random.Bits, random.Uniform, random.Normal):
        cases.append(Case(kind("net.noise#0", (B, A)), (seed,), keys[:1], slope=False))
        cases.append(Case(kind("net.noise#0", (A,), True, True), (seed, trial_, step), keys, slope=False, note="keys"))
        cases.append(Case(kind("x", ()), (seed,), (np.array(2**40 + 5),), slope=False, note="wide"))
    p = _float(A, SAMPLE)
    chance = np.array([[0.0, 1.0], [0.3, 0.9999], [1e-9, 0.5]])
    keyed = (p, seed, trial_, step)
    cases.append(Case(random.Bernoulli("b", (A, B), True, True), keyed, (chance, *keys), slope=False))
    cases.append(
        Case(random.Bernoulli("b", (A, B)), (Type(), seed), (np.array(0.25), keys[0]), slope=False, note="one")
    )
    bits = (_float(A, SAMPLE), *keyed[1:])
    cases.append(Case(random.Word("b", (A,), True, True), bits, (chance, *keys), slope=False))
    cases.append(Case(random.Word("b", (A,)), (_float(A), seed), (chance[:, 0], keys[0]), slope=False, note="alone"))
    cases.append(Case(random.Word("b", (B,)), (Type(), seed), (np.array(0.25), keys[0]), slope=False, note="one"))
    mean = np.array([[0.0, 0.1], [3.0, 20.0], [1.0, 60.0]])
    cases.append(Case(random.Poisson("q", (A, B), True, True), keyed, (mean, *keys), slope=False))
    cases.append(Case(random.Permutation("r", (B,)), (seed,), keys[:1], slope=False))
    cases.append(Case(random.Permutation("r", (B,), True), (seed, trial_), keys[:2], slope=False, note="trials"))
    return cases


def _spikes() -> list[Case]:
    """At the threshold, near it, and beyond the support of those that have one."""
    x, per_mv = _float(A, SAMPLE).with_unit(VOLTS), Type((A,), "float", DIMENSIONLESS / VOLTS)
    v = np.array([[0.5, 0.55], [0.2, 0.8], [-4.0, 0.501]])
    arrays = (v, np.array(0.5), np.array([2.0, 1.5, 3.0]))
    return [
        Case(spike.Threshold(name), (x, Type((), "float", VOLTS), per_mv), arrays, note=name)
        for name in spike.SURROGATES
    ]


def cases() -> tuple[Case, ...]:
    """All cases. Scans are in `testing.programs`."""
    return (
        *_elementwise(),
        *_constants(),
        *_shapes(),
        *_reductions(),
        *_linear(),
        *_recurrences(),
        *_indexing(),
        *_sparse_products(),
        *_deliveries(),
        *_draws(),
        *_spikes(),
    )


COVERED_ELSEWHERE: Mapping[str, str] = {
    "scan": "testing.loops",
    "linear.orthogonalize": "tests/library: part of a start value, which the interpreter draws on the host; no backend lowers it",
}
__all__: list[Any] = ["COVERED_ELSEWHERE", "LAYOUTS", "SIZES", "Case", "Trial", "cases", "joined", "trial"]
