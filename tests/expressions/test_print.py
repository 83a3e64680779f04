"""Printing and parsing expressions are inverse."""

import pytest
from hypothesis import given, settings

from cortexspec.diagnostics import SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.print import print_expression
from cortexspec.testing.strategies import expressions


@settings(max_examples=400, deadline=None)
@given(expressions(16))
def test_parse_undoes_print(expression: tree.Expression) -> None:
    assert parse_expression(print_expression(expression)) == expression


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("((a)+(b*c))", "a + b*c"),
        ("(a+b)*c", "(a + b)*c"),
        ("a-(b-c)-d", "a - (b - c) - d"),
        ("a/(b*c)/d", "a/(b*c)/d"),
        ("(a^b)^c^d", "(a^b)^c^d"),
        ("-a^2", "-a^2"),
        ("(-a)^2", "(-a)^2"),
        ("2^-x", "2^-x"),
        ("not (a and b) or c", "not (a and b) or c"),
        ("not (a == b)", "not a == b"),
        ("0..n - 1", "0..n - 1"),
        ("W@x", "W @ x"),
        ("5mV/ms", "5 mV/ms"),
        ("(5 mV)^2", "(5 mV)^2"),
        ("5 mV/x", "5 mV / x"),
        ("5 mV/(s)", "5 mV / s"),
        ("5 mV/(s + 1)", "5 mV/(s + 1)"),
        ("a*5 mV / s", "a*5 mV / s"),
        ("[1,2]ms/(s)", "[1, 2] ms / s"),
        ("V.*.v''", "V.*.v''"),
        ("x[core=0..2,time=end]", "x[core = 0..2, time = end]"),
        (
            "f(θ~normal(0,1),k=2 trainable in positive(by=exp))",
            "f(θ ~ normal(0, 1), k = 2 trainable in positive(by = exp))",
        ),
        ("[a for [a,b] in y,n in 1..2]", "[a for [a, b] in y, n in 1..2]"),
    ],
)
def test_printed_forms(written: str, printed: str) -> None:
    assert print_expression(parse_expression(written)) == printed
    assert parse_expression(printed) == parse_expression(written)


def test_digits_stay_as_written() -> None:
    assert print_expression(parse_expression("1e-3 + 0.10 + 100000")) == "1e-3 + 0.10 + 100000"


@pytest.mark.parametrize(
    "form", ["[{}]", "({})", "f({})", "x[{}]", "-{}", "not {}", "1 + {}", "{} + 1", "2^{}", "[{} for a in b]"]
)
def test_what_is_as_deep_as_allowed_can_be_walked(form: str) -> None:
    """Every walk of a tree recurses; the deepest tree must leave room for the frames of its callers."""
    text, depth = "a", 0
    while depth < 400:
        try:
            expression = parse_expression(form.format(text))
        except SpecError as error:
            assert [one.code for one in error.diagnostics] == ["CS108"]
            break
        text, depth = form.format(text), depth + 1
        assert parse_expression(print_expression(expression)) == expression
        assert repr(expression)
    assert 20 < depth < 400
