"""Expressions become lines: units and axes by the operations' rules, mistakes at the place of the operand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from cortexspec import library
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import Drawn, Shape, Window, fit, translate, translate_settings
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.expressions.parse import parse_expression
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.units import DIMENSIONLESS, unit_of

E, INH = Axis("E", Size.symbol("E")), Axis("I", Size.symbol("I"))
MATRIX = (Axis("E_target", E.size), Axis("E_source", E.size))


def operand(name: str, unit: str = "1", *axes: Axis, dtype: str = "float") -> Operand:
    return Operand(Value(name, Type(axes, dtype, unit_of(unit))), tuple(axis.name for axis in axes))


NAMES = {
    "v": operand("v", "mV", E),
    "w": operand("w", "mV", INH),
    "x": operand("x", "1", E),
    "τ": operand("τ", "ms"),
    "W": operand("W", "1", *MATRIX),
    "U": operand("U", "1", INH, E),
    "label": operand("label", dtype="int"),
    "image": operand("image", "1", Axis("c", Size.of(1)), Axis("h", Size.of(8)), Axis("w_", Size.of(8))),
}


@dataclass
class Names:
    known: Mapping[str, Operand] = field(default_factory=lambda: NAMES)
    sizes: Mapping[str, int] = field(default_factory=lambda: {"E": 3, "I": 2})
    found: list[Diagnostic] = field(default_factory=list)
    functions = library.functions
    distributions = library.distributions

    def read(self, path: str, build: Builder) -> Operand:
        return self.known[path]

    def call(self, path: str, arguments: object, build: Builder, span: object) -> Operand:
        raise KeyError(path)

    def draw(self, drawn: Drawn, build: Builder) -> Operand | None:
        return None

    def window(self, axis: str, path: str) -> Window | None:
        return Window(1, 1, single=True) if path == "second" else None

    def at_end(self) -> None:
        return None

    def report(self, diagnostic: Diagnostic) -> None:
        self.found.append(diagnostic)


def typed(text: str) -> Operand:
    scope = Names()
    result = translate(parse_expression(text), scope, Builder())
    assert not scope.found, scope.found
    assert result is not None
    return result


def complaint(text: str) -> tuple[Diagnostic, str]:
    scope = Names()
    assert translate(parse_expression(text), scope, Builder()) is None
    (found,) = scope.found
    assert found.span is not None
    return found, text[found.span.column - 1 : found.span.end_column - 1]


@pytest.mark.parametrize(
    ("text", "unit", "axes"),
    [
        ("v/τ", "mV/ms", ("E",)),
        ("v + 0", "mV", ("E",)),
        ("0 - v", "mV", ("E",)),
        ("max(v, 0)", "mV", ("E",)),
        ("where(v > 0, v, 0)", "mV", ("E",)),
        ("v^2", "mV^2", ("E",)),
        ("(v^2)^(1/2)", "mV", ("E",)),
        ("sqrt(v*v)", "mV", ("E",)),
        ("exp(v/(10 mV))", "1", ("E",)),
        ("W @ x", "1", ("E",)),
        ("U @ x", "1", ("I",)),
        ("x*W", "1", ("E_target", "E_source")),
        ("off_diagonal(W)*x", "1", ("E_target", "E_source")),
        ("[1, 2, 3] mV + v", "mV", ("E",)),
        ("2*[1, 2, 3]*x", "1", ("E",)),
        ("mean(v)", "mV", ()),
        ("sum(U, over = I)", "1", ("E",)),
        ("sum(U, by = I)", "1", ("I",)),
        ("v[0..1]", "mV", ("E_0_1",)),
        ("v[E = 2]", "mV", ()),
        ("W[0, 0..1]", "1", ("E_source_0_1",)),
        ("argmax(U)", "1", ("I",)),
        ("cross_entropy(x, label)", "1", ()),
        ("flatten(image)", "1", ("flat~1",)),
        ("cat(v, w)", "mV", ("cat~1",)),
        ("dot(U, x)", "1", ("I",)),
        ("800 Hz/10", "kHz", ()),
    ],
)
def test_types(text: str, unit: str, axes: tuple[str, ...]) -> None:
    result = typed(text)
    assert result.type.unit == unit_of(unit)
    assert result.axes == axes
    assert result.type.names == frozenset(axes)


def test_a_written_matrix_meets_a_vector_by_position() -> None:
    result = typed("[[1, 2, 3], [4, 5, 6]] @ x")
    assert [axis.size.fixed for axis in result.written] == [2]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("800 Hz/10", 0.08),
        ("2*π", 2 * np.pi),
        ("1/(28 ms*10)", 1 / 280),
        ("2^-1", 0.5),
        ("-(3 - 5)", 2.0),
        ("5 %", 0.05),
    ],
)
def test_constants_are_folded_in_coherent_units(text: str, number: float) -> None:
    literal = typed(text).literal
    assert literal is not None
    assert literal == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("v + τ", "CS401", "τ"),
        ("exp(v)", "CS401", "v"),
        ("1 + exp(2*v)", "CS401", "2*v"),
        ("v + 1", "CS401", "1"),
        ("[1 mV, 2 ms]", "CS401", "2 ms"),
        ("v > 1 ms", "CS401", "1 ms"),
        ("where(v > 0, v, τ)", "CS401", "τ"),
        ("U @ w", "CS501", "w"),
        ("W[5, 0]", "CS501", "5"),
        ("v[E = 3]", "CS501", "3"),
        ("sum(v, over = I)", "CS501", "sum(v, over = I)"),
        ("[1, 2]*image", "CS501", "[1, 2]"),
        ("sigmid(x)", "CS301", "sigmid"),
        ("mean(v, w)", "CS301", "mean(v, w)"),
        ("nothing", "CS301", "nothing"),
        ("x^v", "CS401", "v"),
    ],
)
def test_a_mistake_is_at_the_operand_that_made_it(text: str, code: str, place: str) -> None:
    found, where = complaint(text)
    assert (found.code, where) == (code, place)


def test_a_misspelt_function_is_named() -> None:
    assert complaint("sigmid(x)")[0].help == "did you mean `sigmoid`?"


def test_a_declaration_gives_a_list_its_names_and_a_matrix_product_its_axis() -> None:
    build = Builder()
    wanted = Type(MATRIX, "float", unit_of("mV"))
    table = translate(parse_expression("[[1, 2, 3], [4, 5, 6], [7, 8, 9]] mV"), Names(), build)
    assert table is not None
    assert fit(build, table, wanted, ("E_target", "E_source")).axes == ("E_target", "E_source")
    zero = translate(parse_expression("0"), Names(), build)
    assert zero is not None and fit(build, zero, wanted).type.unit == unit_of("mV")


def test_settings_are_known_before_anything_runs() -> None:
    arguments = parse_expression("f(8/2, shape(v), kernel = [1, 2], word = exp)")
    assert isinstance(arguments, tree.Call)
    found = translate_settings(arguments.arguments, ("n", "size", "kernel", "word"), Names(), Builder())
    assert found == {"n": 4, "size": Shape((E,)), "kernel": (1, 2), "word": "exp"}


def test_a_setting_that_is_not_constant() -> None:
    scope = Names()
    arguments = parse_expression("f(x)")
    assert isinstance(arguments, tree.Call)
    assert translate_settings(arguments.arguments, ("n",), scope, Builder()) is None
    assert scope.found[0].code == "CS303"


def test_an_integer_beside_a_float() -> None:
    assert typed("label + 0.5").type.dtype == "float"
    assert typed("label == 3").type.unit == DIMENSIONLESS
