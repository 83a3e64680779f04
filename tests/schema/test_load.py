"""JSON and YAML: every mistake at its line, and no file that exhausts the machine or runs code."""

import json
import time
from pathlib import Path

import pytest

from cortexspec.diagnostics import Diagnostic
from cortexspec.language.parse import parse_spec
from cortexspec.schema.dump import dump_json, dump_yaml
from cortexspec.schema.json_schema import json_schema
from cortexspec.schema.load import LONGEST_JSON, LONGEST_YAML, load_json, load_yaml
from cortexspec.schema.spec import Spec, Template
from cortexspec.schema.statement import Equation

ROOT = Path(__file__).parents[2]

YAML = """format_version: 1
items:
  - kind: neuron
    name: leaky
    body:
      - kind: param
        declarators:
          - {name: τ, value: 10 ms}
          - name: on
            value: true
      - kind: equation
        left: τ*v'
        right: "-v + 2"
"""


def places(diagnostics: tuple[Diagnostic, ...]) -> list[tuple[str, int, int]]:
    return [(one.code, one.span.line, one.span.column) for one in diagnostics if one.span is not None]


def test_yaml_means_what_the_text_means() -> None:
    spec, diagnostics = load_yaml(YAML, "m.yaml")
    assert diagnostics == ()
    assert spec == parse_spec("neuron leaky { param τ = 10 ms, on = true; τ*v' = -v + 2 }")[0]


def test_values_know_their_place() -> None:
    spec, _ = load_yaml(YAML, "m.yaml")
    assert spec is not None
    item = spec.items[0]
    assert isinstance(item, Template)
    equation = item.body[1]
    assert isinstance(equation, Equation)
    assert equation.span is not None
    assert (equation.span.source, equation.span.line, equation.span.column) == ("m.yaml", 11, 9)
    assert equation.right.span is not None
    assert (equation.right.span.line, equation.right.span.column) == (13, 17)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("10 ms", "10 mss", ("CS104", 8, 33)),
        ("name: leaky", "nam: leaky", ("CS201", 4, 5)),
        ("kind: equation", "kind: equaton", ("CS201", 11, 15)),
        ("left: τ*v'", "left: τ*", ("CS101", 12, 17)),
        ("name: on", 'name: "a b"', ("CS201", 9, 19)),
        ("name: on", "name: ~", ("CS201", 9, 19)),
        ("format_version: 1", "format_version: 2", ("CS201", 1, 17)),
        ("  - kind: neuron", "  - kind: neuron\n    kind: neuron", ("CS201", 4, 5)),
        ("kind: neuron", "kind: !!python/object:os.system neuron", ("CS202", 3, 11)),
        ('"-v + 2"', "[1, 2]", ("CS201", 13, 16)),
        ("name: leaky", "name: leaky\n    span: 3", ("CS201", 5, 5)),
        ("name: leaky", "name: [leaky", ("CS202", 5, 9)),
        ("kind: equation", "kind: simulate\n        body: []\n      - kind: equation", ("CS105", 11, 9)),
    ],
)
def test_a_mistake_in_yaml(old: str, new: str, expected: tuple[str, int, int]) -> None:
    spec, diagnostics = load_yaml(YAML.replace(old, new, 1), "m.yaml")
    assert spec is None or expected[0] == "CS105"
    assert expected in places(diagnostics), places(diagnostics)


def test_all_mistakes_at_once() -> None:
    text = YAML.replace("10 ms", "10 mss").replace("left: τ*v'", "left: τ*").replace("name: on", "nme: on")
    assert [line for _, line, _ in places(load_yaml(text)[1])] == [8, 9, 12]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("", "CS202", 1, 1),
        ("{", "CS202", 1, 2),
        ('{"a": 1,}', "CS202", 1, 9),
        ('{"a" 1}', "CS202", 1, 6),
        ('{"a": nul}', "CS202", 1, 7),
        ('{"a": "x\ny"}', "CS202", 1, 7),
        ("{} {}", "CS202", 1, 4),
        ('{\n "items": [\n  {"kind": "neuron"}]}', "CS201", 3, 3),
        ('{"items": [{"kind": "use"}]}', "CS201", 1, 12),
        ('{"items": 3}', "CS201", 1, 11),
        ('{"thing": 3}', "CS201", 1, 2),
        ("[]", "CS201", 1, 1),
        ("[" * 100_000, "CS108", 1, 102),
    ],
)
def test_a_mistake_in_json(text: str, code: str, line: int, column: int) -> None:
    spec, diagnostics = load_json(text)
    assert spec is None
    assert (code, line, column) in places(diagnostics), places(diagnostics)


def test_json_numbers_keep_their_digits() -> None:
    text = '{"items": [{"kind": "neuron", "name": "a", "body": [{"kind": "update", "name": "x", "value": 1.50e-3}]}]}'
    spec, diagnostics = load_json(text)
    assert diagnostics == ()
    assert spec == parse_spec("neuron a { x <- 1.50e-3 }")[0]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n"
        + "".join(f"{chr(97 + n)}: &{chr(97 + n)} [{', '.join(['*' + chr(96 + n)] * 9)}]\n" for n in range(1, 9)),
        "&a [*a]",
        "[" * 3000,
        "? [a]\n: b",
        "- " * 3000,
        "a\n...\n---\nb\n",
        "\x00",
        "%YAML 9.9\n---\na",
        "x" * (LONGEST_YAML + 1),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_no_yaml_exhausts_the_machine(text: str) -> None:
    start = time.process_time()
    spec, diagnostics = load_yaml(text)
    assert spec is None
    assert diagnostics
    assert time.process_time() - start < 30


def test_no_json_exhausts_the_machine() -> None:
    assert load_json(" " * (LONGEST_JSON + 1))[1][0].code == "CS108"


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs" / "spec.schema.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(json_schema()))
    assert published["properties"]["format_version"]["const"] == 1


def test_dumps_leave_out_what_says_nothing() -> None:
    spec, _ = parse_spec("neuron a { state v = 0 }")
    assert spec is not None
    data = json.loads(dump_json(spec))
    assert data == {
        "format_version": 1,
        "items": [
            {"kind": "neuron", "name": "a", "body": [{"kind": "state", "declarators": [{"name": "v", "value": "0"}]}]}
        ],
    }
    assert load_yaml(dump_yaml(Spec()))[0] == Spec()
