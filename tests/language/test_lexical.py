"""The lexical points on which an earlier sketch of the language stumbled: each means one thing, or is an error."""

import pytest

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.parse import parse_expression
from cortexspec.language.parse import parse_spec
from cortexspec.schema.spec import Spec, Template
from cortexspec.schema.statement import Declare, Equation, Instances, SetModifiers, Spike, Start, Statement, Update
from cortexspec.units import SYMBOLS


def number(text: str, unit: str = "") -> tree.Number:
    return tree.Number(text, unit)


def name(text: str) -> tree.Name:
    return tree.Name(text)


def statements(body: str, kind: str = "neuron") -> tuple[Statement, ...]:
    spec, diagnostics = parse_spec(f"{kind} x {{\n{body}\n}}\n")
    assert diagnostics == ()
    assert spec is not None
    (item,) = spec.items
    assert isinstance(item, Template)
    return item.body


def statement(body: str, kind: str = "neuron") -> Statement:
    (one,) = statements(body, kind)
    return one


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    spec, diagnostics = parse_spec(text)
    assert diagnostics
    assert spec is None or all(one.code in ("CS105", "CS107") for one in diagnostics)
    return diagnostics


def mistake(body: str) -> Diagnostic:
    (one,) = mistakes(f"neuron x {{\n{body}\n}}\n")
    return one


@pytest.mark.parametrize("symbol", sorted(SYMBOLS))
def test_every_unit_of_the_table_lexes(symbol: str) -> None:
    for text in (f"5 {symbol}", f"5{symbol}", f"0.5e-3 {symbol}^-1", f"7 {symbol}/s^2"):
        literal = parse_expression(text)
        assert isinstance(literal, tree.Number)
        assert literal.unit.startswith(symbol)
    listed = parse_expression(f"[1, 2] {symbol}")
    assert isinstance(listed, tree.ListOf)
    assert listed.unit == symbol


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("-s/20 ms", tree.Binary("/", tree.Unary("-", name("s")), number("20", "ms"))),
        ("5 mV / h", tree.Binary("/", number("5", "mV"), name("h"))),
        ("5 mV/h", tree.Binary("/", number("5", "mV"), name("h"))),
        ("5 mV/s", number("5", "mV/s")),
        ("5 mV / s", tree.Binary("/", number("5", "mV"), name("s"))),
        ("5 ms*s", tree.Binary("*", number("5", "ms"), name("s"))),
        ("5 ms*ms", tree.Binary("*", number("5", "ms"), name("ms"))),
        ("200 pA/C", tree.Binary("/", number("200", "pA"), name("C"))),
        ("3 m/s*h", tree.Binary("*", number("3", "m/s"), name("h"))),
        ("1 mV/ms*s", tree.Binary("*", number("1", "mV/ms"), name("s"))),
        ("1/10 ms", tree.Binary("/", number("1"), number("10", "ms"))),
        ("0.67 mV^-1", number("0.67", "mV^-1")),
        ("2^-1", tree.Binary("^", number("2"), tree.Unary("-", number("1")))),
        ("20ms", number("20", "ms")),
        ("1e3 ms", number("1e3", "ms")),
        ("3 % ", number("3", "%")),
        ("1..3", tree.Binary("..", number("1"), number("3"))),
        ("2*κ*v'", tree.Binary("*", tree.Binary("*", number("2"), name("κ")), tree.Derivative(name("v"), 1))),
        ("V.*.v*2", tree.Binary("*", tree.Member(tree.Member(name("V"), "*"), "v"), number("2"))),
        ("a - b - c", tree.Binary("-", tree.Binary("-", name("a"), name("b")), name("c"))),
        ("a^b^c", tree.Binary("^", name("a"), tree.Binary("^", name("b"), name("c")))),
        ("-a^2", tree.Unary("-", tree.Binary("^", name("a"), number("2")))),
    ],
)
def test_what_an_expression_means(text: str, meaning: tree.Expression) -> None:
    assert parse_expression(text) == meaning


def test_an_update_is_not_a_comparison_with_a_negative_number() -> None:
    assert statement("s <-s + h") == Update(name="s", value="s + h")
    (let,) = statements("let q = s <-60 mV and not h == 2^-1")
    assert isinstance(let, Declare)
    assert let.declarators[0].value == parse_expression("s < -60 mV and not (h == 2^-1)")


def test_heads_of_keywords_and_units_are_names() -> None:
    declared = statement("state s = 0, h = 0, inside = 1, order = 2, periodic = 3, m = 4, formula = 5, notch = 6")
    assert isinstance(declared, Declare)
    names = [one.name for one in declared.declarators]
    assert names == ["s", "h", "inside", "order", "periodic", "m", "formula", "notch"]


@pytest.mark.parametrize("text", ["a orange", "a andb", "b per cell", "x[a inside]", "a nothing"])
def test_a_keyword_is_a_whole_word(text: str) -> None:
    with pytest.raises(SpecError):
        parse_expression(text)


def test_per_is_not_a_unit() -> None:
    declared = statement("param b = 0  per neuron")
    assert isinstance(declared, Declare)
    assert declared.declarators[0].value == number("0")
    assert [(one.kind, one.extent) for one in declared.modifiers] == [("per", "neuron")]


def test_statement_words_are_special_only_where_a_statement_begins() -> None:
    assert isinstance(statement("v' = state*output + group.start"), Equation)
    assert mistake("group = 3").code == "CS106"


@pytest.mark.parametrize("word", ["per", "trainable", "in", "for", "every", "and", "or", "not"])
def test_reserved_words_are_no_names_anywhere(word: str) -> None:
    assert mistake(f"param {word} = 3").code in ("CS101", "CS106")
    with pytest.raises(SpecError):
        parse_expression(f"1 + {word}")


def test_a_line_goes_on_in_brackets_and_after_a_comma() -> None:
    body = "let w = (1 +\n   2)*[1,\n 2] ms; let y = 3\nparam a = 1,\n   b = 2 # more\nlet z = f(\n  1\n)"
    assert [len(one.declarators) for one in statements(body) if isinstance(one, Declare)] == [1, 1, 2, 1]


def test_a_line_goes_on_nowhere_else() -> None:
    for body in ("let w = 1 +\n 2", "let w = 1\n + 2"):
        assert "( ) and [ ] and after a comma" in mistakes(f"neuron x {{\n{body}\n}}")[0].help


def test_separators_melt() -> None:
    assert len(statements(";; let a = 1;\n\n;let b = 2 ;")) == 2


@pytest.mark.parametrize(
    ("word", "repair"), [("κ²", "κ^2"), ("v²", "v^2"), ("x₁", "x1"), ("H₂O", "H2O"), ("x²³", "x^23")]
)
def test_raised_characters_are_rejected_before_they_become_digits(word: str, repair: str) -> None:
    found = mistake(f"let y = {word}*v")
    assert found.code == "CS103"
    assert repair in found.help


def test_names_are_composed() -> None:
    epsilon, lunate = "\u03b5", "\u03f5"  # ε and ϵ: two characters, one name
    assert parse_expression(f"{epsilon} + {lunate}") == tree.Binary("+", name(epsilon), name(epsilon))
    decomposed = "e\u0301"
    assert parse_expression(decomposed) == name("\u00e9")
    assert parse_expression("x\u0302") == name("x\u0302")


def test_a_name_that_compatibility_would_break_apart_is_rejected() -> None:
    assert mistake("let y = \ufdfa").code == "CS110"


@pytest.mark.parametrize(
    ("text", "code", "help"),
    [
        ("5 mv", "CS104", "mV"),
        ("5 volts", "CS104", "prefix"),
        ("5  ms", "CS104", "5 ms"),
        ("5\tms", "CS104", "5 ms"),
        ("5 µV", "CS104", "uV"),
        ("2κ", "CS101", "2*κ"),
        ("a ** b", "CS101", "^"),
        ("W .* D", "CS101", "elementwise"),
        ("1 if a else 2", "CS101", "where"),
        ("if a", "CS101", "where"),
        (".5", "CS109", "0.5"),
        ("5. + x", "CS109", "5.0"),
        ("1e400", "CS109", ""),
        ("5 mV^99999999", "CS104", ""),
        ("“a”", "CS110", '"'),
        ("a − b", "CS110", "-"),
        ("a × b", "CS110", "*"),
        ("a ≤ b", "CS110", "<="),
        ("a && b", "CS110", "and"),
        ("'text'", "CS101", '"'),
        ("{1, 2}", "CS101", ""),
        ("a == b == c", "CS101", ""),
        ("f(x,,y)", "CS101", ""),
        ("x[]", "CS101", ""),
        ("a b", "CS101", ""),
        ("a // b", "CS101", "floor"),
    ],
)
def test_slips(text: str, code: str, help: str) -> None:
    found = mistake(f"let y = {text}")
    assert found.code == code
    assert help in found.help
    assert found.span is not None
    assert found.span.line == 2


def test_equals_at_a_spike() -> None:
    found = mistake("spike when v > θ { v = v_reset }")
    assert found.code == "CS107"
    assert "<-" in found.help
    assert found.span is not None
    assert (found.span.line, found.span.column) == (2, 20)


def test_spike_clauses() -> None:
    spike = statement("spike when s crosses 3 mV { s <- -70 mV }  refractory 2 ms  surrogate fast_sigmoid(10)")
    assert isinstance(spike, Spike)
    assert spike.crosses == number("3", "mV")
    assert spike.refractory == number("2", "ms")


def test_ranges_and_primes_of_paths() -> None:
    part = statement("part V[1..3] : column", "circuit")
    assert isinstance(part, Instances)
    assert part.instances[0].axes == (parse_expression("1..3"),)
    start = statement("start V.*.v' = x0*2", "circuit")
    assert isinstance(start, Start)
    assert start.target == tree.Derivative(tree.Member(tree.Member(name("V"), "*"), "v"), 1)


def test_modifiers_belong_to_the_statement() -> None:
    declared = statement("param W1, b1 per neuron ~ normal(0, 1)")
    assert isinstance(declared, Declare)
    assert len(declared.declarators) == 2
    assert [one.kind for one in declared.modifiers] == ["per", "~"]
    changed = statement("hidden.τ trainable", "circuit")
    assert isinstance(changed, SetModifiers)


def test_percent_is_a_unit_and_its_tolerance_is_relative() -> None:
    text = (
        'experiment e of c {\n claim "t" from "w": x within 3 % of y\n claim "t" from "w": x published 2 within 0.1\n}'
    )
    spec, diagnostics = parse_spec(text)
    assert isinstance(spec, Spec)
    assert diagnostics == ()
    first, second = spec.items[0].body  # type: ignore[union-attr]
    assert first.within == number("3", "%")
    assert first.of == name("y")
    assert (first.relative, second.relative) == (True, False)


def test_doc_strings_of_the_file_and_of_items() -> None:
    spec, _ = parse_spec('"""File."""\n\nneuron a { }\n"""B."""\nneuron b { }\n')
    assert spec is not None
    assert (spec.doc, spec.items[0].doc, spec.items[1].doc) == ("File.", "", "B.")
    spec, _ = parse_spec('"""A."""\nneuron a { }\n')
    assert spec is not None
    assert (spec.doc, spec.items[0].doc) == ("", "A.")
    spec, _ = parse_spec('"""File."""\n"""A."""\nneuron a { }\n')
    assert spec is not None
    assert (spec.doc, spec.items[0].doc) == ("File.", "A.")
    assert mistakes('neuron a {\n  """doc"""\n}')[0].code == "CS101"
    assert mistakes('use a\n"""lost"""\n')[0].code == "CS101"


def test_hash_marks_inside_texts_are_no_comments() -> None:
    spec, _ = parse_spec('use "a#b.cortex"  # c\n')
    assert spec is not None
    assert spec.items[0].file == "a#b.cortex"  # type: ignore[union-attr]


def test_line_ends_of_all_systems() -> None:
    unix, windows, old = ("neuron a {\nstate v = 0\n}\n".replace("\n", end) for end in ("\n", "\r\n", "\r"))
    assert parse_spec(unix)[0] == parse_spec(windows)[0] == parse_spec(old)[0] == parse_spec("\ufeff" + unix)[0]
