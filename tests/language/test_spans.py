"""Every statement and every expression of a Spec leads back to its place in the text."""

from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.expressions.parse import parse_expression
from cortexspec.language.parse import parse_spec
from cortexspec.schema.spec import Template
from cortexspec.schema.statement import Connect, Declare, Equation, Update

TEXT = """neuron a {
  param τ_m = 10 ms, θ = 2*(x + 1)  in positive(by = exp)
  τ_m*v' = I - v
}
circuit c {
  connect e: a.x -> b { weight ~ normal(0, 1); delay = 1 ms }
}
"""


def shown(span: Span | None) -> str:
    assert span is not None
    assert span.source == "file.cortex"
    lines = TEXT.split("\n")
    assert span.line == span.end_line
    return lines[span.line - 1][span.column - 1 : span.end_column - 1]


def test_spans_cover_what_was_written() -> None:
    spec, _ = parse_spec(TEXT, "file.cortex")
    assert spec is not None
    neuron, circuit = spec.items
    assert isinstance(neuron, Template)
    assert isinstance(circuit, Template)
    declare, equation = neuron.body
    assert isinstance(declare, Declare)
    assert isinstance(equation, Equation)
    assert shown(declare.span) == TEXT.split("\n")[1].strip()
    assert [shown(one.span) for one in declare.declarators] == ["τ_m = 10 ms", "θ = 2*(x + 1)"]
    value = declare.declarators[1].value
    assert isinstance(value, tree.Binary)
    assert (shown(value.span), shown(value.right.span)) == ("2*(x + 1)", "x + 1")
    assert shown(declare.modifiers[0].span) == "in positive(by = exp)"
    assert (shown(equation.left.span), shown(equation.right.span)) == ("τ_m*v'", "I - v")
    (connect,) = circuit.body
    assert isinstance(connect, Connect)
    assert (shown(connect.source.span), shown(connect.target.span)) == ("a.x", "b")
    assert [shown(one.span) for one in connect.settings] == ["weight ~ normal(0, 1)", "delay = 1 ms"]


def test_an_expression_inside_another_file_has_its_places_there() -> None:
    expression = parse_expression("a + f(b)", "model.yaml", line=7, column=12)
    assert isinstance(expression, tree.Binary)
    assert expression.right.span == Span("model.yaml", 7, 16, 7, 20)


def test_spans_take_no_part_in_equality() -> None:
    first = parse_spec("neuron a {\n  x <- 1\n}\n", "a")[0]
    second = parse_spec("\n\nneuron a { x <- 1 }\n", "b")[0]
    assert first == second
    assert first is not None
    assert hash(first) == hash(second)
    (item,) = first.items
    assert isinstance(item, Template)
    assert item.body == (Update(name="x", value="1"),)
