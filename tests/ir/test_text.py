"""`.cxir` text: printing and parsing are inverse, mistakes are diagnostics, the hash is of the meaning."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexspec.diagnostics import SpecError
from cortexspec.ir.builder import Builder
from cortexspec.ir.content_hash import content_hash
from cortexspec.ir.module import Buffer, Function, Input, Layout, Line, Module, Param, State, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Mul, Pow
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.parser import parse_function, parse_module
from cortexspec.ir.printer import print_function, print_module
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.ir.verifier import check, verify, verify_function
from cortexspec.units import parse_unit

UNITS = [parse_unit(text)[0] for text in ("mV", "ms", "mV/ms", "nS", "mV^-1", "pA^2")]
UNITS += [UNITS[0] ** 0, parse_unit("mV")[0] ** 2 / parse_unit("pF")[0]]

names = st.one_of(
    st.sampled_from(["v", "V.ss.v'", "τ_m", "d:loss", "x~1", "n"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6),
)
sizes = st.one_of(
    st.integers(1, 9).map(Size.of),
    st.sampled_from(["E", "V.ss", "time"]).map(Size.symbol),
    st.just(Size.symbol("E") * Size.symbol("I") * 2 + Size.symbol("E") - 3),
    st.just(Size.symbol("time").floor_div(5) * 5),
)
axes = st.builds(Axis, names, sizes, st.sampled_from(["plain", "sample", "time", "edge"]))
types = st.builds(
    Type,
    st.lists(axes, max_size=3, unique_by=lambda axis: axis.name).map(tuple),
    st.sampled_from(["float", "int", "bool", "bits"]),
    st.sampled_from(UNITS),
)
values = st.builds(Value, names, types)


@st.composite
def functions(draw, depth=1):
    """Any well-formed program: lines that some op accepts, loops among them."""
    build = Builder()
    inputs = draw(st.lists(values, max_size=4, unique_by=lambda value: value.name))
    for value in inputs:
        build.names.take_value(value)
    pool = list(inputs)
    for _ in range(draw(st.integers(0, 6))):
        pool += _some_line(draw, build, pool, depth)
    outputs = draw(st.lists(st.sampled_from(pool), max_size=3)) if pool else []
    outer = draw(st.lists(names, min_size=len(outputs), max_size=len(outputs), unique=True))
    return build.function(draw(names), inputs, outputs, outer)


def _some_line(draw, build, pool, depth):
    kind = draw(st.sampled_from(["const", "unary", "binary", "table", "expand", "draw", "scan"]))
    try:
        match kind:
            case "const":
                number = draw(st.one_of(st.floats(), st.just(0.1)))
                return [write.const(build, number, draw(st.sampled_from(UNITS)))]
            case "table":
                along = draw(axes)
                return [write.table(build, [1.0, 2.5], [replace(along, size=Size.of(2))])]
            case "draw":
                site = draw(names)
                return [write.uniform(build, site, [], write.integer(build, 3), step=write.integer(build, -1))]
            case "scan":
                return _some_scan(draw, build, pool) if depth and pool else []
            case _ if not pool:
                return []
            case "unary":
                writer = draw(st.sampled_from([write.neg, write.exp, write.not_, write.sqrt]))
                return [writer(build, draw(st.sampled_from(pool)))]
            case "binary":
                writer = draw(st.sampled_from([write.mul, write.add, write.lt, write.div]))
                return [writer(build, draw(st.sampled_from(pool)), draw(st.sampled_from(pool)))]
            case _:
                return [write.expand(build, draw(st.sampled_from(pool)), [draw(axes)])]
    except (RuleError, ZeroDivisionError):
        return []


def _some_scan(draw, build, pool):
    inner = Builder(build.names)
    start = draw(st.sampled_from(pool))
    inside = Value(build.names.fresh("carried"), start.type)
    following = inside if inside.type.dtype not in ("float", "int") else inner.one(Add(), inside, inside)
    body = inner.function(draw(names), [inside], [following, inside, following])
    over = draw(axes)
    return build.emit(Scan(body, 0, 1, 0, 1, 1, over, draw(st.booleans()), draw(saves)), start)


saves = st.sampled_from(["carry", "residuals", ("a",), ("a", "b c")])


@st.composite
def modules(draw):
    entries = draw(st.lists(values, max_size=5, unique_by=lambda value: value.name))
    params, buffers, states, inputs = [], [], [], []
    for value in entries:
        match draw(st.sampled_from("pbsi")):
            case "p":
                params.append(Param(value, draw(types), draw(st.booleans()), draw(names), draw(st.booleans()), "Hz"))
            case "b":
                buffers.append(Buffer(value, draw(st.sampled_from(["constant", "index", "running"])), draw(names)))
            case "s":
                states.append(State(value, draw(names), "lif", "v'"))
            case _:
                inputs.append(Input(value, draw(st.booleans()), draw(st.one_of(st.none(), st.just(0.5)))))
    found = draw(st.lists(functions(), max_size=2, unique_by=lambda function: function.name))
    order = draw(st.lists(names, max_size=3, unique=True))
    bound = draw(st.dictionaries(names, st.integers(0, 5), max_size=2))
    return Module(
        draw(names),
        tuple(params),
        tuple(buffers),
        tuple(states),
        tuple(inputs),
        MappingProxyType({function.name: function for function in found}),
        Layout(tuple(order)),
        MappingProxyType(bound),
    )


def same(a, b):
    """Equal, where two nan count as equal: the texts are."""
    return a == b or ("nan" in print_module(a) and print_module(a) == print_module(b))


@settings(max_examples=60, deadline=None)
@given(modules())
def test_parsing_what_was_printed_gives_the_module(module):
    text = print_module(module)
    again = parse_module(text)
    assert same(again, module), text
    assert print_module(again) == text


@settings(max_examples=40, deadline=None)
@given(functions())
def test_parsing_what_was_printed_gives_the_function(function):
    text = print_function(function)
    again = parse_function(text)
    assert again == function or "nan" in text
    assert verify_function(function) == ()


@settings(max_examples=80, deadline=None)
@given(modules(), st.data())
def test_broken_text_is_a_diagnostic(module, data):
    """Cutting a stretch out of the text gives a module or a diagnostic with a place, never another exception."""
    text = print_module(module)
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start, min(len(text), start + 12)))
    try:
        verify(parse_module(text[:start] + data.draw(st.text("%{}()=,:<>@1a ", max_size=3)) + text[stop:]))
    except SpecError as error:
        assert error.diagnostics[0].code in ("CS603", "CS604")
        assert error.diagnostics[0].span is not None


def small():
    axis = Axis("E", Size.symbol("E"))
    unit = UNITS[0]
    state = Value("E.v", Type((axis,), "float", unit))
    param = Value("E.gain", Type((axis,)))
    build = Builder()
    for value in (state, param):
        build.names.take_value(value)
    after = build.one(Mul(), param, state)
    step = build.function("step", [param, state], [after], ["E.v"])
    return Module(
        "small",
        params=(Param(param, param.type, True, unit_shown="%"),),
        states=(State(state, "E", "leaky", "v"),),
        functions=MappingProxyType({"step": step}),
        sizes=MappingProxyType({"E": 4}),
    )


def test_the_text_reads_well():
    assert (
        print_module(small())
        == """\
cortexspec ir 1
module small
size E = 4
axis E = <E>

param %E.gain: float[E] {natural = type(float[E]), trainable = true, unit_shown = "%"}
state %E.v: float[E] mV {population = "E", neuron = "leaky", variable = "v"}

function step(%E.gain: float[E], %E.v: float[E] mV) {
  %mul: float[E] mV = arith.mul(%E.gain, %E.v)
  return %mul as "E.v"
}
"""
    )


def test_another_version_is_refused():
    text = print_module(small()).replace("ir 1", "ir 2")
    with pytest.raises(SpecError) as caught:
        parse_module(text)
    assert caught.value.diagnostics[0].code == "CS604"
    assert [d.code for d in verify(replace(small(), version=2))] == ["CS604"]


@pytest.mark.parametrize(
    ("old", "new", "message", "line", "column"),
    [
        ("arith.mul", "arith.mull", "no operation is called `arith.mull`", 10, 23),
        ("(%E.gain, %E.v)\n", "(%E.gain, %E.w)\n", "%E.w is not assigned above", 10, 42),
        ("%mul: float[E]", "%mul: float[I]", "the axis I is not defined above", 10, 15),
        ("float[E] mV = ", "float[E] mW = ", "mW", 10, 18),
        ("%mul: float", "%E.v: float", "%E.v is assigned twice", 10, 3),
        ("trainable = true, ", "", "lacks the attribute `trainable`", 6, 88),
        ("size E = 4", "size E = 4.5", "expected a whole number", 3, 10),
    ],
)
def test_mistakes_in_the_text(old, new, message, line, column):
    text = print_module(small())
    assert old in text
    with pytest.raises(SpecError) as caught:
        parse_module(text.replace(old, new))
    (found,) = caught.value.diagnostics
    assert found.code == "CS603" and message in found.message
    if "lacks" not in message:
        assert (found.span.line, found.span.column) == (line, column)


def lines(*entries):
    """A function from (result, op, operands) entries; every value is `float mV` unless it says otherwise."""
    a, b = Value("a", Type((), "float", UNITS[0])), Value("b", Type((), "float", UNITS[1]))
    return Function("f", (a, b), tuple(Line((r,), op, operands) for r, op, operands in entries), (a,))


A, B = Value("a", Type((), "float", UNITS[0])), Value("b", Type((), "float", UNITS[1]))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lines((Value("a", A.type), Add(), (A, A))), "assigned twice"),
        (lines((Value("c", B.type), Add(), (A, A))), "its rule gives float mV"),
        (lines((Value("c", A.type), Add(), (A, B))), "different dimension"),
        (lines((Value("c", A.type), Add(), (A,))), "does not take 1 operands"),
        (lines((Value("c", A.type), Add(), (A, Value("z", A.type)))), "not assigned before"),
        (lines((Value("c", A.type), Add(), (A, Value("b", A.type)))), "reads %b as float mV, it is float ms"),
        (Function("f", (A,), (), (B,)), "an output of f reads %b"),
        (Function("f", (A,), (), (A, A), ("x", "x")), "two outputs of f are called x"),
        (Function("f", (A,), (), (A,), ("x", "y")), "1 outputs and 2 names"),
    ],
)
def test_the_verifier_names_the_mistake(function, message):
    found = verify_function(function)
    assert any(message in d.message for d in found), found
    assert all(d.code == "CS601" for d in found)


def test_names_of_a_body_are_names_of_the_function():
    inner = Builder()
    body = inner.function("body", [A], [A])
    scan = Scan(body, 0, 1, 0, 0, 0, Axis("time", Size.of(2), "time"))
    function = Function("f", (A,), (Line((Value("c", A.type),), scan, (A,)),), (A,))
    assert any("%a is assigned twice" in d.message for d in verify_function(function))


def test_a_body_reads_only_its_inputs():
    inside = Value("v", A.type)
    body = Function("body", (inside,), (Line((Value("w", A.type),), Add(), (inside, A)),), (inside,))
    scan = Scan(body, 0, 1, 0, 0, 0, Axis("time", Size.of(2), "time"))
    function = Function("f", (A,), (Line((Value("c", A.type),), scan, (A,)),), (A,))
    assert any("reads %a, which is not assigned before" in d.message for d in verify_function(function))


def test_declarations_are_checked():
    module = small()
    twice = replace(module, states=module.states * 2)
    assert any("declared twice" in d.message for d in verify(twice))
    state = replace(module.states[0], value=Value("E.v", Type((), "float", UNITS[1])))
    assert any("step reads %E.v" in d.message for d in verify(replace(module, states=(state,))))
    with pytest.raises(SpecError) as caught:
        check(twice, after="fold-constants")
    assert caught.value.diagnostics[0].notes[0].text == "found after the pass fold-constants"
    assert check(module) is module


def test_the_hash_is_of_the_meaning():
    module = small()
    shown = replace(module, params=(replace(module.params[0], unit_shown="1"),))
    for same_meaning in (replace(module, layout=Layout(("E",))), replace(module, sizes=MappingProxyType({})), shown):
        assert content_hash(same_meaning) == content_hash(module)
    step = module.functions["step"]
    other = Function("step", step.inputs, (replace(step.body[0], op=Mul()),), (step.inputs[1],), ("E.v",))
    assert content_hash(module.with_functions(step=other)) != content_hash(module)


def test_an_axis_that_differs_from_its_definition_is_written_in_full():
    x = Value("x", Type((Axis("E", Size.of(4)),)))
    y = Value("y", Type((Axis("E", Size.of(8), "sample"),)))
    function = Function("f", (x, y), (), (x,))
    assert "%y: float[E:<8>:sample]" in print_function(function)
    assert parse_function(print_function(function)) == function


def test_numbers_keep_every_digit():
    build = Builder()
    numbers = [0.1, 1e-300, -0.0, float("inf"), float("-inf"), 1 / 3]
    for number in numbers:
        write.const(build, number)
    again = parse_function(print_function(build.function("f", [], [])))
    assert [repr(line.op.value) for line in again.body] == [repr(float(n)) for n in numbers]
    assert all(isinstance(line.op, Const) for line in again.body)


def test_a_whole_number_may_stand_where_a_float_is_declared():
    x, build = Value("x", Type()), Builder()
    build.names.take_value(x)
    function = build.function("f", [x], [build.one(Pow(2), x), build.one(Pow(-1), x)])
    assert parse_function(print_function(function)) == function
