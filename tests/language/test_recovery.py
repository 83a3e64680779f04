"""All mistakes of a file in one run, each at its place; reading always ends."""

import re
import time

import pytest
from lark import Lark

import cortexspec.expressions
import cortexspec.language
from cortexspec.diagnostics import Diagnostic
from cortexspec.language.parse import LONGEST, MOST_MISTAKES, parse_spec
from cortexspec.schema.placement import DEEPEST_BLOCK

# Every line that ends in `#!` is wrong, and every other line is right.
MARKED = """
use vision, text

neuron lif {
  param τ = = 10 ms                       #!
  param θ = 15 mV
  parm x = 3                              #!
  input I : volts                         #!
  state v = v_reset
  τ*v' = I - v²                           #!
  spike when v > θ { v <- v_reset }  refractory τ
  spike when v > θ { v = v_reset }        #!
  let b = 3 ** 2                          #!
  let d = 5 orange                        #!
  x = a .* b                              #!
  y <- if a                               #!
}

circuit c(n: int = 3) {
  population exc[400 : lif(τ_m = 20 mV)   #!
  population inh[400] : lif
  connect exc -> inh {
    rule = all_to_all
    weight = = 3                          #!
    delay = 1 ms
  }
  connect exc inh                         #!
  conect exc -> inh                       #!
  group = 3                               #!
  penalty p = 1e999                       #!
  let in = 3                              #!
  for a b { connect a -> b }              #!
  let k = "abc                            #!
  let z = a – b                           #!
  let w = 3
}

experiment e of c {
  measure x = = 3                         #!
  claim "a" fom "b": x > 3                #!
  claim "a" from "b": x > 3
  variant v { remove inh; n = = 3 }       #!
  vary { seed = 1..3 }
}
"""


def lines_of(diagnostics: tuple[Diagnostic, ...]) -> list[int]:
    return [one.span.line for one in diagnostics if one.span is not None]


def test_every_mistake_and_nothing_else() -> None:
    wrong = [number for number, line in enumerate(MARKED.split("\n"), 1) if line.rstrip().endswith("#!")]
    spec, diagnostics = parse_spec(MARKED)
    assert spec is None
    assert lines_of(diagnostics) == wrong
    assert all(one.message and one.span for one in diagnostics)


def test_the_same_file_without_its_wrong_lines_parses() -> None:
    right = "\n".join(line for line in MARKED.split("\n") if not line.rstrip().endswith("#!"))
    spec, diagnostics = parse_spec(right)
    assert spec is not None
    assert diagnostics == ()


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "help"),
    [
        ("neuron a {\n  state v = 0\n", "CS102", 1, 10, "}"),
        ("neuron a {\n  state v = 0\nneuron b {\n}\n", "CS102", 3, 1, "close the block"),
        ('neuron a {\n  state v = 0\n"""B."""\nneuron b {\n}\n', "CS102", 3, 1, "close the block"),
        ("neuron a {\n}\n}\n", "CS102", 3, 1, "remove"),
        ("neuron a {\n  let x = (1 + 2\n  let y = 3\n}\n", "CS102", 2, 11, "`)`"),
        ("neuron a {\n  let x = f([1, 2)\n}\n", "CS101", 2, 18, ""),
        ("neuron a {\n  let x = [1, 2\n}\n", "CS102", 2, 11, "`]`"),
        ("neuron a {\n  τ*v' = (1 + 2\n  w' = 3\n}\n", "CS102", 2, 10, "`)`"),
        ("neuron a {\n  τ v' = 3\n}\n", "CS101", 2, 5, "`τ*v'`"),
        ("neuron a { param σ = 30° }\n", "CS110", 1, 24, "`deg`"),
        ("circuit a(n = 64) { }\n", "CS101", 1, 13, "`n: int = ...`"),
        ("circuit a {\n  population ring : unit[3]\n}\n", "CS101", 2, 25, "`NAME[n] : unit`"),
        ('neuron a { }\n"""never\nneuron b { }\n', "CS102", 2, 1, '"""'),
        ("neuron a\n{\n}\n", "CS101", 1, 9, "{"),
        ("neuron { }\n", "CS101", 1, 8, ""),
        ("param τ = 3\n", "CS105", 1, 1, "neuron NAME"),
        ("neurn a { }\n", "CS101", 1, 1, "neuron"),
        ("import vision\n", "CS101", 1, 1, "use"),
        ("neuron a {\n  spike if v > 3\n}\n", "CS101", 2, 9, "spike when"),
        ("circuit a {\n  connect x => y\n}\n", "CS101", 2, 13, "->"),
        ("circuit a {\n  connect x, y -> z\n}\n", "CS101", 2, 12, "->"),
        ("neuron a(τ: mss = 3) { }\n", "CS104", 1, 13, "ms"),
        ("neuron a {\n  input I : mV*sec\n}\n", "CS101", 2, 16, ""),
        ("use a,\nneuron b { }\n", "CS101", 2, 8, "comma"),
        ('experiment e of c {\n  claim "a" from "b": x publishd 3\n}\n', "CS101", 2, 25, "published"),
        ("neuron a { state v = 0; let 2*v = 3 }\n", "CS101", 1, 29, "let NAME"),
        ("circuit a {\n  simulate { dt = 1 }\n}\n", "CS105", 2, 3, "experiment"),
        ("circuit a {\n  b.weight = 3\n}\n", "CS105", 2, 3, "variant"),
        ("experiment e of c {\n  train { connect a -> b }\n}\n", "CS105", 2, 11, "circuit"),
    ],
)
def test_one_mistake(text: str, code: str, line: int, column: int, help: str) -> None:
    _, diagnostics = parse_spec(text)
    assert [one.code for one in diagnostics] == [code], diagnostics
    (found,) = diagnostics
    assert found.span is not None
    assert (found.span.line, found.span.column) == (line, column)
    assert help in found.help


def test_a_broken_header_does_not_hide_its_block() -> None:
    text = "neuron a(x: int = ) {\n  let y = = 3\n}\nneuron b {\n  let z = = 3\n}\n"
    assert lines_of(parse_spec(text)[1]) == [1, 2, 5]


def test_an_unclosed_bracket_does_not_swallow_the_file() -> None:
    text = "neuron a {\n  let y = f(1, 2\n  let w = 2\n  let z = = 3\n}\nneuron b {\n  let z = = 3\n}\n"
    assert lines_of(parse_spec(text)[1]) == [2, 4, 7]


def test_a_broken_row_of_a_list_is_one_mistake() -> None:
    text = "circuit a {\n  let P = [\n    [1, 2 3],\n    [4, 5],\n    [6, 7],\n  ]\n  let z = = 3\n}\n"
    assert lines_of(parse_spec(text)[1]) == [3, 7]


def test_many_mistakes_stop_somewhere() -> None:
    _, diagnostics = parse_spec("neuron a {\n" + "  let x = = 3\n" * 1000 + "}\n")
    assert len(diagnostics) == MOST_MISTAKES


def test_no_token_names_reach_the_author() -> None:
    words = re.compile(r"__|\b(SEP|NAME|LPAR|RPAR|RBRACE|QUANTITY|EQUAL|UPDATE|DOTS)\b")
    _, diagnostics = parse_spec(MARKED)
    assert not [one for one in diagnostics if words.search(one.message + one.label + one.help)]


@pytest.mark.parametrize(
    "text",
    [
        "neuron a {\n  let x = " + "(" * 5000 + "1" + ")" * 5000 + "\n}\n",
        "neuron a {\n  let x = " + "-" * 5000 + "1\n}\n",
        "neuron a {\n  let x = 1" + " + 1" * 5000 + "\n}\n",
        "neuron a {\n  let x = 2" + "^2" * 5000 + "\n}\n",
        "neuron a {\n  let x = " + "[" * 5000 + "]" * 5000 + "\n}\n",
        "neuron a {\n  let x = " + "f(" * 5000 + ")" * 5000 + "\n}\n",
        "neuron a {\n  let x = a" + ".b" * 5000 + "\n}\n",
        "neuron a {\n  let x = a" + "[1]" * 5000 + "\n}\n",
        "neuron a {\n  let x = " + "not " * 5000 + "a\n}\n",
        "neuron a {\n  let x = " + "9" * 5000 + "\n}\n",
        "circuit a {\n" + "for a in b {\n" * 5000 + "}\n" * 5001,
        "{" * 5000,
        "}" * 5000,
        "(" * 5000,
        '"' * 5000,
        "neuron a { " * 5000,
        "x" * (LONGEST + 1),
    ],
    ids=lambda text: text[:30].replace("\n", " "),
)
def test_no_text_exhausts_the_machine(text: str) -> None:
    start = time.process_time()
    spec, diagnostics = parse_spec(text)
    assert spec is None
    assert diagnostics
    assert time.process_time() - start < 20


def test_blocks_as_deep_as_allowed() -> None:
    nested = "for a in b {\n" * (DEEPEST_BLOCK - 1) + "}\n" * (DEEPEST_BLOCK - 1)
    spec, diagnostics = parse_spec("circuit a {\n" + nested + "}\n")
    assert spec is not None
    assert diagnostics == ()


def test_the_grammar_has_no_conflicts() -> None:
    from cortexspec.language.layout import LineBreaksAnywhere

    folder = cortexspec.language.__path__[0]
    Lark.open(
        f"{folder}/grammar.lark",
        parser="lalr",
        lexer="contextual",
        postlex=LineBreaksAnywhere(),
        strict=True,
        import_paths=[cortexspec.expressions.__path__[0]],
    )
    Lark.open(f"{cortexspec.expressions.__path__[0]}/expression.lark", parser="lalr", strict=True, start="expr")


def test_a_slip_in_the_line_before_moves_no_place_out_of_the_file() -> None:
    """Found by the fuzz command: a point at the end of a line, and the mistake at the beginning of the next."""
    for text in ("neuron a {\n  let x = 0.\nlet y = 2\n}\n", "0.\n = 3", "neuron a {\n0.\n'\n}"):
        assert all(one.span is not None and one.span.column >= 1 for one in parse_spec(text)[1])


@pytest.mark.parametrize(
    "line",
    [
        "population p : lif({})",
        "for p in {} {{ }}",
        "weight in {}",
        "hidden.w ~ {}",
        "let y = x[{}]",
        "connect a({}) -> b",
        "attribute p.x = {}",
    ],
)
def test_every_place_of_an_expression_guards_its_depth(line: str) -> None:
    """Found by the fuzz command: arguments, modifiers and ranges had a way in of their own."""
    for opening, closing in (("[", "]"), ("f(", ")"), ("(", ")")):
        value = opening * 400 + "1" + closing * 400
        _, diagnostics = parse_spec("circuit c {\n  " + line.format(value) + "\n}\n")
        assert {one.code for one in diagnostics} <= {"CS108", "CS101"}
        assert diagnostics
    _, diagnostics = parse_spec(f"experiment e of c({'[' * 400}1{']' * 400}) {{ }}")
    assert [one.code for one in diagnostics] == ["CS108"]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ('use ""\n', "CS101", 1, 5),
        ("neuron a {\n  (state + 1) + x = 3\n}\n", "CS106", 2, 3),
        ("circuit a {\n  (state) trainable\n}\n", "CS106", 2, 3),
        ('neuron a { }\n"""\ud800"""\nneuron b { }\n', "CS110", 2, 4),
    ],
)
def test_what_the_schema_refuses_is_a_diagnostic_of_the_text(text: str, code: str, line: int, column: int) -> None:
    spec, (found,) = parse_spec(text)
    assert spec is None
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == (code, line, column)
